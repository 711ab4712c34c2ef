"""Poses proved by reprojection: a frame moved by its depth and pose must look like the next.

If poses, depth, lens and pictures belong together, each frame warped into the view of the next
misses it by less than half of what the unmoved frame does, and neither poses of the tick before or
after nor a lens that is longer or shorter in x or y does better.

What no motion in the recording shows cannot be told: a camera that only walks ahead says nothing of
its focal lengths, one that never tilts, rises or falls nothing of the vertical one, and one that
turns at the same rate all the time nothing of the tick.
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
"""Pairs of frames that are looked at."""
CHUNK = 32
STRIDE, TURN = 0.03, 0.01
"""Metres or radians that a tick must move the camera to prove anything."""
GAIN = 2.0
"""Times that warping must reduce the error."""
LONGER = 1.15
"""Times which other lenses are longer or shorter."""
BETTER_LENS, BETTER_TICK = 0.98, 0.9
"""Of the error, below which another lens or tick explains clearly more; what moves in the pictures
by itself may favour another tick by a little."""


@dataclass(frozen=True)
class Proof:
    """Mean squared errors of colour in [-1, 1], over the same pixels, those that frames share.

    Attributes:
        pairs: how many pairs of frames were compared.
        still: of the unmoved frame against the next.
        warped: of the frame warped by the recorded motion.
        late: of the frame warped by the motion of the tick before.
        early: of the frame warped by the motion of the tick after.
        lens: of the frame warped through another lens, the best of four.
        coverage: share of pixels that frames share.
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
        """How many times warping reduces the error."""
        return self.still / max(self.warped, 1e-12)

    @property
    def late_gain(self) -> float:
        """The same with the poses of the tick before."""
        return self.still / max(self.late, 1e-12)

    @property
    def holds(self) -> bool:
        """Whether warping helps at least twofold, and neither other poses nor lenses help more."""
        lens, tick = self.lens / BETTER_LENS, min(self.late, self.early) / BETTER_TICK
        return self.gain >= GAIN and self.warped <= min(lens, tick)


def prove_poses(episode: Episode, pairs: int = PAIRS) -> Proof:
    """Compare frames with those before: moved by the recorded motion, unmoved, moved otherwise.

    Args:
        episode: any with depth.
        pairs: how many pairs at most, spread over the ticks in which the camera moved.

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
    return Proof(len(ticks), still, warped, late, early, min(lenses), shared / len(ticks))


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
    """Longer and shorter ones, in x and in y."""
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
    pose = torch.as_tensor(episode.pose)
    here, there = pose[ticks + shift], pose[ticks + shift + 1]
    sources = Sources(rgb[:, None], depth[:, None], here[:, None], torch.ones(len(ticks), 1))
    canvas = reproject(sources, there, lens)
    return canvas.rgb, canvas.mask
