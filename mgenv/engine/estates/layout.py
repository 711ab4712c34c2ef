"""Plans of estates: rooms and courtyards on several floor heights, steps, windows, low walls."""

from __future__ import annotations

import numpy as np

from mgenv.engine.estates.terrain import STEP
from mgenv.engine.homes.layout import (
    BARRED,
    BEYOND,
    COURT,
    DOOR_HEIGHT,
    DOORWAY,
    GRID,
    LIVING,
    MAX_DOORS,
    MAX_ROOMS,
    PARAPET,
    ROOM_MASK,
    STAIRS,
    WALL,
    WINDOW_SILL,
    cut_rooms,
    fill_cells,
    name_rooms,
    root_of,
    shared_wall,
    split,
)
from mgenv.engine.render.random_stream import below, between, uniform
from mgenv.engine.render.raytrace import OPEN
from mgenv.jit import compiled

ROOM_HEIGHT = 2.9
HIGHEST_LEVEL = 4
"""Steps from the lowest floor to the highest; a stair has at most three cells before its door."""
MAX_WINDOWS = 48
SILL, HEAD = 0.85, 2.1
"""Of a window, above its floor [m]."""
_MOST = MAX_ROOMS - 1
"""Rooms of an estate at most: the last number is the land's."""
_SMALLEST = 11
_TRIES = 8


@compiled
def _cut_courts(state, rects):
    """Cut a strip of courtyards out of the plot: the count of rectangles."""
    axis = 0 if uniform(state) < 0.5 else 1
    low, high = rects[0, axis], rects[0, 2 + axis]
    width = 13 + below(state, 10.0)
    strip, count = 0, 1
    if uniform(state) < 0.55:
        at = low + _SMALLEST + below(state, float(high - low - width - 2 * _SMALLEST - 1))
        split(rects, count, 0, axis, at, 1)
        strip, count = 1, 2
    split(rects, count, strip, axis, rects[strip, axis] + width, 1)
    rects[strip, 4] = COURT
    return _divide_strip(state, rects, strip, 1 - axis, count + 1)


@compiled
def _divide_strip(state, rects, strip, axis, count):
    """Give the strip's ends to rooms, or make two courts of it: the count of rectangles."""
    for end in range(2):
        length = rects[strip, 2 + axis] - rects[strip, axis]
        deep = _SMALLEST + below(state, 6.0)
        if uniform(state) < 0.5 and length - deep > 18:
            if end == 0:
                at = rects[strip, axis] + deep
                split(rects, count, strip, axis, at, 1)
                rects[count, 4], rects[strip, 4] = COURT, LIVING
                strip = count
            else:
                split(rects, count, strip, axis, rects[strip, 2 + axis] - deep - 1, 1)
                rects[count, 4] = LIVING
            count += 1
    length = rects[strip, 2 + axis] - rects[strip, axis]
    if length > 26 and uniform(state) < 0.7:
        at = rects[strip, axis] + 12 + below(state, float(length - 25))
        split(rects, count, strip, axis, at, 1)
        rects[count, 4] = COURT
        count += 1
    return count


@compiled
def _draw_levels(state, rects, count, level):
    """Floor heights in steps: houses stand a little above their courts."""
    base, courts = 1 + below(state, 3.0), 0
    for n in range(count):
        if rects[n, 4] == COURT:
            level[n] = 0 if courts == 0 else below(state, 5.0)
            courts += 1
        else:
            level[n] = min(max(base + below(state, 4.0) - 1, 0), HIGHEST_LEVEL)
            if uniform(state) < 0.45:
                level[n] = base


@compiled
def _is_clear(zone, axis, line, start, width):
    """Whether no other door needs the floor in front of this one."""
    for along in range(start - 1, start + width + 1):
        for across in range(line - 5, line + 6):
            x, y = (across, along) if axis == 0 else (along, across)
            if 0 <= x < GRID and 0 <= y < GRID and zone[y, x]:
                return False
    return True


@compiled
def _claim(zone, axis, line, start, width):
    for along in range(start - 1, start + width + 1):
        for across in range(line - 5, line + 6):
            x, y = (across, along) if axis == 0 else (along, across)
            if 0 <= x < GRID and 0 <= y < GRID:
                zone[y, x] = 1


