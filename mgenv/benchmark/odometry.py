"""Visual odometry: camera motion between two frames, from colour and depth alone.

Direct alignment with depth (Kerl, Sturm and Cremers, 2013), of a level camera: the points of one
frame are moved and looked up in the other, whose colour and depth they should have. A coarse
search over all motions of a step finds where to start, so that nothing is known beforehand;
Levenberg's method refines the best few. A motion is (forward, left [m], yaw [rad]) along the first
frame's heading: a translation, then a turn.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mgenv.camera import DEFAULT_INTRINSICS, full_precision

FORWARD, LEFT = (-0.3, 0.3, 7), (-0.3, 0.3, 7)
TURN = (-math.radians(22.5), math.radians(22.5), 19)
"""Least, greatest and number of motions of the coarse search."""

STARTS = (12, 3)
"""Number of motions kept after the coarse search, and after the first refinement."""

COLOUR, DEPTH = 0.08, 0.04
"""Differences of grey (full scale 1) and of log depth that count alike."""

LEAST_SEEN, LONGEST = 0.15, 0.32
"""A motion leaves that share of the first frame in view of the second, and is so long at most [m]:
a robot's step is 0.25 m."""

ITERATIONS = 10
_STEP = 1e-3
_PAIRS = 64
"""Pairs of frames that are aligned at once."""


class Views(NamedTuple):
    """Frames of P pairs at one resolution.

    Attributes:
        points: of the first frames, (P, M, 3), camera's axes [m].
        shown: grey and log depth of those points, (P, M, 2).
        known: bool (P, M), whether they have a depth.
        image: the second frames' grey and log depth, (P, 2, h, w).
    """

    points: Tensor
    shown: Tensor
    known: Tensor
    image: Tensor


@full_precision
@torch.no_grad()
def recover_motion(rgb: Tensor, depth: Tensor, next_rgb: Tensor, next_depth: Tensor) -> Tensor:
    """Motions between pairs of frames: float32 (P, 3), forward, left [m], yaw [rad, left +].

    Args:
        rgb, next_rgb: uint8 (P, H, W, 3).
        depth, next_depth: (P, H, W) [m], 0 where unknown.
    """
    parts = [part.split(_PAIRS) for part in (rgb, depth, next_rgb, next_depth)]
    return torch.cat([_recover(*part) for part in zip(*parts, strict=True)])


def _recover(rgb: Tensor, depth: Tensor, next_rgb: Tensor, next_depth: Tensor) -> Tensor:
    first, second = _channels(rgb, depth), _channels(next_rgb, next_depth)  # (P, 2, H, W)
    coarse, middle, fine = (_views(first, second, shrink) for shrink in (4, 2, 1))
    motion = _refine(coarse, _search(coarse))  # (P, K, 3)
    motion = _refine(middle, _best(middle, motion, STARTS[1]))
    return _refine(fine, _best(middle, motion, 1))[:, 0]


def _best(views: Views, motion: Tensor, count: int) -> Tensor:
    """The cheapest of motions (P, K, 3): (P, count, 3)."""
    chosen = _cost(views, motion).topk(count, 1, largest=False).indices
    return motion.gather(1, chosen[..., None].expand(-1, -1, 3))


def _channels(rgb: Tensor, depth: Tensor) -> Tensor:
    """Grey in [0, 1] and log depth, (P, 2, H, W); -inf where there is none."""
    return torch.stack([rgb.float().mean(-1) / 255, depth.float().log()], 1)


def _views(first: Tensor, second: Tensor, shrink: int) -> Views:
    """Frames made smaller by a whole number; a pixel's depth is that of the nearest there."""
    first, second = _shrunk(first, shrink), _shrunk(second, shrink)
    log_depth = first[:, 1]
    points = DEFAULT_INTRINSICS.unproject(log_depth.exp()).flatten(1, 2)  # (P, M, 3)
    return Views(points, first.flatten(2).mT, log_depth.flatten(1).isfinite(), second)


def _shrunk(image: Tensor, shrink: int) -> Tensor:
    grey, near = image[:, :1], -image[:, 1:]
    near = F.max_pool2d(near.nan_to_num(-1e4, -1e4, -1e4), shrink)
    return torch.cat([F.avg_pool2d(grey, shrink), (-near).masked_fill(near < -1e3, -math.inf)], 1)


