"""Computed once a scene: soft shadows on the floor, lists of objects by cell, free cells."""

from __future__ import annotations

import math

import numpy as np

from mgenv.engine.estates.terrain import CLIMB, cell_height
from mgenv.engine.homes.layout import BARRED, CELL, COURT, DOOR_HEIGHT, DOORWAY, GRID
from mgenv.engine.render.raytrace import FLOOR, KIND, LAMP, LAMP_HEIGHT, TEXEL
from mgenv.engine.scene.shapes import OBJECT_SIZE
from mgenv.jit import compiled

TEXELS = 2 * GRID
MAX_ITEMS = 8192
ROBOT_RADIUS = 0.2
BODY_BELOW = 0.9
"""The body reaches this far below the camera …"""
BODY_ABOVE = 0.1
"""… and this far above it, in metres."""
_CLEARANCE = 0.24


@compiled
def list_objects(objects, count, starts, items):
    """Fill, for each cell, the list of the objects that reach into it."""
    fill = np.zeros(GRID * GRID + 1, np.int64)
    for sweep in range(2):
        for i in range(count):
            x0 = max(int(math.floor((objects[i, 1] - objects[i, 4] - 1e-3) / CELL)), 0)
            x1 = min(int(math.floor((objects[i, 1] + objects[i, 4] + 1e-3) / CELL)), GRID - 1)
            y0 = max(int(math.floor((objects[i, 2] - objects[i, 5] - 1e-3) / CELL)), 0)
            y1 = min(int(math.floor((objects[i, 2] + objects[i, 5] + 1e-3) / CELL)), GRID - 1)
            for y in range(y0, y1 + 1):
                for x in range(x0, x1 + 1):
                    here = y * GRID + x
                    if sweep == 0:
                        fill[here + 1] += 1
                    elif fill[here] < MAX_ITEMS:
                        items[fill[here]] = i
                        fill[here] += 1
        if sweep == 0:
            for here in range(GRID * GRID):
                fill[here + 1] += fill[here]
            for here in range(GRID * GRID + 1):
                starts[here] = min(fill[here], MAX_ITEMS)


@compiled
def _hides_lamp(row, x, y, lx, ly):
    """Whether the segment from floor point (x, y) to the lamp passes the object's box."""
    near, far = (row[3] - row[6]) / LAMP_HEIGHT, (row[3] + row[6]) / LAMP_HEIGHT
    for k in range(2):
        start, way = (x, lx - x) if k == 0 else (y, ly - y)
        if abs(way) < 1e-6:
            way = 1e-6
        a, b = (row[1 + k] - row[4 + k] - start) / way, (row[1 + k] + row[4 + k] - start) / way
        near, far = max(near, min(a, b)), min(far, max(a, b))
    return near < far


@compiled
def _cast(row, room, shadow):
    """Draw one object's shadow, within its room."""
    lx = min(max(row[1], room[LAMP]), room[LAMP + 2])
    ly = min(max(row[2], room[LAMP + 1]), room[LAMP + 3])
    top = min(row[3] + row[6], LAMP_HEIGHT - 0.4)
    reach = top / (LAMP_HEIGHT - top)
    span = np.empty(4, np.int64)
    for k in range(2):
        lamp = lx if k == 0 else ly
        low, high = row[1 + k] - row[4 + k], row[1 + k] + row[4 + k]
        low, high = min(low, low + (low - lamp) * reach), max(high, high + (high - lamp) * reach)
        span[k] = max(int(math.floor(max(low, room[k]) / TEXEL)), 0)
        span[2 + k] = min(int(math.ceil(min(high, room[2 + k]) / TEXEL)), TEXELS)
    for j in range(span[1], span[3]):
        for i in range(span[0], span[2]):
            if shadow[j, i] < 1.0 and _hides_lamp(
                row, (i + 0.5) * TEXEL, (j + 0.5) * TEXEL, lx, ly
            ):
                shadow[j, i] = 1.0


@compiled
def _blur(image, out):
    """A 5-tap binomial along the first axis, transposed into ``out``."""
    for j in range(2, TEXELS - 2):
        for i in range(TEXELS):
            ends = image[j - 2, i] + image[j + 2, i]
            sides = image[j - 1, i] + image[j + 1, i]
            out[i, j] = (ends + 4.0 * sides + 6.0 * image[j, i]) / 16.0


@compiled
def _corner(distance):
    x = max(1.0 - distance / 0.6, 0.0)
    return x * x


@compiled
def bake_floor(rooms, rects, num_rooms, levels, objects, count, cells, light):
    """Fill ``light`` uint8 (TEXELS, TEXELS): shadows by lamps of solid objects, dark corners."""
    shadow, other = np.zeros((TEXELS, TEXELS), np.float32), np.zeros((TEXELS, TEXELS), np.float32)
    row = np.empty(OBJECT_SIZE, np.float32)
    for i in range(count):
        row[:] = objects[i]
        x, y = int(row[1] / CELL), int(row[2] / CELL)
        room = cells[y, x]
        if row[7] > 0.5 and room < num_rooms and rooms[room, KIND] < COURT:
            row[3] -= levels[room, FLOOR]
            _cast(row, rooms[room], shadow)
    for _ in range(2):
        _blur(shadow, other)
        _blur(other, shadow)
    for j in range(TEXELS):
        for i in range(TEXELS):
            light[j, i] = int(255.0 * (1.0 - 0.6 * shadow[j, i]))
    for n in range(num_rooms):
        for j in range(2 * rects[n, 1], 2 * rects[n, 3]):
            for i in range(2 * rects[n, 0], 2 * rects[n, 2]):
                x, y = (i + 0.5) * TEXEL, (j + 0.5) * TEXEL
                dark = _corner(min(x - rooms[n, 0], rooms[n, 2] - x)) + _corner(
                    min(y - rooms[n, 1], rooms[n, 3] - y)
                )
                light[j, i] = int(light[j, i] * (1.0 - 0.25 * dark))