@compiled
def _try_door(state, rects, a, b, zone, door):
    """Draw a door between two rooms into ``door`` (6,): whether there is a place for it."""
    axis, line, low, high = shared_wall(rects, a, b)
    courts = rects[a, 4] == COURT and rects[b, 4] == COURT
    for _ in range(_TRIES):
        width = 4 + below(state, 5.0) if courts else 3 + below(state, 2.0)
        if high - low < width + 3:
            continue
        start = low + 1 + below(state, float(high - low - 2 - width + 1))
        if _is_clear(zone, axis, line, start, width):
            _claim(zone, axis, line, start, width)
            door[0], door[1], door[2], door[3], door[4], door[5] = axis, line, start, width, a, b
            return True
    return False


@compiled
def _join(state, rects, count, doors):
    """Doors of a random spanning tree that prefers courts, then some more: their count."""
    pairs, order = np.empty((MAX_ROOMS * MAX_ROOMS, 2), np.int64), np.full(256, 9.0)
    zone, parents, n, num_doors = np.zeros((GRID, GRID), np.uint8), np.arange(count), 0, 0
    for a in range(count):
        for b in range(a + 1, count):
            if shared_wall(rects, a, b)[0] >= 0:
                court = rects[a, 4] == COURT or rects[b, 4] == COURT
                pairs[n, 0], pairs[n, 1] = a, b
                order[n] = uniform(state) - (0.5 if court else 0.0)
                n += 1
    for _ in range(n):
        k = np.argmin(order)
        order[k] = 9.0
        a, b = pairs[k, 0], pairs[k, 1]
        root_a, root_b = root_of(parents, a), root_of(parents, b)
        wanted = root_a != root_b or uniform(state) < 0.3
        if (
            wanted
            and num_doors < MAX_DOORS
            and _try_door(state, rects, a, b, zone, doors[num_doors])
        ):
            parents[root_a] = root_b
            num_doors += 1
    return num_doors


@compiled
def _lay_steps(doors, num_doors, rects, level, cells):
    """Make each door the higher room's, and lay steps up to it in the lower room."""
    for n in range(num_doors):
        a, b = doors[n, 4], doors[n, 5]
        high, low = (a, b) if level[a] >= level[b] else (b, a)
        axis, line, rise = doors[n, 0], doors[n, 1], level[high] - level[low]
        gate = rects[a, 4] == COURT and rects[b, 4] == COURT
        inward = -1 if rects[low, axis] < line else 1
        for along in range(doors[n, 2], doors[n, 2] + doors[n, 3]):
            for depth in range(rise):
                across = line + inward * depth
                x, y = (across, along) if axis == 0 else (along, across)
                if depth == 0:
                    cells[y, x] = high if gate else high | DOORWAY
                else:
                    cells[y, x] = low | (STAIRS * (rise - depth))
            if rise == 0:
                x, y = (line, along) if axis == 0 else (along, line)
                cells[y, x] = high if gate else high | DOORWAY


@compiled
def _side_of(rect, side):
    """(axis of the wall, its line, first cell, last cell + 1, outward step) of a room's side."""
    axis, far = side // 2, side % 2
    line = rect[2 + axis] if far else rect[axis] - 1
    return axis, line, rect[1 - axis], rect[3 - axis], 1 if far else -1


@compiled
def _opens(cells, rects, axis, line, along, outward):
    """Whether a wall cell has open air behind it."""
    x, y = (line, along) if axis == 0 else (along, line)
    i, j = (line + outward, along) if axis == 0 else (along, line + outward)
    if cells[y, x] != WALL or not (0 <= i < GRID and 0 <= j < GRID):
        return False
    behind = cells[j, i]
    return behind == BEYOND or (behind < STAIRS and rects[behind, 4] == COURT)


@compiled
def _cut_windows(state, rects, count, cells, windows):
    """Windows where an indoor room borders on open air: their count."""
    found = 0
    for room in range(count):
        for side in range(4):
            if rects[room, 4] == COURT or found >= MAX_WINDOWS or uniform(state) < 0.2:
                continue
            axis, line, low, high, outward = _side_of(rects[room], side)
            width = 4 + below(state, 4.0)
            if high - low < width + 2:
                continue
            start = low + 1 + below(state, float(high - low - width - 1))
            clear = True
            for along in range(start - 1, start + width + 1):
                clear = clear and _opens(cells, rects, axis, line, along, outward)
            if clear:
                for along in range(start, start + width):
                    x, y = (line, along) if axis == 0 else (along, line)
                    cells[y, x] = room | WINDOW_SILL
                windows[found, 0], windows[found, 1] = axis, line
                windows[found, 2], windows[found, 3], windows[found, 4] = start, width, room
                found += 1
    return found


