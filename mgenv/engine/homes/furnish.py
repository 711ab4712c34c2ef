"""Puts doors' frames, lamps and furniture into a floor plan, keeping every doorway reachable."""

from __future__ import annotations

import math

import numpy as np

from mgenv.engine.homes.furniture import CEILING_LAMP, DOOR_FRAME, FIRST_ITEM
from mgenv.engine.homes.layout import CELL, DOOR_HEIGHT, GRID, WALL, WALL_HEIGHT
from mgenv.engine.homes.palette import fill_furniture_colours
from mgenv.engine.render.random_stream import below, between, uniform
from mgenv.engine.render.raytrace import LAMP, LAMP_COLOUR, LAMP_HEIGHT, MOST_OBJECTS
from mgenv.engine.scene.parts import (
    AT_WALL,
    IN_ROOM,
    NUM_COLOURS,
    ON_FLOOR,
    ON_WALL,
    OUTER_WALL,
)
from mgenv.engine.scene.shapes import BOX, CYLINDER
from mgenv.engine.textures.textures import GLOW, PLAIN, WINDOW
from mgenv.jit import compiled

MAX_OBJECTS = MOST_OBJECTS
HOME_OBJECTS = 255
"""Of a home; a crowded one goes without what comes last."""
MOST_PIECES = 240
NOT_SOLID, BLOCKS = 0, 1
_TAKEN, _KEPT_FREE = 1, 2
_TRIES = 10
_BARS = 3
"""Of a door frame."""


@compiled
def add_object(objects, count, shape, low, high, solid, pattern, first, second, scale):
    """Append a shape with bounds ``low``, ``high`` (3,) and a material: the new count."""
    if count >= len(objects):
        return count
    row = objects[count]
    row[0] = shape
    for k in range(3):
        row[1 + k] = 0.5 * (low[k] + high[k])
        row[4 + k] = max(0.5 * (high[k] - low[k]), 1e-3)
        row[9 + k] = first[k]
        row[12 + k] = second[k]
    row[7], row[8], row[15] = solid, pattern, scale
    return count + 1


@compiled
def add_bar(objects, count, axis, line, a, b, z0, z1, trim):
    """A bar of a door frame from a to b along the wall, sticking 2.5 cm out on either side."""
    low, high = np.empty(3), np.empty(3)
    low[axis], high[axis] = line * CELL - 0.025, (line + 1) * CELL + 0.025
    low[1 - axis], high[1 - axis] = a, b
    low[2], high[2] = z0, z1
    return add_object(objects, count, BOX, low, high, NOT_SOLID, PLAIN, trim, trim, 1.0)


@compiled
def frame_doors(doors, num_doors, trim, objects, count):
    """Two jambs and a head around each doorway."""
    for n in range(num_doors):
        axis, line = doors[n, 0], doors[n, 1]
        a, b = doors[n, 2] * CELL, (doors[n, 2] + doors[n, 3]) * CELL
        count = add_bar(
            objects, count, axis, line, a - 0.09, a + 0.005, 0.0, DOOR_HEIGHT + 0.09, trim
        )
        count = add_bar(
            objects, count, axis, line, b - 0.005, b + 0.09, 0.0, DOOR_HEIGHT + 0.09, trim
        )
        count = add_bar(
            objects, count, axis, line, a, b, DOOR_HEIGHT - 0.005, DOOR_HEIGHT + 0.09, trim
        )
    return count


@compiled
def hang_lamp(room, objects, count):
    """The ceiling lamp of a room, at the middle of its lamp rectangle."""
    x, y = 0.5 * (room[LAMP] + room[LAMP + 2]), 0.5 * (room[LAMP + 1] + room[LAMP + 3])
    glow = np.empty(3)
    for k in range(3):
        glow[k] = min(room[LAMP_COLOUR + k] * 2.2, 2.6)
    low, high = np.empty(3), np.empty(3)
    low[0], low[1], low[2] = x - 0.22, y - 0.22, LAMP_HEIGHT + 0.08
    high[0], high[1], high[2] = x + 0.22, y + 0.22, WALL_HEIGHT
    return add_object(objects, count, CYLINDER, low, high, NOT_SOLID, GLOW, glow, glow, 1.0)


@compiled
def keep_doors_free(doors, num_doors, reach, blocked):
    """Mark the floor ``reach`` cells deep on both sides of every doorway."""
    for n in range(num_doors):
        axis, line = doors[n, 0], doors[n, 1]
        for along in range(doors[n, 2] - 1, doors[n, 2] + doors[n, 3] + 1):
            for across in range(line - reach, line + reach + 1):
                x, y = (across, along) if axis == 0 else (along, across)
                if 0 <= x < GRID and 0 <= y < GRID:
                    blocked[y, x] = _KEPT_FREE


@compiled
def _open_around(cells, blocked, x, y):
    for j in range(y - 1, y + 2):
        for i in range(x - 1, x + 2):
            if cells[j, i] == WALL or blocked[j, i] == _TAKEN:
                return False
    return True


