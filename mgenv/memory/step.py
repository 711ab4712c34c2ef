"""One memory step: sources of a canvas, the keyframe rule and eviction.

Running worlds, training rollouts and training clips call the same functions.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mgenv.camera import full_precision
from mgenv.memory.reprojection import LAST_WEIGHT, Sources, source_weights

KEYFRAME_COVERAGE = 0.85
"""A frame is remembered where memory explains less of its view than this."""


class Found(NamedTuple):
    """Retrieved frames of a view.

    Attributes:
        rgb: float (B, k, 3, H, W) in [-1, 1].
        depth: float (B, k, H, W) [m].
        pose: float (B, k, 4, 4).
        observed, valid: bool (B, k).
        age: (B, k), a number that grows with the time of storing.
    """

    rgb: Tensor
    depth: Tensor
    pose: Tensor
    observed: Tensor
    valid: Tensor
    age: Tensor


class Last(NamedTuple):
    """The previous frame.

    Attributes:
        rgb: float (B, 3, H, W) in [-1, 1].
        depth: float (B, H, W) [m].
        pose: float (B, 4, 4).
        known: bool (B,), False where there is none.
    """

    rgb: Tensor
    depth: Tensor
    pose: Tensor
    known: Tensor


def sources_of(found: Found, last: Last) -> Sources:
    """Sources of canvases in order of priority: observed frames, keyframes, previous frame."""
    weights = source_weights(found.observed, found.valid, found.age)
    return Sources(
        torch.cat([found.rgb, last.rgb[:, None]], 1),
        torch.cat([found.depth, last.depth[:, None]], 1),
        torch.cat([found.pose, last.pose[:, None]], 1),
        torch.cat([weights, LAST_WEIGHT * last.known[:, None].float()], 1),
    )


def is_keyframe(coverage: Tensor, threshold: float = KEYFRAME_COVERAGE) -> Tensor:
    """Which generated frames are remembered: bool (B,), by the coverage (B,) of their canvases."""
    return coverage < threshold


@full_precision
def most_redundant(pose: Tensor, droppable: Tensor, valid: Tensor | None = None) -> Tensor:
    """The frame of a full place that is evicted first: the one closest in view to another.

    Args:
        pose: (..., M, 4, 4).
        droppable: bool (..., M), frames that may go.
        valid: bool (..., M), frames that are there; all by default.

    Returns:
        int64 (...,); 0 where none may go.
    """
    position, forward = pose[..., :3, 3], pose[..., :3, 2]
    gap = torch.cdist(position, position) + (1 - forward @ forward.transpose(-1, -2))  # (..., M, M)
    same = torch.eye(pose.shape[-3], dtype=torch.bool, device=pose.device)
    gap = gap.masked_fill(same, torch.inf)
    if valid is not None:
        gap = gap.masked_fill(~valid.unsqueeze(-2), torch.inf)
        droppable = droppable & valid
    return gap.amin(-1).masked_fill(~droppable, torch.inf).argmin(-1)
