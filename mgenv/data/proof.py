"""Poses proved by reprojection: a frame moved by its depth and pose must look like the next.

If poses, depth, lens and pictures belong together, each frame warped into the view of the next
misses it by less than half of what the unmoved frame does; and if they belong to the same tick,
poses of the tick before do worse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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


@dataclass(frozen=True)
class Proof:
    """Mean squared errors of colour in [-1, 1], over the same pixels, those that frames share.

    Attributes:
        pairs: how many pairs of frames were compared.
        still: of the unmoved frame against the next.
        warped: of the frame warped by the recorded motion.
        late: of the frame warped by the motion of the tick before.
        coverage: share of pixels that frames share.
    """

    pairs: int
    still: float
    warped: float
    late: float
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
        """Whether warping helps at least twofold, and more than with poses of another tick."""
        return self.gain >= GAIN and self.warped < self.late


def prove_poses(episode: Episode, pairs: int = PAIRS) -> Proof:
    """Compare frames with those before, moved by the recorded motion, unmoved, and moved late.

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
    still, warped, late = (error / max(shared, 1e-12) for error in errors)
    return Proof(len(ticks), still, warped, late, shared / len(ticks))


def _moving(episode: Episode, pairs: int) -> NDArray[np.int64]:
    """Ticks t > 0 from which the camera moves to t + 1, evenly chosen."""
    motion = episode.motion
    moved = np.linalg.norm(motion[:, :3], axis=1) > STRIDE
    moved |= np.abs(motion[:, 3:]).max(1) > TURN
    ticks = np.flatnonzero(moved[1:-1]) + 1
    return ticks[np.linspace(0, len(ticks) - 1, min(pairs, len(ticks))).round().astype(int)]


def _errors(episode: Episode, ticks: NDArray[np.int64]) -> Tensor:
    """Share of pixels both warps know, and there the errors still, warped and late: (4, B)."""
    frames = (torch.as_tensor(episode.rgb[t]).permute(0, 3, 1, 2) for t in (ticks, ticks + 1))
    now, after = (frame.float() / 127.5 - 1 for frame in frames)  # (B, 3, H, W)
    pose = torch.as_tensor(episode.pose)
    warped, known = _warp(episode, ticks, now, pose[ticks], pose[ticks + 1])
    late, known_late = _warp(episode, ticks, now, pose[ticks - 1], pose[ticks])
    both = known * known_late  # (B, 1, H, W)
    errors = [((shown - after).square() * both).mean((1, 2, 3)) for shown in (now, warped, late)]
    return torch.stack([both.mean((1, 2, 3)), *errors])


def _warp(
    episode: Episode, ticks: NDArray[np.int64], rgb: Tensor, here: Tensor, there: Tensor
) -> tuple[Tensor, Tensor]:
    """Frames (B, 3, H, W) taken at ``here`` as seen from ``there``, and where they are known."""
    assert episode.depth is not None
    depth = torch.as_tensor(episode.depth[ticks]).float()
    sources = Sources(rgb[:, None], depth[:, None], here[:, None], torch.ones(len(ticks), 1))
    canvas = reproject(sources, there, episode.intrinsics)
    return canvas.rgb, canvas.mask