@compiled
def _room_doors(doors, num_doors, room, rect, points):
    """A cell of the room in front of each of its doors: their count."""
    count = 0
    for n in range(num_doors):
        if doors[n, 4] != room and doors[n, 5] != room:
            continue
        inward = -2 if rect[int(doors[n, 0])] < doors[n, 1] else 2
        middle = doors[n, 2] + doors[n, 3] // 2
        across = doors[n, 1] + inward
        points[count, 0] = across if doors[n, 0] == 0 else middle
        points[count, 1] = middle if doors[n, 0] == 0 else across
        count += 1
    return count


@compiled
def _flood(cells, blocked, rect, x, y, reached, queue):
    """Mark all cells of a room that a robot reaches from (x, y): their number."""
    reached[rect[1] : rect[3], rect[0] : rect[2]] = 0
    queue[0] = y * GRID + x
    reached[y, x] = 1
    head, tail = 0, 1
    while head < tail:
        here = queue[head]
        head += 1
        for k in range(4):
            i = here % GRID + (k == 0) - (k == 1)
            j = here // GRID + (k == 2) - (k == 3)
            inside = rect[0] <= i < rect[2] and rect[1] <= j < rect[3]
            if inside and not reached[j, i] and _open_around(cells, blocked, i, j):
                reached[j, i] = 1
                queue[tail] = j * GRID + i
                tail += 1
    return tail


@compiled
def _still_passable(cells, blocked, rect, points, num_points, reached, queue):
    if num_points == 0:
        return True
    size = _flood(cells, blocked, rect, points[0, 0], points[0, 1], reached, queue)
    for n in range(1, num_points):
        if not reached[points[n, 1], points[n, 0]]:
            return False
    return size * 3 >= (rect[2] - rect[0] - 2) * (rect[3] - rect[1] - 2)


@compiled
def _propose(state, item, rect, side, box):
    """Draw bounds for an object: box (6,) = x0, y0, z0, x1, y1, z1; False if it is too large."""
    along = 0 if side < 2 else 1
    width, depth = between(state, item[0], item[1]), between(state, item[2], item[3])
    low_u, high_u = rect[along] * CELL + 0.03, rect[2 + along] * CELL - 0.03
    low_v, high_v = rect[1 - along] * CELL, rect[3 - along] * CELL
    place = int(item[8])
    if high_u - low_u < width or high_v - low_v < depth + 0.5:
        return False
    u = between(state, low_u, high_u - width)
    if place == AT_WALL and uniform(state) < 0.35:
        u = low_u if uniform(state) < 0.5 else high_u - width
    if place == IN_ROOM or place == ON_FLOOR:
        margin = min(0.85, 0.5 * (high_v - low_v - depth)) if place == IN_ROOM else 0.1
        v = between(state, low_v + margin, max(high_v - depth - margin, low_v + margin + 1e-6))
    elif side == 0 or side == 2:
        v = low_v + 0.01
    else:
        v = high_v - depth - 0.01
    box[along], box[3 + along] = u, u + width
    box[1 - along], box[4 - along] = v, v + depth
    box[2] = between(state, item[6], item[7])
    box[5] = box[2] + between(state, item[4], item[5])
    return True


@compiled
def _cells_of(box):
    return (
        int(math.floor(box[0] / CELL)),
        int(math.floor(box[1] / CELL)),
        int(math.ceil(box[3] / CELL)),
        int(math.ceil(box[4] / CELL)),
    )


@compiled
def _floor_is_free(blocked, box):
    x0, y0, x1, y1 = _cells_of(box)
    for y in range(y0, y1):
        for x in range(x0, x1):
            if blocked[y, x] != 0:
                return False
    return True


@compiled
def _clear_of_objects(objects, count, box, gap):
    """Whether no object comes within ``gap`` metres of the box."""
    for i in range(count):
        apart = False
        for k in range(3):
            if abs(objects[i, 1 + k] - 0.5 * (box[k] + box[3 + k])) > (
                objects[i, 4 + k] + 0.5 * (box[3 + k] - box[k]) + gap
            ):
                apart = True
        if not apart:
            return False
    return True


@compiled
def _wall_behind(cells, box, side, outer):
    """Whether a solid wall, and for ``outer`` no room within two cells, lies behind the box."""
    x0, y0, x1, y1 = _cells_of(box)
    for depth in range(1, 4 if outer else 2):
        for k in range((x0 if side < 2 else y0) - 1, (x1 if side < 2 else y1) + 1):
            if side == 0:
                x, y = k, y0 - depth
            elif side == 1:
                x, y = k, y1 - 1 + depth
            elif side == 2:
                x, y = x0 - depth, k
            else:
                x, y = x1 - 1 + depth, k
            if 0 <= x < GRID and 0 <= y < GRID and cells[y, x] != WALL:
                return False
    return True


