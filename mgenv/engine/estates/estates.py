"""Estates: houses around courtyards, on several floor heights, under a sun that casts shadows."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from mgenv.engine.estates.banks import OWN, WITH_FREEDOOM, estate_bank
from mgenv.engine.estates.layout import (
    HEAD,
    MAX_WINDOWS,
    ROOM_HEIGHT,
    SILL,
    fill_ground,
    fill_levels,
    plan_estate,
)
from mgenv.engine.estates.terrain import STEP
from mgenv.engine.estates.texture_assignment import (
    FREEDOOM_USES,
    USES,
    choices,
    cover_pieces,
    cover_room,
)
from mgenv.engine.homes.furnish import (
    add_bar,
    frame_doors,
    furnish_room,
    hang_lamp,
    keep_doors_free,
    note_piece,
)
from mgenv.engine.homes.furniture import (
    CEILING_LAMP,
    DOOR_FRAME,
    ESTATE_WISHES,
    ITEM_TABLE,
    PART_TABLE,
    WINDOW_FRAME,
)
from mgenv.engine.homes.layout import CELL, COURT, GRID, LAND, MAX_DOORS, MAX_ROOMS
from mgenv.engine.homes.palette import draw_house, paint_room, place_lamp
from mgenv.engine.render.daylight import fill_sky, light_outdoors
from mgenv.engine.render.random_stream import new_stream
from mgenv.engine.render.raytrace import BANK, KIND, LAMP_COLOUR, LAMP_HEIGHT
from mgenv.engine.scene.baking import bake_floor, list_objects, map_free_cells
from mgenv.engine.scene.batch import Scene
from mgenv.jit import compiled

_PLAN, _PAINT, _FURNITURE, _SKY, _TEXTURES = 61, 62, 63, 64, 65
_LAND = MAX_ROOMS - 1


@functools.cache
def _tables(with_freedoom: bool) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    bank = estate_bank(with_freedoom)
    return choices(bank, FREEDOOM_USES if with_freedoom else USES), bank.size


@compiled
def _paint(state, textures, rects, count, house, table, sizes, sky, rooms, hues):
    """Bounds, lamps, materials of all rooms and of the land around."""
    for n in range(count):
        place_lamp(state, rects[n], rooms[n])
        hues[n] = paint_room(state, rects[n, 4], rooms[n], house)
        cover_room(textures, rects[n, 4], table, sizes, rooms[n])
        if rects[n, 4] == COURT:
            light_outdoors(sky, rooms[n, LAMP_COLOUR : LAMP_COLOUR + 3])
    land = rooms[_LAND]
    land[0], land[1], land[2], land[3], land[KIND] = -1e4, -1e4, 1e4, 1e4, LAND
    cover_room(textures, LAND, table, sizes, land)
    light_outdoors(sky, land[LAMP_COLOUR : LAMP_COLOUR + 3])


@compiled
def _raise(objects, first, last, height):
    for n in range(first, last):
        objects[n, 3] += height


@compiled
def _frame_windows(windows, num_windows, level, trim, objects, belongs, count):
    """Sill, head, sides and a bar in the middle of every window: the new object count."""
    for n in range(num_windows):
        axis, line, floor = windows[n, 0], windows[n, 1], STEP * level[windows[n, 4]]
        a, b = windows[n, 2] * CELL, (windows[n, 2] + windows[n, 3]) * CELL
        low, high, first = floor + SILL, floor + HEAD, count
        count = add_bar(objects, count, axis, line, a - 0.06, b + 0.06, low - 0.05, low, trim)
        count = add_bar(objects, count, axis, line, a - 0.06, b + 0.06, high, high + 0.07, trim)
        count = add_bar(objects, count, axis, line, a - 0.06, a, low, high, trim)
        count = add_bar(objects, count, axis, line, b, b + 0.06, low, high, trim)
        middle = 0.5 * (a + b)
        count = add_bar(objects, count, axis, line, middle - 0.03, middle + 0.03, low, high, trim)
        note_piece(belongs, first, count, WINDOW_FRAME)
    return count


@compiled
def _frame_all(rects, doors, num_doors, windows, num_windows, level, trim, objects, belongs):
    """Frames of doors and windows, raised to their floors; gates have none: the object count."""
    count = 0
    for n in range(num_doors):
        a, b = doors[n, 4], doors[n, 5]
        if rects[a, 4] == COURT and rects[b, 4] == COURT:
            continue
        first, count = count, frame_doors(doors[n : n + 1], 1, trim, objects, count)
        _raise(objects, first, count, STEP * max(level[a], level[b]))
        note_piece(belongs, first, count, DOOR_FRAME)
    return _frame_windows(windows, num_windows, level, trim, objects, belongs, count)


@compiled
def _furnish(
    state, textures, rects, count, cells, doors, num_doors, level, rooms, hues, tables, sizes,
    items, parts, wishes, objects, belongs, made,
):  # fmt: skip
    """Lamps and furniture of every room, on its floor: the object count."""
    blocked = np.zeros((GRID, GRID), np.uint8)
    keep_doors_free(doors, num_doors, 5, blocked)
    for n in range(count):
        first, height = made, STEP * level[n]
        if rects[n, 4] != COURT:
            made = hang_lamp(rooms[n], objects, made)
            if made > first:
                low, high = LAMP_HEIGHT + 0.08, ROOM_HEIGHT
                objects[first, 3], objects[first, 6] = 0.5 * (low + high), 0.5 * (high - low)
                note_piece(belongs, first, made, CEILING_LAMP)
        start = made
        made = furnish_room(
            state, n, rects[n], cells, doors, num_doors, blocked, items, parts, wishes, hues[n],
            objects, belongs, made,
        )  # fmt: skip
        cover_pieces(textures, tables, sizes, objects, belongs, start, made)
        _raise(objects, first, made, height)
    return made


def build_estate(world_id: int, scene: Scene, with_freedoom: bool = False) -> None:
    """Fill one scene's arrays, all zero before.

    Raises:
        MissingExtraError: Freedoom's textures are asked for without the ``games`` extra.
    """
    table, sizes = _tables(with_freedoom)
    rects, doors = np.zeros((MAX_ROOMS, 5), np.int64), np.zeros((MAX_DOORS, 6), np.int64)
    windows, level = np.zeros((MAX_WINDOWS, 5), np.int64), np.zeros(MAX_ROOMS, np.int64)
    house, trim, hues = np.empty(3), np.empty(3), np.empty(MAX_ROOMS)
    state, textures = new_stream(world_id, _PLAN), new_stream(world_id, _TEXTURES)
    rooms, doorways, glazed = plan_estate(state, rects, doors, windows, level, scene.cells)
    fill_levels(state, rects, rooms, level, scene.levels)
    fill_ground(scene.cells, scene.levels, scene.ground)
    fill_sky(new_stream(world_id, _SKY), scene.sky)
    scene.sky[BANK] = WITH_FREEDOOM if with_freedoom else OWN
    paint = new_stream(world_id, _PAINT)
    draw_house(paint, house, trim)
    _paint(paint, textures, rects, rooms, house, table, sizes, scene.sky, scene.rooms, hues)
    made = _frame_all(
        rects, doors, doorways, windows, glazed, level, trim, scene.objects, scene.belongs
    )
    count = _furnish(
        new_stream(world_id, _FURNITURE), textures, rects, rooms, scene.cells, doors, doorways,
        level, scene.rooms, hues, table, sizes, ITEM_TABLE, PART_TABLE, ESTATE_WISHES,
        scene.objects, scene.belongs, made,
    )  # fmt: skip
    list_objects(scene.objects, count, scene.starts, scene.items)
    bake_floor(
        scene.rooms, rects, rooms, scene.levels, scene.objects, count, scene.cells, scene.light
    )
    map_free_cells(scene.cells, scene.ground, scene.objects, count, scene.free)
    scene.counts[:] = rooms, count, doorways
