"""Sane palettes: materials of rooms and colours of furniture, drawn from a stream."""

from __future__ import annotations

from mgenv.engine.homes.layout import BATH, CELL, CORRIDOR, KITCHEN, STORAGE
from mgenv.engine.render.random_stream import between, uniform
from mgenv.engine.render.raytrace import (
    CEILING_MATERIAL,
    FLOOR_MATERIAL,
    KIND,
    LAMP,
    LAMP_COLOUR,
    WALL_MATERIAL,
)
from mgenv.engine.textures.textures import (
    BRICKS,
    CHECKER,
    FABRIC,
    PLAIN,
    PLANKS,
    STRIPES,
    TILES,
    WAINSCOT,
)
from mgenv.jit import compiled


@compiled
def set_colour(out, hue, saturation, value):
    """Write the linear colour of an HSV display colour into ``out`` (3,); hue in turns."""
    for k in range(3):
        x = (hue + (3 - k) % 3 / 3.0) % 1.0 * 6.0
        pure = min(max(abs(x - 3.0) - 1.0, 0.0), 1.0)
        shown = value * (1.0 - saturation + saturation * pure)
        out[k] = shown * shown


@compiled
def fill_furniture_colours(state, hue, colours):
    """Draw the twelve colours (12, 3) that the parts of one object choose from."""
    wood, tone = between(state, 0.055, 0.105), between(state, 0.3, 0.85)
    painted = uniform(state) < 0.3
    main_hue = uniform(state) if painted else wood
    saturation = between(state, 0.05, 0.4) if painted else between(state, 0.35, 0.62)
    set_colour(colours[0], main_hue, saturation, tone)
    set_colour(colours[1], main_hue, saturation, tone * 0.62)
    cloth = uniform(state) if uniform(state) < 0.6 else (hue + 0.5) % 1.0
    strong, value = between(state, 0.25, 0.75), between(state, 0.35, 0.8)
    set_colour(colours[2], cloth, strong, value)
    set_colour(
        colours[3], cloth + between(state, -0.05, 0.05), strong * 0.4, min(value + 0.28, 0.95)
    )
    set_colour(colours[4], 0.1, 0.05, between(state, 0.85, 0.96))
    set_colour(colours[5], wood, 0.2, between(state, 0.14, 0.24))
    set_colour(
        colours[6], between(state, 0.24, 0.38), between(state, 0.45, 0.7), between(state, 0.35, 0.6)
    )
    set_colour(colours[7], uniform(state), between(state, 0.45, 0.85), between(state, 0.5, 0.85))
    colours[8, 0], colours[8, 1], colours[8, 2] = 1.9, 1.65, 1.2
    set_colour(colours[9], wood, 0.5, between(state, 0.5, 0.75))
    set_colour(colours[10], 0.6, 0.06, between(state, 0.5, 0.75))
    set_colour(colours[11], 0.08, 0.5, between(state, 0.3, 0.45))


@compiled
def wall_hue(state):
    """A hue that walls are painted in: mostly warm, often blue or green, seldom pink or violet."""
    draw = uniform(state)
    if draw < 0.5:
        return between(state, 0.02, 0.17)
    return between(state, 0.25, 0.66) if draw < 0.9 else between(state, 0.66, 1.02) % 1.0


@compiled
def _floor(state, kind, row, wood_hue, wood_value):
    draw = uniform(state)
    if kind == BATH or kind == KITCHEN or (kind == STORAGE and draw < 0.5):
        hue, value = wall_hue(state), between(state, 0.45, 0.9)
        saturation = between(state, 0.02, 0.28)
        row[0] = CHECKER if draw < 0.4 else TILES
        row[7] = between(state, 0.35, 0.55)
        set_colour(row[1:4], hue, saturation, value)
        set_colour(row[4:7], hue, saturation, value * (0.55 if row[0] == CHECKER else 0.7))
    elif draw < 0.7:
        row[0], row[7] = PLANKS, between(state, 0.18, 0.3)
        saturation = between(state, 0.35, 0.6)
        set_colour(row[1:4], wood_hue, saturation, wood_value * 1.1)
        set_colour(row[4:7], wood_hue, saturation, wood_value * 0.72)
    else:
        hue, saturation, value = (
            wall_hue(state),
            between(state, 0.08, 0.4),
            between(state, 0.35, 0.7),
        )
        row[0], row[7] = FABRIC, between(state, 0.5, 0.9)
        set_colour(row[1:4], hue, saturation, value)
        set_colour(row[4:7], hue, saturation, value * 1.18)


