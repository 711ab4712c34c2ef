"""Collision of a body, a disc of 0.2 m, that slides along walls and objects."""

from __future__ import annotations

import math

import numpy as np

from mgenv.engine.estates.terrain import height_at
from mgenv.engine.scene.baking import ROBOT_RADIUS, overlap
from mgenv.jit import compiled

LOWEST, HIGHEST = 0.3, 2.3
"""Range of the camera's height above the floor [m]."""
_STRIDE = 0.08
_PUSHES = 4
FURTHEST = 32.0
"""No body gets further than this in one motion [m]: the map is 16 m wide."""
_TOUCH = 1e-3


@compiled
def _slide(cells, ground, objects, count, x, y, z, push):
    """Push a body out of what it overlaps: (x, y, whether it is free now)."""
    for _ in range(_PUSHES):
        depth = overlap(cells, ground, objects, count, x, y, z, ROBOT_RADIUS, push)
        if depth <= _TOUCH:
            return x, y, True
        x, y = x + push[0] * depth, y + push[1] * depth
    return x, y, overlap(cells, ground, objects, count, x, y, z, ROBOT_RADIUS, push) <= _TOUCH


@compiled
def _advance(cells, ground, objects, count, x, y, z, dx, dy, push):
    """One short stride; a body that is not free afterwards stays, unless it was not free before."""
    nx, ny, free = _slide(cells, ground, objects, count, x + dx, y + dy, z, push)
    far = (nx - x) * (nx - x) + (ny - y) * (ny - y) > 4.0 * _STRIDE * _STRIDE
    if free and not far:
        return nx, ny
    before = overlap(cells, ground, objects, count, x, y, z, ROBOT_RADIUS, push)
    after = overlap(cells, ground, objects, count, x + dx, y + dy, z, ROBOT_RADIUS, push)
    if before > _TOUCH and after < before:
        return x + dx, y + dy
    return x, y


@compiled
def sweep(cells, ground, objects, count, x, y, z, dx, dy, dz, push):
    """Move a body as far as walls and objects allow; on steps it rises and sinks with the floor.

    It allocates nothing, so that CUDA kernels can call it.

    Args:
        cells: uint8 (64, 64).
        ground: float32 (64, 64), the height of each cell's floor [m].
        objects: float32 (M, 8 or more), of which the first ``count`` are there.
        x, y, z: the camera's position [m].
        dx, dy, dz: the wanted displacement in the world's axes [m].
        push: float64 (2,), scratch.

    Returns:
        The new position and whether anything shortened the motion.
    """
    fx, fy = x, y
    floor = height_at(ground, x, y)
    nz = min(max(z + dz, floor + LOWEST), floor + HIGHEST)
    bumped = abs(nz - z - dz) > 1e-6
    if nz != z:
        before = overlap(cells, ground, objects, count, x, y, z, ROBOT_RADIUS, push)
        if overlap(cells, ground, objects, count, x, y, nz, ROBOT_RADIUS, push) > max(
            before, _TOUCH
        ):
            nz, bumped = z, True
    length = math.sqrt(dx * dx + dy * dy)
    cut = min(1.0, FURTHEST / max(length, 1e-9))
    strides = int(math.ceil(length * cut / _STRIDE))
    for _ in range(strides):
        fx, fy = _advance(
            cells, ground, objects, count, fx, fy, nz, dx * cut / strides, dy * cut / strides, push
        )
    nz += height_at(ground, fx, fy) - floor
    missed = (fx - x - dx) * (fx - x - dx) + (fy - y - dy) * (fy - y - dy)
    return fx, fy, nz, bumped or missed > 4.0 * _TOUCH * _TOUCH


@compiled
def collide(cells, ground, objects, count, x, y, z, dx, dy, dz):
    """:func:`sweep` with scratch of its own."""
    return sweep(cells, ground, objects, count, x, y, z, dx, dy, dz, np.empty(2))


@compiled
def collide_many(cells, ground, objects, counts, index, position, displacement, reached, bumped):
    """:func:`collide` for N bodies.

    Args:
        cells, ground, objects, counts: arrays of a scene batch, leading axis S.
        index: int64 (N,), the scene of each body.
        position, displacement: float64 (N, 3).
        reached, bumped: float64 (N, 3) and bool (N,), filled.
    """
    for n in range(len(index)):
        s = index[n]
        p, d = position[n], displacement[n]
        x, y, z, hit = collide(
            cells[s], ground[s], objects[s], counts[s, 1], p[0], p[1], p[2], d[0], d[1], d[2]
        )
        reached[n, 0], reached[n, 1], reached[n, 2], bumped[n] = x, y, z, hit


@compiled
def overlap_many(cells, ground, objects, counts, index, position, radius, depth):
    """How deep N bodies are in something: :func:`mgenv.engine.scene.baking.overlap` of each.

    Args:
        cells, ground, objects, counts: arrays of a scene batch, leading axis S.
        index: int64 (N,), the scene of each body.
        position: float64 (N, 3).
        radius: of all bodies [m].
        depth: float64 (N,), filled [m].
    """
    push = np.empty(2)
    for n in range(len(index)):
        s, p = index[n], position[n]
        depth[n] = overlap(
            cells[s], ground[s], objects[s], counts[s, 1], p[0], p[1], p[2], radius, push
        )
