"""Intersection of one ray with a scene. Scalars and arrays only: runs on CPU and CUDA alike.

Rays are ``origin + t * direction`` with a direction of length 1 along the optical axis, so that t
is the depth. A world is a map of cells, each of which is free between its floor and its ceiling and
again above its top; walls are cells whose floor is as high as the wall. They are found cell by cell
(Amanatides & Woo, 1987); each cell lists the objects that reach into it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from mgenv.engine.homes.layout import BARRED, BEYOND, CELL, DOORWAY, GRID
from mgenv.engine.scene.shapes import FAR, hit_object
from mgenv.engine.textures.textures import whole
from mgenv.jit import ray_function

f32 = np.float32

# Columns of the room table: bounds, the lamp's rectangle and colour, kind, three materials.
BOUNDS, LAMP, LAMP_COLOUR, KIND, FLOOR_MATERIAL, WALL_MATERIAL, CEILING_MATERIAL = (
    0,
    4,
    8,
    11,
    12,
    20,
    28,
)
ROOM_SIZE = 36
# Columns of the level table: heights [m] of a cell's floor, ceiling, and of the roof on top.
FLOOR, CEILING, TOP = 0, 1, 2
OPEN = 1e6
"""The ceiling of a cell under the sky."""
# Columns of the sky: direction to the sun, colours of sun, zenith and horizon, hour of the day,
# and which bank of image textures the world uses: none, the engine's own, Freedoom's too.
SUN, SUN_COLOUR, ZENITH, HORIZON, HOUR, BANK = 0, 3, 6, 9, 12, 13
SKY_SIZE = 16
LAMP_HEIGHT = 2.3
TEXEL = 0.125
"""Metres along a side of the floor's light map."""

HIT_FLOOR, HIT_CEILING, HIT_WALL, HIT_LINTEL, HIT_STEP, HIT_SKY = -1, -2, -3, -4, -5, -6
FIRST_OBJECT, FACES, MOST_OBJECTS = 1024, 8, 511
"""Surface numbers: from the first on those of objects, ``FACES`` each; below it a room's."""
SKY_NUMBER = FIRST_OBJECT - 1
_TOUCH = f32(1e-4)


class View(NamedTuple):
    """All that a ray can meet, as arrays with a leading axis S of scenes, or F of frames.

    The first eight are those of :class:`mgenv.engine.scene.batch.Scene`.

    Attributes:
        texels: uint8 (N, texels, 3), image textures.
        parts: float32 (F · K, 24, 16), characters as rows of the object table.
        counts: int64 (F, K), the parts of each.
        spheres: float32 (F, K, 4), around each: centre, radius.
    """

    cells: Any
    levels: Any
    rooms: Any
    objects: Any
    starts: Any
    items: Any
    light: Any
    sky: Any
    texels: Any
    parts: Any
    counts: Any
    spheres: Any


@ray_function
def trace(cells, levels, objects, starts, items, s, ox, oy, oz, dx, dy, dz):
    """The nearest surface along a ray.

    Returns:
        depth [m]; object number or one of the ``HIT_*`` codes; face (axis of the normal 0, 1, 2,
        or 3 for a cylinder's side, 4 for an ellipsoid); room with its flags.
    """
    if abs(dx) < f32(1e-6):
        dx = f32(1e-6)
    if abs(dy) < f32(1e-6):
        dy = f32(1e-6)
    if abs(dz) < f32(1e-6):
        dz = f32(1e-6)
    inv_x, inv_y, inv_z = f32(1.0) / dx, f32(1.0) / dy, f32(1.0) / dz
    best, code, face = FAR, HIT_SKY, 2
    x, y = int(whole(ox / f32(CELL))), int(whole(oy / f32(CELL)))
    step_x, step_y = (1 if dx > f32(0.0) else -1), (1 if dy > f32(0.0) else -1)
    next_x = (f32(x + (1 if step_x > 0 else 0)) * f32(CELL) - ox) * inv_x
    next_y = (f32(y + (1 if step_y > 0 else 0)) * f32(CELL) - oy) * inv_y
    delta_x, delta_y = abs(f32(CELL) * inv_x), abs(f32(CELL) * inv_y)
    t, axis, room, last = f32(0.0), 0, 0, -1
    while True:
        outside = x < 0 or y < 0 or x >= GRID or y >= GRID
        cell = BEYOND if outside else int(cells[s, y, x])
        floor, ceiling, z = levels[s, cell, FLOOR], levels[s, cell, CEILING], oz + t * dz
        if z < floor - _TOUCH:
            if cell >= BARRED:
                return t, HIT_WALL, axis, room
            return t, HIT_STEP, axis, cell
        above = z > ceiling + _TOUCH
        if above:
            floor, ceiling = levels[s, cell, TOP], f32(OPEN)
            if z < floor - _TOUCH:
                return t, HIT_WALL, axis, room
        room = cell
        leave = FAR if outside else min(next_x, next_y)
        if dz < f32(0.0):
            under = (floor - oz) * inv_z
            if under <= leave and under < best:
                best, code, face = under, HIT_FLOOR, 2
                if above or (cell >= BARRED and cell != BEYOND):
                    code = HIT_WALL
        elif ceiling < f32(OPEN):
            under = (ceiling - oz) * inv_z
            if under <= leave and under < best:
                best, code, face = under, HIT_LINTEL if cell & DOORWAY else HIT_CEILING, 2
        if not outside:
            here = y * GRID + x
            for k in range(int(starts[s, here]), int(starts[s, here + 1])):
                i = int(items[s, k])
                if i != last:
                    last = i
                    found, side = hit_object(
                        objects, s, i, ox, oy, oz, dx, dy, dz, inv_x, inv_y, inv_z
                    )
                    if found < best:
                        best, code, face = found, i, side
        if best <= leave:
            return best, code, face, room
        t = leave
        if next_x < next_y:
            next_x += delta_x
            x += step_x
            axis = 0
        else:
            next_y += delta_y
            y += step_y
            axis = 1


