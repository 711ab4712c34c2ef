"""Occupancy of points from votes of remembered frames, as scalar functions.

A frame votes on a point by comparing the point's depth with what the frame shows in its direction:
the point lies before, on or behind a surface, is seen through, or is hidden, of which the frame
says nothing. Near frames resolve more and count more. Loops and CUDA kernels call these functions,
so both judge alike. After the fusion of depth maps by truncated signed distances (Curless and
Levoy, 1996), at single points.

A frame's lens is (fx, fy, cx, cy), normalised; its pose float32 (4, 4), camera-to-world.
"""

from __future__ import annotations

import math

import numpy as np

from mgenv.camera import CAMERA_HEIGHT
from mgenv.engine.motion.collision import HIGHEST, LOWEST
from mgenv.engine.scene.baking import BODY_ABOVE, BODY_BELOW, ROBOT_RADIUS
from mgenv.jit import pixel_function

f32 = np.float32
ZERO, ONE, HALF = f32(0.0), f32(1.0), f32(0.5)

CELL, LAYER = f32(0.025), f32(0.1)
"""Side and height of a voxel [m]."""

NEAREST, FARTHEST = f32(0.05), f32(6.0)
"""Depths between which a frame votes [m]."""

TOLERANCE, SLOPE = f32(0.05), f32(0.04)
"""A surface agrees with a point to this depth [m], and so much more a metre away."""

DOUBT = f32(0.25)
"""Something is at a point of which the mean vote, of -1 to 1, is above minus this."""

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
    """World coordinates of the surface in pixel (i, j) of a frame, and whether there is one."""
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
    """A frame's vote on a point: positive in or behind a surface, negative in free space.

    A truncated signed distance along the view: 0 on the surface that the frame shows, so that many
    frames with noise in their depth agree on where it is. Of the 3 × 3 pixels around, the one that
    fits best counts, and only what all of them see through is empty: a thin object beside a
    background stands as long as any pixel shows it.

    Returns:
        The vote and its weight; both 0 where the frame does not tell.
    """
    u, v, far = into_frame(pose, lens, x, y, z)
    height, width = depth.shape
    if not (u >= ZERO and u < ONE and v >= ZERO and v < ONE and far < FARTHEST):
        return ZERO, ZERO
    i, j = int(v * f32(height)), int(u * f32(width))
    near, weight = TOLERANCE + SLOPE * far, ONE / (HALF + far)
    least, off = f32(1e4), depth[i, j] - far
    if not (depth[i, j] > NEAREST and abs(off) < near):
        off = near
    for row in range(max(i - 1, 0), min(i + 2, height)):
        for column in range(max(j - 1, 0), min(j + 2, width)):
            shown = depth[row, column]
            if shown > NEAREST:
                least = min(least, shown)
                if off == near and abs(shown - far) < near:
                    off = shown - far
    if off < near:
        return -weight * off / near, weight
    if least < f32(1e4) and least > far + near:
        return -weight, weight
    return ZERO, ZERO


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


# -- around a robot ------------------------------------------------------------------------------

SOURCES = 10
"""Remembered frames that are asked about a robot's surroundings."""

STRIDE = 0.25
"""Longest motion that is swept at once [m]."""

SIDE = 42
"""Columns of voxels along a side of the map around a robot: its radius and a stride, both ways."""

LAYERS = 13
"""Voxels of a column: a body's height, and a stride up or down."""

PARTS = f32(128.0)
"""Of a voxel's side, in which surfaces are told apart."""

REACH = f32(ROBOT_RADIUS + STRIDE + 0.02)
"""What is farther away does not matter to one stride [m]."""

MAX_OBSTACLES = 1536
OBSTACLE_SIZE = 8
"""Columns of an obstacle that :func:`mgenv.engine.motion.collision.sweep` reads."""

PROBE_ACROSS, PROBE_HIGH, PROBE_LOW = f32(0.3), f32(-0.1), f32(-0.7)
"""Where frames are asked whether they see a robot's surroundings, from its camera [m]."""

GENERATED_VOTE = f32(0.1)
"""What a generated frame's vote is worth beside an observed one's."""

FEW = 4
"""With so many observed frames around a robot, the newest generated frame is not asked."""

FLOOR_MARGIN = f32(0.12)
"""Surfaces this low above the floor [m] are no obstacles: depth is not exact."""

MIDDLE = 8.0
"""Where a robot stands on the empty map that its motion is swept on [m]."""


@pixel_function
def sees_around(points, pose, lens, x, y, z):
    """How well a frame shows the surroundings of a camera position; near probes count more.

    Args:
        points: (S², 7), the frame's surface points on a lattice of S × S, depth in column 3.
    """
    total, side = ZERO, f32(math.sqrt(f32(len(points))))
    for n in range(8):
        px = x + (PROBE_ACROSS if n & 1 else -PROBE_ACROSS)
        py = y + (PROBE_ACROSS if n & 2 else -PROBE_ACROSS)
        pz = z + (PROBE_HIGH if n & 4 else PROBE_LOW)
        u, v, far = into_frame(pose, lens, px, py, pz)
        if u >= ZERO and u < ONE and v >= ZERO and v < ONE and far < FARTHEST:
            shown = points[int(v * side) * int(side) + int(u * side), 3]
            if shown > far - (f32(0.2) + SLOPE * far):
                total += ONE / (HALF + far)
    return total


@pixel_function
def column_origin(x):
    """The first column of the map around a robot, along an axis: a multiple of CELL."""
    return int(math.floor(x / CELL)) - SIDE // 2