@compiled
def overlap(cells, ground, objects, count, x, y, z, radius, push):
    """How deep a body at camera position (x, y, z) sits in walls, ledges and objects.

    Args:
        ground: float32 (GRID, GRID), the height of each cell's floor [m].
        push: float64 (2,), filled with the direction out of the deepest overlap.

    Returns:
        The depth of the deepest overlap [m], 0 where the body is free.
    """
    deepest = 0.0
    under = cell_height(ground, x, y)
    bottom, top = max(z - BODY_BELOW, under), z + BODY_ABOVE
    x0, y0 = int(math.floor((x - radius) / CELL)), int(math.floor((y - radius) / CELL))
    x1, y1 = int(math.floor((x + radius) / CELL)), int(math.floor((y + radius) / CELL))
    for j in range(y0, y1 + 1):
        for i in range(x0, x1 + 1):
            solid = i < 0 or j < 0 or i >= GRID or j >= GRID or cells[j, i] >= BARRED
            if not solid:
                solid = abs(ground[j, i] - under) > CLIMB or (
                    cells[j, i] >= DOORWAY and top > ground[j, i] + DOOR_HEIGHT
                )
            if solid:
                depth = _box_overlap(
                    x,
                    y,
                    radius,
                    (i + 0.5) * CELL,
                    (j + 0.5) * CELL,
                    CELL / 2,
                    CELL / 2,
                    push,
                    deepest,
                )
                deepest = max(deepest, depth)
    for k in range(count):
        beside = abs(x - objects[k, 1]) >= objects[k, 4] + radius
        if beside or abs(y - objects[k, 2]) >= objects[k, 5] + radius or objects[k, 7] < 0.5:
            continue
        if objects[k, 3] - objects[k, 6] <= top and objects[k, 3] + objects[k, 6] >= bottom:
            depth = _object_overlap(objects[k], x, y, radius, push, deepest)
            deepest = max(deepest, depth)
    return deepest


@compiled
def _box_overlap(x, y, radius, cx, cy, hx, hy, push, deepest):
    """Overlap of a disc with a rectangle; writes ``push`` if deeper than ``deepest``."""
    dx, dy = x - cx, y - cy
    nx, ny = min(max(dx, -hx), hx), min(max(dy, -hy), hy)
    gx, gy = dx - nx, dy - ny
    distance = math.sqrt(gx * gx + gy * gy)
    if distance > 1e-9:
        depth = radius - distance
        if depth > deepest:
            push[0], push[1] = gx / distance, gy / distance
        return depth
    out_x, out_y = hx - abs(dx), hy - abs(dy)
    depth = radius + min(out_x, out_y)
    if depth > deepest:
        push[0] = (1.0 if dx >= 0 else -1.0) if out_x < out_y else 0.0
        push[1] = 0.0 if out_x < out_y else (1.0 if dy >= 0 else -1.0)
    return depth


@compiled
def _object_overlap(row, x, y, radius, push, deepest):
    if int(row[0]) == 0:
        return _box_overlap(x, y, radius, row[1], row[2], row[4], row[5], push, deepest)
    dx, dy = x - row[1], y - row[2]
    distance = math.sqrt(dx * dx + dy * dy) + 1e-9
    depth = radius + max(row[4], row[5]) - distance
    if depth > deepest:
        push[0], push[1] = dx / distance, dy / distance
    return depth


@compiled
def map_free_cells(cells, ground, objects, count, free):
    """Fill ``free`` uint8 (GRID, GRID): 1 where a robot fits, in the largest part only."""
    push = np.empty(2)
    free[:] = 0
    for y in range(GRID):
        for x in range(GRID):
            if cells[y, x] < BARRED:
                depth = overlap(
                    cells, ground, objects, count, (x + 0.5) * CELL, (y + 0.5) * CELL,
                    1.0 + ground[y, x], _CLEARANCE, push,
                )  # fmt: skip
                free[y, x] = 1 if depth <= 0.0 else 0
    _keep_largest(free)


@compiled
def _keep_largest(free):
    part, queue = np.zeros((GRID, GRID), np.int64), np.empty(GRID * GRID, np.int64)
    best, best_size, number = 0, 0, 0
    for start in range(GRID * GRID):
        if not free[start // GRID, start % GRID] or part[start // GRID, start % GRID]:
            continue
        number += 1
        part[start // GRID, start % GRID] = number
        queue[0] = start
        head, tail = 0, 1
        while head < tail:
            here = queue[head]
            head += 1
            for k in range(4):
                i = here % GRID + (k == 0) - (k == 1)
                j = here // GRID + (k == 2) - (k == 3)
                if free[j, i] and not part[j, i]:
                    part[j, i] = number
                    queue[tail] = j * GRID + i
                    tail += 1
        if tail > best_size:
            best, best_size = number, tail
    for y in range(GRID):
        for x in range(GRID):
            free[y, x] = 1 if part[y, x] == best and best > 0 else 0