@ray_function
def meet(parts, counts, spheres, f, ox, oy, oz, dx, dy, dz, before):
    """The nearest character of frame ``f`` along a ray, if it is nearer than depth ``before``.

    Returns:
        depth [m]; row of ``parts``, -1 for nobody; part; face, as of :func:`trace`.
    """
    best, who, part, face = before, -1, 0, 0
    people = counts.shape[1]
    if people == 0:
        return best, who, part, face
    square = dx * dx + dy * dy + dz * dz
    inv_x, inv_y, inv_z = f32(1.0) / dx, f32(1.0) / dy, f32(1.0) / dz
    for k in range(people):
        if counts[f, k] == 0:
            continue
        cx, cy, cz = spheres[f, k, 0] - ox, spheres[f, k, 1] - oy, spheres[f, k, 2] - oz
        radius = spheres[f, k, 3]
        near = (cx * dx + cy * dy + cz * dz) / square
        gap = cx * cx + cy * cy + cz * cz - near * near * square
        if gap > radius * radius or near + radius < f32(0.0) or near - radius > best:
            continue
        row = f * people + k
        for i in range(int(counts[f, k])):
            found, side = hit_object(parts, row, i, ox, oy, oz, dx, dy, dz, inv_x, inv_y, inv_z)
            if found < best:
                best, who, part, face = found, row, i, side
    return best, who, part, face


@ray_function
def sunlit(view, s, f, x, y, z, nx, ny, nz):
    """How much of the sun's light meets a surface with this normal: 0 in shadow or turned away."""
    sx, sy, sz = view.sky[s, SUN], view.sky[s, SUN + 1], view.sky[s, SUN + 2]
    facing = sx * nx + sy * ny + sz * nz
    if facing <= f32(0.02) or view.sky[s, SUN_COLOUR + 1] <= f32(0.0):
        return f32(0.0)
    x, y, z = x + f32(0.01) * nx, y + f32(0.01) * ny, z + f32(0.01) * nz
    code = trace(view.cells, view.levels, view.objects, view.starts, view.items, s, x, y, z,
                 sx, sy, sz)[1]  # fmt: skip
    if code != HIT_SKY:
        return f32(0.0)
    who = meet(view.parts, view.counts, view.spheres, f, x, y, z, sx, sy, sz, FAR)[1]
    return f32(0.0) if who >= 0 else facing


@ray_function
def surface_number(code, face, room):
    """The same whole number for all points of one smooth surface."""
    if code >= 0:
        return FIRST_OBJECT + code * FACES + face
    if code == HIT_SKY:
        return SKY_NUMBER
    if code == HIT_WALL:
        return room * FACES + 4 + (3 if face == 2 else face)
    if code == HIT_STEP:
        return room * FACES + 1
    return room * FACES + (-1 - code) * 2


@ray_function
def display(x):
    """Linear light to a display value in [0, 255], with a soft shoulder."""
    x = max(x, f32(0.0))
    shown = math.sqrt(x * (f32(1.0) + x * f32(0.25)) / (f32(1.0) + x))
    return f32(254.9) * min(shown, f32(1.0))
