"""Floor plans: rooms, a corridor, and doorways that join them all, on a grid of 0.25 m cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mgenv.engine.render.random_stream import below, uniform
from mgenv.jit import compiled

CELL = 0.25
"""Metres along a cell's side; also the thickness of a wall."""
GRID = 64
"""Cells along a side of the map."""
WALL = 255
"""The value of a solid cell; the last four bits of every other value are a room's number."""
DOORWAY = 64
"""Flag of a cell under a lintel."""
ROOM_MASK = 15
STAIRS, WINDOW_SILL, PARAPET, OUTSKIRTS = 16, 80, 96, 112
"""Flags of a room's cells: the first of three steps, under a window, low walls, land around."""
BARRED = WINDOW_SILL
"""From this value on a cell is not to be entered."""
BEYOND = OUTSKIRTS | ROOM_MASK
"""What lies beyond the map, and all land outside the walls."""
WALL_HEIGHT = 2.6
DOOR_HEIGHT = 2.1
_ENDLESS = 1e9
MAX_ROOMS = 16
MAX_DOORS = 32

CORRIDOR, LIVING, BEDROOM, KITCHEN, OFFICE, STORAGE, BATH, DINING, COURT, LAND = range(10)

_SMALLEST = 11  # cells
_LARGEST = 24
_CORRIDOR_WIDTH = 5


