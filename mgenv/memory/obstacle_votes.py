"""Whether something stands at a point: what remembered frames say of it, as scalar functions.

A frame votes on a point by comparing the point's depth with what the frame shows in its direction:
it *agrees* where it shows a surface there, *sees through* where it shows one clearly behind, and
says nothing where the point is hidden. Near frames resolve more and count more. Loops and CUDA
kernels call these functions, so both judge alike. After projective fusion of depth maps (Curless
and Levoy, 1996), with votes in place of distances.

A frame's lens is (fx, fy, cx, cy), normalised; its pose float32 (4, 4), camera-to-world.
"""

from __future__ import annotations

import math

import numpy as np

from mgenv.engine.compiling import pixel_function

f32 = np.float32
ZERO, ONE, HALF = f32(0.0), f32(1.0), f32(0.5)

CELL, LAYER = f32(0.05), f32(0.1)
"""Side and height of a voxel [m]."""

NEAREST, FARTHEST = f32(0.05), f32(6.0)
"""Depths between which a frame votes [m]."""

TOLERANCE, SLOPE = f32(0.05), f32(0.04)
"""A surface agrees with a point to this depth [m], and so much more a metre away."""

FLOOR_BINS, FLOOR_BIN = 64, f32(0.05)
"""Of the histogram of heights that finds the floor, and their size [m]."""


@pixel_function
def into_frame(pose, lens, x, y, z):
    """World point to image coordinates u, v in [0, 1] and depth [m]; outside where behind."""
    x, y, z = x - pose[0, 3], y - pose[1, 3], z - pose[2, 3]
    depth = x * pose[0, 2] + y * pose[1, 2] + z * pose[2, 2]
    if not depth > NEAREST:
        return -ONE, -ONE, depth
    u = (x * pose[0, 0] + y * pose[1, 0] + z * pose[2, 0]) / depth
    v = (x * pose[0, 1] + y * pose[1, 1] + z * pose[2, 1]) / depth
    return u * lens[0] + lens[2], v * lens[1] + lens[3], depth


@pixel_function
def surface_at(depth, pose, lens, i, j):
    """World coordinates of the surface that pixel (i, j) of a frame shows, and whether it does."""
    height, width = depth.shape
    d = f32(depth[i, j])
    x = ((f32(j) + HALF) / f32(width) - lens[2]) / lens[0] * d
    y = ((f32(i) + HALF) / f32(height) - lens[3]) / lens[1] * d
    wx = pose[0, 0] * x + pose[0, 1] * y + pose[0, 2] * d + pose[0, 3]
    wy = pose[1, 0] * x + pose[1, 1] * y + pose[1, 2] * d + pose[1, 3]
    wz = pose[2, 0] * x + pose[2, 1] * y + pose[2, 2] * d + pose[2, 3]
    return wx, wy, wz, d > NEAREST and d < FARTHEST


@pixel_function
def vote(depth, pose, lens, x, y, z):
    """What a frame says of a point: above 0 that something is there, below 0 that nothing is.

    The nearest of the 3 × 3 pixels around decides what is seen through, so that a thin object
    beside a background counts as long as any of its pixels is left.
    """
    u, v, far = into_frame(pose, lens, x, y, z)
    height, width = depth.shape
    if not (u >= ZERO and u < ONE and v >= ZERO and v < ONE and far < FARTHEST):
        return ZERO
    i, j = int(v * f32(height)), int(u * f32(width))
    near = TOLERANCE + SLOPE * far
    least, agrees = f32(1e4), False
    for row in range(max(i - 1, 0), min(i + 2, height)):
        for column in range(max(j - 1, 0), min(j + 2, width)):
            shown = f32(depth[row, column])
            if shown > NEAREST:
                least = min(least, shown)
                agrees = agrees or abs(shown - far) < near
    weight = ONE / (HALF + far)
    if agrees:
        return weight
    if least < f32(1e4) and least > far + near:
        return -weight
    return ZERO


@pixel_function
def floor_bin(z, reference):
    """Bin of a height [m] below ``reference``, the camera's; -1 outside."""
    below = (reference - z) / FLOOR_BIN
    if below >= f32(4.0) and below < f32(FLOOR_BINS):
        return int(math.floor(below))
    return -1


@pixel_function
def floor_below(histogram, reference):
    """Height [m] of the floor: the fullest three bins of (FLOOR_BINS,); -1e4 where all are empty.

    Of a tie, the higher.
    """
    best, most = -1, 0
    for n in range(1, FLOOR_BINS - 1):
        count = histogram[n - 1] + histogram[n] + histogram[n + 1]
        if count > most:
            best, most = n, count
    if best < 0:
        return f32(-1e4)
    total = f32(0.0)
    for n in range(best - 1, best + 2):
        total += f32(histogram[n]) * (f32(n) + HALF)
    return reference - total / f32(most) * FLOOR_BIN
