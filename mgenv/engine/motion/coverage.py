"""Ground-truth coverage: the share of a view that earlier frames have shown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mgenv.jit import compiled

_SIDE = 8
"""The view is sampled at 8 × 8 points."""
_NEAR, _SLOPE = 0.15, 0.15
"""A point counts as seen if its depth in a frame differs by less than 15 cm + 15 %."""


@compiled
def _was_seen(x, y, z, points, pose, side, lens):
    """Whether a world point lies on a surface that a frame shows.

    Args:
        points: (side², …) of the frame, on a lattice of its pixels; column 3 is depth.
        pose: (4, 4) of the frame.
    """
    dx, dy, dz = x - pose[0, 3], y - pose[1, 3], z - pose[2, 3]
    depth = dx * pose[0, 2] + dy * pose[1, 2] + dz * pose[2, 2]
    if depth < 0.05:
        return False
    u = (dx * pose[0, 0] + dy * pose[1, 0] + dz * pose[2, 0]) / depth * lens[0] + lens[2]
    v = (dx * pose[0, 1] + dy * pose[1, 1] + dz * pose[2, 1]) / depth * lens[1] + lens[3]
    if u < 0.0 or u >= 1.0 or v < 0.0 or v >= 1.0:
        return False
    shown = points[int(v * side) * side + int(u * side), 3]
    return abs(depth - shown) < _NEAR + _SLOPE * shown


@compiled
def seen_share(depth, pose, points, poses, rows, lens):
    """The share of a view that frames ``rows`` have shown.

    Args:
        depth: float32 (H, W) of the view [m].
        pose: float32 (4, 4) of the view.
        points: float32 (R, P, …) of all frames, see ``mgenv.memory.geometry.surface_points``.
        poses: float32 (R, 4, 4) of all frames.
        rows: int64 (M,), the frames that count.
        lens: float64 (4,), fx, fy, cx, cy.
    """
    size, side, seen, last = depth.shape[0], int(np.sqrt(points.shape[1])), 0, 0
    for k in range(_SIDE * _SIDE):
        v, u = (k // _SIDE + 0.5) / _SIDE, (k % _SIDE + 0.5) / _SIDE
        t = depth[int(v * size), int(u * size)]
        a = ((int(u * size) + 0.5) / size - lens[2]) / lens[0] * t
        b = ((int(v * size) + 0.5) / size - lens[3]) / lens[1] * t
        x = pose[0, 0] * a + pose[0, 1] * b + pose[0, 2] * t + pose[0, 3]
        y = pose[1, 0] * a + pose[1, 1] * b + pose[1, 2] * t + pose[1, 3]
        z = pose[2, 0] * a + pose[2, 1] * b + pose[2, 2] * t + pose[2, 3]
        for n in range(len(rows)):
            m = (last + n) % len(rows)
            row = rows[m]
            if _was_seen(x, y, z, points[row], poses[row], side, lens):
                seen, last = seen + 1, m
                break
    return seen / (_SIDE * _SIDE)


def coverage(
    depth: NDArray[np.float32], pose: NDArray[np.float32], points: NDArray[np.float32],
    poses: NDArray[np.float32], rows: NDArray[np.int64], lens: NDArray[np.float64],
) -> float:  # fmt: skip
    """:func:`seen_share`; 0 where nothing is remembered."""
    return float(seen_share(depth, pose, points, poses, rows, lens)) if len(rows) else 0.0