@compiled
def _footprint(state):
    width = 34 + below(state, 27.0)
    depth = 28 + below(state, 29.0)
    depth = max(26, min(depth, 2400 // width))
    if uniform(state) < 0.5:
        width, depth = depth, width
    x0 = 1 + below(state, float(GRID - 1 - width))
    y0 = 1 + below(state, float(GRID - 1 - depth))
    return x0, y0, x0 + width, y0 + depth


@compiled
def split(rects, count, i, axis, at, gap):
    """Cut rectangle ``i`` at cell ``at``, leaving ``gap`` cells between its halves."""
    for k in range(5):
        rects[count, k] = rects[i, k]
    rects[i, 2 + axis] = at
    rects[count, axis] = at + gap


@compiled
def _lay_corridor(state, rects):
    """Cut the footprint in two along its longer side, a corridor between: the new room count."""
    axis = 1 if rects[0, 2] - rects[0, 0] >= rects[0, 3] - rects[0, 1] else 0
    low, high = rects[0, axis], rects[0, 2 + axis]
    width = _CORRIDOR_WIDTH + below(state, 3.0)
    slack = (high - low) - (2 * _SMALLEST + width + 2)
    if slack < 0 or uniform(state) < 0.3:
        return 1
    at = low + _SMALLEST + below(state, float(slack + 1))
    split(rects, 1, 0, axis, at, width + 2)
    for k in range(4):
        rects[2, k] = rects[0, k]
    rects[2, axis], rects[2, 2 + axis] = at + 1, at + 1 + width
    rects[2, 4] = CORRIDOR
    return 3


@compiled
def cut_rooms(state, rects, count, most):
    """Halve rooms, not courts and corridors, until all are 3 to 6 m a side: the room count."""
    i = 0
    while i < count:
        width, depth = rects[i, 2] - rects[i, 0], rects[i, 3] - rects[i, 1]
        axis = 0 if width >= depth else 1
        longest = max(width, depth)
        limit = 17 + below(state, float(_LARGEST + 1 - 17))
        fits = longest >= 2 * _SMALLEST + 1 and count < most
        aside = rects[i, 4] == CORRIDOR or rects[i, 4] == COURT
        if aside or longest <= limit or not fits:
            i += 1
            continue
        spread = longest - 2 * _SMALLEST - 1
        at = rects[i, axis] + _SMALLEST + spread // 4 + below(state, float(spread // 2 + 1))
        split(rects, count, i, axis, at, 1)
        count += 1
    return count


@compiled
def name_rooms(state, rects, count):
    largest, area = -1, 0
    for i in range(count):
        size = (rects[i, 2] - rects[i, 0]) * (rects[i, 3] - rects[i, 1])
        if rects[i, 4] != CORRIDOR and rects[i, 4] != COURT:
            rects[i, 4] = BEDROOM + below(state, 6.0)
            if size > area:
                largest, area = i, size
    if largest >= 0:
        rects[largest, 4] = LIVING


@compiled
def shared_wall(rects, a, b):
    """(axis, line, first cell, last cell + 1) of the wall between two rooms; axis -1 if none."""
    for axis in range(2):
        other = 1 - axis
        low = max(rects[a, other], rects[b, other])
        high = min(rects[a, 2 + other], rects[b, 2 + other])
        if high - low >= 5:
            if rects[a, 2 + axis] + 1 == rects[b, axis]:
                return axis, rects[a, 2 + axis], low, high
            if rects[b, 2 + axis] + 1 == rects[a, axis]:
                return axis, rects[b, 2 + axis], low, high
    return -1, 0, 0, 0


@compiled
def root_of(parents, i):
    while parents[i] != i:
        i = parents[i]
    return i


@compiled
def _open_door(state, doors, n, axis, line, low, high, a, b):
    width = 3 + below(state, 2.0)
    if uniform(state) < 0.18 and high - low >= 10:
        width = 6 + below(state, 3.0)
    start = low + 1 + below(state, float(high - low - 2 - width + 1))
    doors[n, 0], doors[n, 1], doors[n, 2], doors[n, 3] = axis, line, start, width
    doors[n, 4], doors[n, 5] = a, b


@compiled
def _join_rooms(state, rects, count, doors):
    """Doors of a random spanning tree that prefers corridors, then some more: their count."""
    pairs = np.empty((MAX_ROOMS * MAX_ROOMS, 2), np.int64)
    order = np.empty(MAX_ROOMS * MAX_ROOMS, np.float64)
    n = 0
    for a in range(count):
        for b in range(a + 1, count):
            if shared_wall(rects, a, b)[0] >= 0:
                corridor = rects[a, 4] == CORRIDOR or rects[b, 4] == CORRIDOR
                pairs[n, 0], pairs[n, 1] = a, b
                order[n] = uniform(state) - (1.0 if corridor else 0.0)
                n += 1
    parents = np.arange(count)
    num_doors = 0
    for _ in range(n):
        k = 0
        for other in range(n):
            k = other if order[other] < order[k] else k
        order[k] = 9.0
        a, b = pairs[k, 0], pairs[k, 1]
        root_a, root_b = root_of(parents, a), root_of(parents, b)
        if (root_a != root_b or uniform(state) < 0.3) and num_doors < MAX_DOORS:
            parents[root_a] = root_b
            axis, line, low, high = shared_wall(rects, a, b)
            _open_door(state, doors, num_doors, axis, line, low, high, a, b)
            num_doors += 1
    return num_doors


@compiled
def fill_cells(rects, num_rooms, doors, num_doors, cells):
    """Write rooms and doorways into ``cells`` uint8 (GRID, GRID), indexed [y, x]."""
    cells[:] = WALL
    for i in range(num_rooms):
        cells[rects[i, 1] : rects[i, 3], rects[i, 0] : rects[i, 2]] = i
    for n in range(num_doors):
        line, start, end = doors[n, 1], doors[n, 2], doors[n, 2] + doors[n, 3]
        for k in range(start, end):
            if doors[n, 0] == 0:
                cells[k, line] = doors[n, 4] | DOORWAY
            else:
                cells[line, k] = doors[n, 4] | DOORWAY


@compiled
def plan(state, rects, doors, cells):
    """Draw a floor plan.

    Args:
        rects: int64 (MAX_ROOMS, 5), filled with x0, y0, x1, y1 [cells] and the kind of each room.
        doors: int64 (MAX_DOORS, 6), filled with wall axis, wall line, start, width, two rooms.
        cells: uint8 (GRID, GRID), filled.

    Returns:
        The numbers of rooms and doors.
    """
    rects[:] = 0
    rects[0, 4] = LIVING
    rects[0, 0], rects[0, 1], rects[0, 2], rects[0, 3] = _footprint(state)
    count = cut_rooms(state, rects, _lay_corridor(state, rects), MAX_ROOMS)
    name_rooms(state, rects, count)
    num_doors = _join_rooms(state, rects, count, doors)
    fill_cells(rects, count, doors, num_doors, cells)
    return count, num_doors


def flat_levels() -> NDArray[np.float32]:
    """Heights of a home's floor, ceiling and roof: (256, 3), by the value of a cell."""
    levels = np.full((256, 3), _ENDLESS, np.float32)
    for room in range(MAX_ROOMS):
        levels[room, :2] = 0.0, WALL_HEIGHT
        levels[room | DOORWAY, :2] = 0.0, DOOR_HEIGHT
    return levels