def _search(views: Views) -> Tensor:
    """The best few motions of a lattice: (P, K, 3)."""
    axes = [torch.linspace(*span).tolist() for span in (FORWARD, LEFT, TURN)]
    motions = [motion for motion in itertools.product(*axes) if math.hypot(*motion[:2]) < LONGEST]
    lattice = torch.tensor(motions, device=views.points.device)
    pairs = len(views.points)
    parts = [_cost(views, part.expand(pairs, -1, -1)) for part in lattice.split(128)]
    return lattice[torch.cat(parts, 1).topk(STARTS[0], 1, largest=False).indices]


def _refine(views: Views, motion: Tensor) -> Tensor:
    """Levenberg's method on the weighted residuals of motions (P, K, 3)."""
    damping = torch.full_like(motion[..., :1, None], 1e-2)  # (P, K, 1, 1)
    cost = _cost(views, motion)
    for _ in range(ITERATIONS):
        normal, slope = _normal_equations(views, motion)
        diagonal = torch.diag_embed(normal.diagonal(dim1=-2, dim2=-1) + 1e-6)
        change = torch.linalg.solve_ex(normal + damping * diagonal, -slope)[0][..., 0].nan_to_num()
        tried = motion + change.clamp(-0.1, 0.1)
        tried_cost = _cost(views, tried)
        better = tried_cost < cost
        motion = torch.where(better[..., None], tried, motion)
        cost = torch.where(better, tried_cost, cost)
        damping = torch.where(better[..., None, None], damping / 3, damping * 4).clamp(1e-4, 1e6)
    return motion


def _normal_equations(views: Views, motion: Tensor) -> tuple[Tensor, Tensor]:
    """Of the residuals at ``motion`` (P, K, 3): (P, K, 3, 3) and (P, K, 3, 1)."""
    residual, weight = _residuals(views, motion)  # (P, K, M, 2)
    columns = []
    for axis in range(3):
        shift = torch.zeros_like(motion)
        shift[..., axis] = _STEP
        ahead, behind = _residuals(views, motion + shift), _residuals(views, motion - shift)
        both = (ahead[1] > 0) & (behind[1] > 0)
        columns.append(((ahead[0] - behind[0]) / (2 * _STEP)).masked_fill(~both, 0.0))
    jacobian = torch.stack(columns, -1).flatten(2, 3)  # (P, K, 2M, 3)
    weighted = jacobian * (weight / (1 + residual.square()).square()).flatten(2)[..., None]
    return weighted.mT @ jacobian, weighted.mT @ residual.flatten(2)[..., None]


def _cost(views: Views, motion: Tensor) -> Tensor:
    """Mean of Geman and McClure's robust loss: (P, K); inf where a motion cannot be."""
    residual, weight = _residuals(views, motion)
    square = residual.square()
    seen = weight[..., 0].mean(-1)
    loss = (weight * square / (1 + square)).mean((-1, -2)) / seen.clamp_min(1e-6)
    far = motion[..., :2].norm(dim=-1) > LONGEST
    return loss.masked_fill((seen < LEAST_SEEN) | far, math.inf)


def _residuals(views: Views, motion: Tensor) -> tuple[Tensor, Tensor]:
    """Differences of grey and log depth, and 1 where both frames show the point: (P, K, M, 2)."""
    moved = _moved(views.points, motion)  # (P, K, M, 3)
    where, far = DEFAULT_INTRINSICS.project(moved)
    grid = where * 2 - 1
    read = F.grid_sample(
        views.image.nan_to_num(neginf=-1e4), grid.clamp(-3, 3), align_corners=False,
        padding_mode="border",
    ).movedim(1, -1)  # fmt: skip
    inside = (grid.abs() < 1).all(-1) & views.known[:, None] & (read[..., 1] > -100)
    expected = torch.stack([views.shown[:, None, :, 0].expand_as(far), far.clamp_min(1e-4).log()])
    residual = (read - expected.movedim(0, -1)) / read.new_tensor([COLOUR, DEPTH])
    return residual.masked_fill(~inside[..., None], 0.0), inside[..., None].expand_as(read).float()


def _moved(points: Tensor, motion: Tensor) -> Tensor:
    """Points (P, M, 3) as seen after motions (P, K, 3): (P, K, M, 3)."""
    forward, left, yaw = (part[..., None] for part in motion.unbind(-1))  # (P, K, 1)
    x, y, z = (part[:, None] for part in points.unbind(-1))  # (P, 1, M)
    ahead, aside = z - forward, -x - left
    new_ahead = ahead * yaw.cos() + aside * yaw.sin()
    new_aside = aside * yaw.cos() - ahead * yaw.sin()
    return torch.stack([-new_aside, y.expand_as(new_ahead), new_ahead], -1)