@compiled
def _part_bounds(part, box, side, low, high):
    """Bounds of a part in the world, from its bounds in the object's frame."""
    along = 0 if side < 2 else 1
    size_u, size_v, size_z = (
        box[3 + along] - box[along],
        box[4 - along] - box[1 - along],
        box[5] - box[2],
    )
    low[along] = box[along] + part[1] * size_u + part[2]
    high[along] = box[along] + part[3] * size_u + part[4]
    near, far = part[5] * size_v + part[6], part[7] * size_v + part[8]
    if side == 0 or side == 2:
        low[1 - along], high[1 - along] = box[1 - along] + near, box[1 - along] + far
    else:
        low[1 - along], high[1 - along] = box[4 - along] - far, box[4 - along] - near
    low[2] = box[2] + part[9] * size_z + part[10]
    high[2] = min(box[2] + part[11] * size_z + part[12], WALL_HEIGHT - 0.02)


@compiled
def _build(state, item, parts, box, side, colours, objects, count):
    """Append all parts of an object: the new count."""
    low, high, sky = np.empty(3), np.empty(3), np.empty(3)
    sky[0], sky[1], sky[2] = 0.95, 1.15, 1.45
    place = int(item[8])
    solid = BLOCKS if place == AT_WALL or place == IN_ROOM else NOT_SOLID
    for p in range(int(item[9]), int(item[10])):
        part = parts[p]
        _part_bounds(part, box, side, low, high)
        scale = part[16] if part[16] >= 0.0 else float(below(state, 1000.0))
        first, second = colours[int(part[14])], colours[int(part[15])]
        if int(part[13]) == WINDOW:
            first = sky
        count = add_object(
            objects, count, int(part[0]), low, high, solid, part[13], first, second, scale
        )
    return count


@compiled
def _admit(
    cells, blocked, rect, item, box, side, points, num_points, objects, count, reached, queue
):
    """Whether the proposed bounds are allowed; floor cells are marked as taken if so."""
    place = int(item[8])
    if place == ON_FLOOR:
        return True
    if place == ON_WALL or place == OUTER_WALL:
        return _wall_behind(cells, box, side, place == OUTER_WALL) and _clear_of_objects(
            objects, count, box, 0.06
        )
    if not _floor_is_free(blocked, box) or not _clear_of_objects(objects, count, box, 0.02):
        return False
    if place == AT_WALL and not _wall_behind(cells, box, side, False):
        return False
    x0, y0, x1, y1 = _cells_of(box)
    blocked[y0:y1, x0:x1] = _TAKEN
    if _still_passable(cells, blocked, rect, points, num_points, reached, queue):
        return True
    blocked[y0:y1, x0:x1] = 0
    return False


@compiled
def note_piece(belongs, first, last, kind):
    """Objects ``first`` to ``last`` are one new piece of this class."""
    piece = min(belongs[first - 1, 1] + 1, MOST_PIECES) if first > 0 else 0
    for n in range(first, last):
        belongs[n, 0], belongs[n, 1] = kind, piece


@compiled
def furnish(
    state,
    rects,
    num_rooms,
    cells,
    doors,
    num_doors,
    rooms,
    hues,
    trim,
    items,
    parts,
    wishes,
    objects,
    belongs,
):
    """Frame the doors, hang the lamps and furnish every room: the object count.

    Args:
        items, parts, wishes: see :mod:`mgenv.engine.homes.furniture`.
        objects: float32 (HOME_OBJECTS, 16), filled.
        belongs: uint8 (HOME_OBJECTS, 2), filled with the class of each object and the number of the
            piece that it is a part of.
    """
    blocked = np.zeros((GRID, GRID), np.uint8)
    keep_doors_free(doors, num_doors, 3, blocked)
    count = frame_doors(doors, num_doors, trim, objects, 0)
    for n in range(count):
        belongs[n, 0], belongs[n, 1] = DOOR_FRAME, n // _BARS
    for n in range(num_rooms):
        before, count = count, hang_lamp(rooms[n], objects, count)
        note_piece(belongs, before, count, CEILING_LAMP)
    for n in range(num_rooms):
        count = furnish_room(
            state, n, rects[n], cells, doors, num_doors, blocked, items, parts, wishes, hues[n],
            objects, belongs, count,
        )  # fmt: skip
    return count


@compiled
def furnish_room(
    state, room, rect, cells, doors, num_doors, blocked, items, parts, wishes, hue, objects,
    belongs, count,
):  # fmt: skip
    """Try to place each object that rooms of this kind may have: the new object count."""
    points, box = np.empty((32, 2), np.int64), np.empty(6)
    reached, queue = np.zeros((GRID, GRID), np.uint8), np.empty(GRID * GRID, np.int64)
    colours = np.empty((NUM_COLOURS, 3))
    num_points = _room_doors(doors, num_doors, room, rect, points)
    for w in range(wishes.shape[1]):
        if uniform(state) >= wishes[rect[4], w, 1]:
            continue
        item = items[int(wishes[rect[4], w, 0])]
        fill_furniture_colours(state, hue, colours)
        for _ in range(_TRIES):
            side = below(state, 4.0)
            if not _propose(state, item, rect, side, box):
                continue
            if _admit(
                cells,
                blocked,
                rect,
                item,
                box,
                side,
                points,
                num_points,
                objects,
                count,
                reached,
                queue,
            ):
                before = count
                count = _build(state, item, parts, box, side, colours, objects, count)
                note_piece(belongs, before, count, FIRST_ITEM + int(wishes[rect[4], w, 0]))
                break
    return count
