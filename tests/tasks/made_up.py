"""Made-up geometry: a flat with a wall across it, drawn as depth pictures by a ray caster."""

from __future__ import annotations

import numpy as np
import torch

from mgenv.camera import DEFAULT_INTRINSICS, Pose
from mgenv.tasks import Place
from mgenv.worlds.base import Frame

SIZE = 48
HEIGHT = 2.5

WALLS = ((-3.0, -2.0, -2.9, 2.0), (2.9, -2.0, 3.0, 2.0), (-3.0, -2.0, 3.0, -1.9),
         (-3.0, 1.9, 3.0, 2.0), (-0.1, -2.0, 0.1, 1.0))  # fmt: skip
"""Boxes (x, y, x, y) [m]: a room of 6 m by 4 m, and a wall at x = 0 with a gap at y > 1."""


def pose(x: float, y: float, yaw: float = 0.0) -> np.ndarray:
    return Pose.create(torch.tensor([x, y, 1.0]), torch.tensor(float(yaw))).matrix.numpy()


def depth(view: np.ndarray) -> np.ndarray:
    """What a camera sees of the flat: (SIZE, SIZE) [m]."""
    rays = DEFAULT_INTRINSICS.rays(SIZE, SIZE).numpy() @ view[:3, :3].T  # (H, W, 3)
    with np.errstate(divide="ignore", invalid="ignore"):
        flat = np.where(rays[..., 2] < 0, -view[2, 3], HEIGHT - view[2, 3]) / rays[..., 2]
        near = np.where(np.isfinite(flat) & (flat > 0), flat, 20.0)
        for x0, y0, x1, y1 in WALLS:
            a = (np.array([x0, y0]) - view[:2, 3]) / rays[..., :2]
            b = (np.array([x1, y1]) - view[:2, 3]) / rays[..., :2]
            enter, leave = np.minimum(a, b).max(-1), np.maximum(a, b).min(-1)
            near = np.where((enter < leave) & (enter > 0) & (enter < near), enter, near)
    return near.astype(np.float32)


def flat() -> Place:
    """The flat as a walk through both its rooms remembers it; each frame in a colour of its own."""
    spots = [(x, y) for x in (-2.2, -1.2, 1.2, 2.2) for y in (-1.2, 0.0, 1.4)] + [(0.0, 1.5)]
    poses = np.stack([pose(x, y, turn * np.pi / 2) for x, y in spots for turn in range(4)])
    rgb = np.stack([np.full((8, 8, 3), index, np.uint8) for index in range(len(poses))])
    return Place(rgb, poses, np.stack([depth(view) for view in poses]))


def frame(*poses: np.ndarray, bumped: bool = False) -> Frame:
    """What slots at ``poses`` would see, without pictures."""
    n = len(poses)
    rgb, far = np.zeros((n, 8, 8, 3), np.uint8), np.ones((n, 8, 8), np.float32)
    return Frame(rgb, far, np.stack(poses), np.full(n, bumped), np.zeros(n, np.float32))