@pixel_function
def depths_around(pose, x, y, bottom, top):
    """The least and greatest depth that a frame can show of the map around a robot [m]."""
    across = f32(0.5) * f32(SIDE) * CELL + CELL
    middle, half = HALF * (bottom + top), HALF * (top - bottom)
    x, y, z = x - pose[0, 3], y - pose[1, 3], middle - pose[2, 3]
    depth = x * pose[0, 2] + y * pose[1, 2] + z * pose[2, 2]
    span = across * (abs(pose[0, 2]) + abs(pose[1, 2])) + half * abs(pose[2, 2])
    return depth - span, depth + span


@pixel_function
def voxel_of(depth, pose, lens, i, j, left, front, bottom, top, near, far):
    """Voxel of a pixel's surface on the map around a robot.

    Args:
        near, far: from :func:`depths_around`.

    Returns:
        The number of its voxel, -1 for none, and a key that tells the surface's place in it to a
        hundredth of a voxel: of several keys the greatest is kept, the highest surface.
    """
    if not (depth[i, j] > near and depth[i, j] < far):
        return -1, 0
    x, y, z, known = surface_at(depth, pose, lens, i, j)
    fx, fy, fz = x / CELL - f32(left), y / CELL - f32(front), (z - bottom) / LAYER
    if not (known and z < top and fx >= ZERO and fy >= ZERO and fz >= ZERO):
        return -1, 0
    a, b, n = int(fx), int(fy), int(fz)
    if a >= SIDE or b >= SIDE or n >= LAYERS:
        return -1, 0
    key = int((fz - f32(n)) * PARTS) << 14
    key |= int((fx - f32(a)) * PARTS) << 7 | int((fy - f32(b)) * PARTS)
    return (b * SIDE + a) * LAYERS + n, key + 1


@pixel_function
def surface_of(key, cell, n, left, front, bottom):
    """World coordinates [m] of the surface that is coded in a voxel's key."""
    key -= 1
    x = f32(left + cell % SIDE) + (f32((key >> 7) & 127) + HALF) / PARTS
    y = f32(front + cell // SIDE) + (f32(key & 127) + HALF) / PARTS
    z = f32(n) + (f32(key >> 14) + HALF) / PARTS
    return x * CELL, y * CELL, bottom + z * LAYER


@pixel_function
def occupied_layers(keys, cell, depth, pose, worth, lens, left, front, bottom):
    """Bits of the layers of a column, whose keys are (LAYERS,), that votes find occupied.

    Args:
        depth, pose: of K frames, (K, H, W) and (K, 4, 4).
        worth: (K,) of their votes, 0 where there is none.
    """
    bits = 0
    for n in range(LAYERS):
        if keys[n] > 0:
            total, weight = ZERO, ZERO
            x, y, z = surface_of(keys[n], cell, n, left, front, bottom)
            for k in range(len(worth)):
                if worth[k] > ZERO:
                    value, own = vote(depth[k], pose[k], lens, x, y, z)
                    total += worth[k] * value
                    weight += worth[k] * own
            if total > -DOUBT * weight:
                bits |= 1 << n
    return bits


@pixel_function
def frame_worth(observed):
    """Weight of a frame's votes."""
    return ONE if observed else GENERATED_VOTE


@pixel_function
def body_band(z, floor, rise):
    """Vertical extent of the map around a body that rises by ``rise`` on its way.

    Args:
        z: height of the camera [m]; floor: of the floor under it, -1e4 where unknown.

    Returns:
        The camera's height above the floor as the sweep takes it, and the heights between which
        surfaces stop the body [m].
    """
    bottom, top = z - f32(BODY_BELOW), z + f32(BODY_ABOVE)
    above = f32(CAMERA_HEIGHT)
    if floor > f32(-1e3):
        above = min(max(z - floor, f32(LOWEST)), f32(HIGHEST))
    bottom, top = bottom + min(rise, ZERO), top + max(rise, ZERO)
    if floor > f32(-1e3):
        bottom = max(bottom, floor + FLOOR_MARGIN)
    return above, bottom, top


@pixel_function
def list_obstacles(columns, keys, x, y, z, left, front, bottom, above, obstacles):
    """Write occupied columns as upright lines, one for each run of layers.

    Args:
        columns: (SIDE²,) of bits; keys: (voxels,).
        x, y, z: the camera [m], which stands in the middle of the sweep's map, ``above`` the floor.
        left, front: the map's first column; bottom: of its first layer [m].
        obstacles: (MAX_OBSTACLES, OBSTACLE_SIZE), filled.

    Returns:
        How many there are.
    """
    count = 0
    for cell in range(SIDE * SIDE):
        bits, n = columns[cell], 0
        across = (f32(left + cell % SIDE) + HALF) * CELL - x
        along = (f32(front + cell // SIDE) + HALF) * CELL - y
        if across * across + along * along > REACH * REACH:
            continue
        while bits >> n and count < MAX_OBSTACLES:
            while not (bits >> n) & 1:
                n += 1
            first = n
            while (bits >> n) & 1:
                n += 1
            row, key = obstacles[count], keys[cell * LAYERS + n - 1]
            px, py, high = surface_of(key, cell, n - 1, left, front, bottom)
            low = bottom + f32(first) * LAYER
            row[0], row[1], row[2] = ONE, px - x + f32(MIDDLE), py - y + f32(MIDDLE)
            row[3] = HALF * (low + high) - z + above
            row[4], row[5] = ZERO, ZERO
            row[6] = HALF * (high - low)
            row[7] = ONE
            count += 1
    return count
