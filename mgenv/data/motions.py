"""Motions from poses, for recordings without actions."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mgenv.camera import MOTION_SIZE


def motions_of(pose: NDArray[np.float32]) -> NDArray[np.float32]:
    """Motions (T, 5) between poses (T, 4, 4), along the heading at each; the last is 0.

    The inverse of :meth:`mgenv.camera.Pose.move` for cameras that do not roll: forward, left and up
    [m], yaw and pitch [rad].
    """
    place = pose.astype(np.float64)
    yaw = np.arctan2(place[:, 1, 2], place[:, 0, 2])
    pitch = np.arcsin(place[:, 2, 2].clip(-1.0, 1.0))
    step = place[1:, :3, 3] - place[:-1, :3, 3]
    cos, sin = np.cos(yaw[:-1]), np.sin(yaw[:-1])
    motion = np.zeros((len(pose), MOTION_SIZE), np.float32)
    motion[:-1, 0] = step[:, 0] * cos + step[:, 1] * sin
    motion[:-1, 1] = step[:, 1] * cos - step[:, 0] * sin
    motion[:-1, 2] = step[:, 2]
    motion[:-1, 3] = (np.diff(yaw) + math.pi) % (2 * math.pi) - math.pi
    motion[:-1, 4] = np.diff(pitch)
    return motion
