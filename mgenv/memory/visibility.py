"""Which remembered frames a view shows, by geometry alone, so equal in all worlds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mgenv.camera import DEFAULT_INTRINSICS, Intrinsics
from mgenv.jit import compiled

LATTICE = 16
"""A frame's surfaces are looked at in 16 × 16 of its pixels."""

VIEW = 32
"""The view is a picture of 32 × 32."""

NEAR, SLOPE = 0.15, 0.15
"""A point counts as shown unless something is more than 15 cm + 15 % nearer."""


def shown_share(
    depth: NDArray[np.float32],
    pose: NDArray[np.float32],
    view: NDArray[np.float32],
    intrinsics: Intrinsics = DEFAULT_INTRINSICS,
) -> NDArray[np.float64]:
    """The share of each frame's surfaces that a view shows: (M,).

    All frames together say what hides what.

    Args:
        depth: (M, H, W) [m].
        pose: (M, 4, 4).
        view: (4, 4), where the camera of the view is.
    """
    lens = np.array([intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy])
    depths, poses = np.ascontiguousarray(depth, np.float32), np.ascontiguousarray(pose, np.float64)
    spots = np.empty((len(poses), LATTICE * LATTICE, 3))  # pixel of the view or -1, depth, known
    shares = np.zeros(len(poses))
    _shares(depths, poses, np.ascontiguousarray(view, np.float64), lens, spots, shares)
    return shares


@compiled
def _shares(depth, pose, view, lens, spots, shares):
    nearest = np.full(VIEW * VIEW, np.inf)
    for m in range(len(pose)):
        _project(depth[m], pose[m], view, lens, spots[m], nearest)
    for m in range(len(pose)):
        known, shown = 0, 0
        for n in range(spots.shape[1]):
            pixel, far = int(spots[m, n, 0]), spots[m, n, 1]
            known += int(spots[m, n, 2])
            shown += int(pixel >= 0 and far <= nearest[pixel] * (1.0 + SLOPE) + NEAR)
        shares[m] = shown / max(known, 1)


@compiled
def _project(depth, pose, view, lens, spots, nearest):
    """Where a frame's surfaces (P, 3) lie in the view, and what they hide there."""
    height, width = depth.shape
    for n in range(LATTICE * LATTICE):
        v, u = (n // LATTICE + 0.5) / LATTICE, (n % LATTICE + 0.5) / LATTICE
        i, j = int(v * height), int(u * width)
        far = depth[i, j]
        spots[n, 0], spots[n, 1], spots[n, 2] = -1.0, 0.0, 1.0 if far > 0.0 else 0.0
        if far <= 0.0:
            continue
        a = ((j + 0.5) / width - lens[2]) / lens[0] * far
        b = ((i + 0.5) / height - lens[3]) / lens[1] * far
        x = pose[0, 0] * a + pose[0, 1] * b + pose[0, 2] * far + pose[0, 3] - view[0, 3]
        y = pose[1, 0] * a + pose[1, 1] * b + pose[1, 2] * far + pose[1, 3] - view[1, 3]
        z = pose[2, 0] * a + pose[2, 1] * b + pose[2, 2] * far + pose[2, 3] - view[2, 3]
        ahead = x * view[0, 2] + y * view[1, 2] + z * view[2, 2]
        if ahead < 0.05:
            continue
        across = (x * view[0, 0] + y * view[1, 0] + z * view[2, 0]) / ahead * lens[0] + lens[2]
        down = (x * view[0, 1] + y * view[1, 1] + z * view[2, 1]) / ahead * lens[1] + lens[3]
        if 0.0 <= across < 1.0 and 0.0 <= down < 1.0:
            pixel = int(down * VIEW) * VIEW + int(across * VIEW)
            spots[n, 0], spots[n, 1] = pixel, ahead
            nearest[pixel] = min(nearest[pixel], ahead)