@compiled
def _walls(state, kind, row, hue):
    value, saturation = between(state, 0.68, 0.95), between(state, 0.04, 0.32)
    if uniform(state) < 0.2:
        value, saturation = between(state, 0.4, 0.65), between(state, 0.25, 0.55)
    set_colour(row[1:4], hue, saturation, value)
    draw = uniform(state)
    row[0], row[7] = PLAIN, 1.0
    second = (hue, saturation, value * 0.85)
    if kind == BATH or (kind == KITCHEN and draw < 0.5):
        row[0], row[7] = TILES, between(state, 0.3, 0.45)
        second = (hue, saturation, value * 0.8)
    elif draw < 0.2:
        row[0], row[7] = STRIPES, between(state, 0.3, 0.6)
    elif draw < 0.42:
        row[0] = WAINSCOT
        second = (
            (hue + between(state, -0.1, 0.1)) % 1.0,
            min(saturation * 1.6, 0.6),
            value * between(state, 0.45, 0.8),
        )
    elif draw < 0.52 or (kind == STORAGE and draw < 0.75):
        row[0], row[7] = BRICKS, between(state, 0.5, 0.7)
        second = (hue, saturation, value * 0.75)
    set_colour(row[4:7], second[0], second[1], second[2])


@compiled
def _lamp_colour(state, row):
    warmth, power = between(state, -0.12, 0.14), between(state, 0.85, 1.2)
    row[0], row[1], row[2] = power * (1.0 + warmth), power, power * (1.0 - warmth)


@compiled
def paint_rooms(state, rects, num_rooms, house, rooms, hues):
    """Draw bounds, lamp, floor, walls and ceiling of each room row; note the walls' hues."""
    for n in range(num_rooms):
        place_lamp(state, rects[n], rooms[n])
        hues[n] = paint_room(state, rects[n, 4], rooms[n], house)


@compiled
def place_lamp(state, rect, room):
    """Bounds of the room and its lamp: a point off the middle, in corridors a line."""
    for k in range(4):
        room[k] = rect[k] * CELL
    width, depth = room[2] - room[0], room[3] - room[1]
    for k in range(2):
        middle, side = 0.5 * (room[k] + room[2 + k]), width if k == 0 else depth
        half = max(0.5 * side - 1.0, 0.0) if rect[4] == CORRIDOR else 0.0
        if rect[4] != CORRIDOR:
            middle += between(state, -0.26, 0.26) * side
        room[LAMP + k], room[LAMP + 2 + k] = middle - half, middle + half
    room[KIND] = rect[4]


@compiled
def draw_house(state, house, trim):
    """Draw what the rooms share: ``house`` (3,) wood hue, wood value, wall hue; ``trim`` colour."""
    house[0], house[1], house[2] = (
        between(state, 0.06, 0.1),
        between(state, 0.4, 0.8),
        wall_hue(state),
    )
    if uniform(state) < 0.6:
        set_colour(trim, 0.1, 0.04, between(state, 0.85, 0.95))
    else:
        set_colour(trim, house[0], 0.5, between(state, 0.35, 0.6))


@compiled
def paint_room(state, kind, room, house):
    """Draw floor, walls, ceiling and lamp of a room row: the walls' hue.

    Args:
        house: (3,) wood hue, wood value, main wall hue: what the rooms of a world share.
    """
    hue = house[2] if kind == CORRIDOR or uniform(state) < 0.35 else wall_hue(state)
    _floor(state, kind, room[FLOOR_MATERIAL : FLOOR_MATERIAL + 8], house[0], house[1])
    _walls(state, kind, room[WALL_MATERIAL : WALL_MATERIAL + 8], hue)
    ceiling = room[CEILING_MATERIAL : CEILING_MATERIAL + 8]
    ceiling[0], ceiling[7] = PLAIN, 1.0
    set_colour(ceiling[1:4], hue, 0.04, between(state, 0.86, 0.97))
    for k in range(1, 4):
        ceiling[3 + k] = ceiling[k]
    _lamp_colour(state, room[LAMP_COLOUR : LAMP_COLOUR + 3])
    return hue
