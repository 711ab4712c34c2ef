"""Validation of poses by reprojection: a frame warped by depth and pose must match the next frame.

Poses are valid if warping halves the error against the next frame at least, and if neither the
poses of a neighbouring tick nor a focal length that differs in x or y fits better.

Motion that the recording lacks leaves errors undetected. Straight motion says nothing about focal
lengths, motion without pitch or height nothing about the vertical one, and a constant turn rate
nothing about an offset by a tick.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mgenv.camera import Intrinsics
from mgenv.data.episode import Episode
from mgenv.errors import InvalidOptionError
from mgenv.memory.reprojection import Sources, reproject

PAIRS = 64
"""Pairs of frames to compare, by default."""
CHUNK = 32
STRIDE, TURN = 0.03, 0.01
"""Least motion of a tick that is compared, in metres and radians."""
GAIN = 2.0
"""Least factor by which warping reduces the error."""
LONGER = 1.15
"""Factor between the recorded focal length and the alternatives."""
BETTER_LENS, BETTER_TICK = 0.98, 0.9
"""Share of the error below which another lens or tick fits better. Moving objects may favour
another tick a little."""


@dataclass(frozen=True)
class PoseValidation:
    """Mean squared errors of colour in [-1, 1], over the pixels that all warps cover.

    Attributes:
        pairs: number of pairs compared.
        still: of the unmoved frame against the next.
        warped: of the frame warped by the recorded motion.
        late: of the frame warped by the motion of the tick before.
        early: of the frame warped by the motion of the tick after.
        lens: of the frame warped through another lens, the best of four.
        coverage: share of pixels that all warps cover.
    """

    pairs: int
    still: float
    warped: float
    late: float
    early: float
    lens: float
    coverage: float

    @property
    def gain(self) -> float:
        """Factor by which warping reduces the error."""
        return self.still / max(self.warped, 1e-12)

    @property
    def is_valid(self) -> bool:
        """Whether warping helps enough and no other tick or lens fits better."""
        lens, tick = self.lens / BETTER_LENS, min(self.late, self.early) / BETTER_TICK
        return self.gain >= GAIN and self.warped <= min(lens, tick)


def validate_poses(episode: Episode, pairs: int = PAIRS) -> PoseValidation:
    """Compare frames with their predecessors, warped by the recorded motion and by alternatives.

    Args:
        episode: an episode with depth.
        pairs: most pairs to compare, spread over the ticks in which the camera moves.

    Raises:
        InvalidOptionError: there is no depth, or the camera never moved.
    """
    if episode.depth is None:
        raise InvalidOptionError(f"{episode.source} {episode.name}: expected depth, got none")
    ticks = _moving(episode, pairs)
    if not len(ticks):
        raise InvalidOptionError(
            f"{episode.source} {episode.name}: expected a camera that moves, got one that stands"
        )
    parts = [
        _errors(episode, ticks[start : start + CHUNK]) for start in range(0, len(ticks), CHUNK)
    ]
    shared, *errors = torch.cat(parts, 1).double().sum(1).tolist()
    still, warped, late, early, *lenses = (error / max(shared, 1e-12) for error in errors)
    return PoseValidation(len(ticks), still, warped, late, early, min(lenses), shared / len(ticks))


def _moving(episode: Episode, pairs: int) -> NDArray[np.int64]:
    """Ticks from which the camera moves, evenly chosen; one is before and two are after each."""
    motion = episode.motion
    moved = np.linalg.norm(motion[:, :3], axis=1) > STRIDE
    moved |= np.abs(motion[:, 3:]).max(1) > TURN
    ticks = np.flatnonzero(moved[1:-2]) + 1
    return ticks[np.linspace(0, len(ticks) - 1, min(pairs, len(ticks))).round().astype(int)]


def _errors(episode: Episode, ticks: NDArray[np.int64]) -> Tensor:
    """Share of pixels that all warps know, and the errors there: (9, B).

    Still, warped, late, early, and through each of four other lenses.
    """
    frames = (torch.as_tensor(episode.rgb[t]).permute(0, 3, 1, 2) for t in (ticks, ticks + 1))
    now, after = (frame.float() / 127.5 - 1 for frame in frames)  # (B, 3, H, W)
    warps = [_warp(episode, ticks, now, shift, episode.intrinsics) for shift in (0, -1, 1)]
    warps += [_warp(episode, ticks, now, 0, lens) for lens in _other_lenses(episode.intrinsics)]
    known = torch.stack([mask for _, mask in warps]).prod(0)  # (B, 1, H, W)
    shown = [now, *(rgb for rgb, _ in warps)]
    errors = [((rgb - after).square() * known).mean((1, 2, 3)) for rgb in shown]
    return torch.stack([known.mean((1, 2, 3)), *errors])


def _other_lenses(lens: Intrinsics) -> list[Intrinsics]:
    """Lenses of longer and shorter focal length, in x and in y."""
    scales = ((LONGER, 1.0), (1 / LONGER, 1.0), (1.0, LONGER), (1.0, 1 / LONGER))
    return [replace(lens, fx=lens.fx * x, fy=lens.fy * y) for x, y in scales]


def _warp(
    episode: Episode, ticks: NDArray[np.int64], rgb: Tensor, shift: int, lens: Intrinsics
) -> tuple[Tensor, Tensor]:
    """Frames (B, 3, H, W) as the next would see them, and where that is known (B, 1, H, W).

    Args:
        shift: ticks from a frame to the one whose pose it is taken for.
    """
    assert episode.depth is not None
    depth = torch.as_tensor(episode.depth[ticks]).float()
    pose = torch.tensor(episode.pose)
    here, there = pose[ticks + shift], pose[ticks + shift + 1]
    sources = Sources(rgb[:, None], depth[:, None], here[:, None], torch.ones(len(ticks), 1))
    canvas = reproject(sources, there, lens)
    return canvas.rgb, canvas.mask