@compiled
def _lower_walls(rects, count, cells):
    """Walls of courts with nothing but open air around become low."""
    for room in range(count):
        for side in range(4):
            if rects[room, 4] != COURT:
                continue
            axis, line, low, high, outward = _side_of(rects[room], side)
            for along in range(low - 1, high + 1):
                inner = min(max(along, low), high - 1)
                if _opens(cells, rects, axis, line, inner, outward):
                    x, y = (line, along) if axis == 0 else (along, line)
                    i, j = (line + outward, along) if axis == 0 else (along, line + outward)
                    if cells[y, x] == WALL and (
                        cells[j, i] == BEYOND or rects[cells[j, i] & ROOM_MASK, 4] == COURT
                    ):
                        cells[y, x] = room | PARAPET


@compiled
def fill_levels(state, rects, count, level, levels):
    """Write the heights of floor, ceiling and roof for every value of a cell."""
    roof = 0.0
    for n in range(count):
        if rects[n, 4] != COURT:
            roof = max(roof, STEP * level[n] + ROOM_HEIGHT + 0.3)
    levels[:] = OPEN
    levels[WALL, 0], levels[BEYOND, 0] = roof, -0.02
    for n in range(count):
        floor, court = STEP * level[n], rects[n, 4] == COURT
        ceiling = OPEN if court else floor + ROOM_HEIGHT
        top = OPEN if court else roof
        for step in range(4):
            row = levels[n | (STAIRS * step)]
            row[0], row[1], row[2] = floor + STEP * step, ceiling, top
        door, sill = levels[n | DOORWAY], levels[n | WINDOW_SILL]
        door[0], door[1], door[2] = floor, floor + DOOR_HEIGHT, roof
        sill[0], sill[1], sill[2] = floor + SILL, floor + HEAD, roof
        levels[n | PARAPET, 0] = floor + between(state, 0.9, 2.0)


@compiled
def fill_ground(cells, levels, ground):
    """Write the floor's height of every cell that may be entered."""
    for y in range(GRID):
        for x in range(GRID):
            ground[y, x] = levels[cells[y, x], 0] if cells[y, x] < BARRED else 0.0


@compiled
def plan_estate(state, rects, doors, windows, level, cells):
    """Draw the plan of an estate.

    Args:
        rects: int64 (MAX_ROOMS, 5), filled with x0, y0, x1, y1 [cells] and the kind of each room.
        doors: int64 (MAX_DOORS, 6), filled with wall axis, wall line, start, width, two rooms.
        windows: int64 (MAX_WINDOWS, 5), filled with wall axis, wall line, start, width, room.
        level: int64 (MAX_ROOMS,), filled with the height of each floor in steps.
        cells: uint8 (GRID, GRID), filled.

    Returns:
        The numbers of rooms, doors and windows.
    """
    width, depth = 50 + below(state, 11.0), 50 + below(state, 11.0)
    x0, y0 = 2 + below(state, float(GRID - 3 - width)), 2 + below(state, float(GRID - 3 - depth))
    rects[0, 0], rects[0, 1], rects[0, 2], rects[0, 3] = x0, y0, x0 + width, y0 + depth
    rects[0, 4] = LIVING
    count = cut_rooms(state, rects, _cut_courts(state, rects), _MOST)
    name_rooms(state, rects, count)
    _draw_levels(state, rects, count, level)
    num_doors = _join(state, rects, count, doors)
    fill_cells(rects, count, doors, 0, cells)
    for y in range(GRID):
        for x in range(GRID):
            if not (x0 - 1 <= x <= x0 + width and y0 - 1 <= y <= y0 + depth):
                cells[y, x] = BEYOND
    _lay_steps(doors, num_doors, rects, level, cells)
    num_windows = _cut_windows(state, rects, count, cells, windows)
    _lower_walls(rects, count, cells)
    return count, num_doors, num_windows
