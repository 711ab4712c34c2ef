"""Image textures for the surfaces of estates, by what the surface is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mgenv.engine.homes.layout import BATH, CORRIDOR, COURT, KITCHEN, STORAGE
from mgenv.engine.render.random_stream import below, between, uniform
from mgenv.engine.render.raytrace import CEILING_MATERIAL, FLOOR_MATERIAL, WALL_MATERIAL
from mgenv.engine.scene.shapes import BOX, OBJECT_MATERIAL
from mgenv.engine.textures.bank import Bank
from mgenv.engine.textures.textures import IMAGE, LEAVES, PLAIN
from mgenv.jit import compiled

(INDOOR_FLOOR, WET_FLOOR, OUTDOOR_FLOOR, LAND_FLOOR, INDOOR_WALL, WET_WALL, FACADE, PIECE, LEAF) = (
    range(9)
)
USES: tuple[tuple[str, ...], ...] = (
    ("boards", "parquet", "carpet", "terrazzo", "marble", "boards", "parquet"),
    ("tile", "mosaic", "terrazzo", "concrete", "tile"),
    ("paving", "cobble", "grass", "gravel", "grass", "sand", "paving"),
    ("grass", "soil", "sand", "gravel", "grass"),
    ("plaster", "wallpaper", "panelling", "wallpaper", "plaster", "brick", "concrete"),
    ("tile", "mosaic", "plaster", "tile"),
    ("brick", "ashlar", "rubble", "plaster", "siding", "brick"),
    ("fabric", "boards", "marble", "metal", "fabric", "panelling"),
    ("grass",),
)
"""The categories of texture for each use, in the order of the numbers above."""
FREEDOOM_USES = (
    ("floors",),
    ("floors",),
    ("floors", *USES[OUTDOOR_FLOOR]),
    USES[LAND_FLOOR],
    ("walls",),
    ("walls",),
    ("walls", "walls", *USES[FACADE]),
    USES[PIECE],
    USES[LEAF],
)
"""The same where the textures of Freedoom are used too."""


def choices(bank: Bank, uses: tuple[tuple[str, ...], ...] = USES) -> NDArray[np.int64]:
    """int64 (uses, most, 2): for each use, the first texture and the count of its categories.

    Rows with a count of 0 fill up.
    """
    table = np.zeros((len(uses), max(map(len, uses)), 2), np.int64)
    for use, names in enumerate(uses):
        for n, name in enumerate(names):
            numbers = bank.categories[name]
            table[use, n] = numbers.start, len(numbers)
    return table


@compiled
def draw_texture(state, table, use):
    """The number of a texture for this use."""
    count = 0
    while count < table.shape[1] and table[use, count, 1] > 0:
        count += 1
    row = table[use, below(state, float(count))]
    return row[0] + below(state, float(row[1]))


@compiled
def cover(state, table, use, sizes, row):
    """Make a material (8,) an image texture for this use, a little lighter, darker or tinted."""
    number, shade = draw_texture(state, table, use), between(state, 0.8, 1.12)
    row[0], row[4], row[5], row[6], row[7] = IMAGE, sizes[number], 0.0, 0.0, number
    for k in range(3):
        row[1 + k] = shade * between(state, 0.96, 1.04)


@compiled
def cover_room(state, kind, table, sizes, room):
    """Textures for most floors and walls of a room; the rest keeps its paint."""
    wet = kind == BATH or kind == KITCHEN or kind == STORAGE
    floor, wall = room[FLOOR_MATERIAL : FLOOR_MATERIAL + 8], room[WALL_MATERIAL : WALL_MATERIAL + 8]
    if kind >= COURT:
        cover(state, table, OUTDOOR_FLOOR if kind == COURT else LAND_FLOOR, sizes, floor)
        cover(state, table, FACADE, sizes, wall)
        room[CEILING_MATERIAL : CEILING_MATERIAL + 8] = wall
        return
    if uniform(state) < 0.8:
        cover(state, table, WET_FLOOR if wet else INDOOR_FLOOR, sizes, floor)
    if uniform(state) < 0.7:
        cover(state, table, WET_WALL if wet and kind != STORAGE else INDOOR_WALL, sizes, wall)
    if kind == CORRIDOR and uniform(state) < 0.3:
        room[CEILING_MATERIAL : CEILING_MATERIAL + 8] = wall


@compiled
def cover_pieces(state, table, sizes, objects, belongs, first, last):
    """Textures for some pieces of furniture: their plain boxes of one colour."""
    n = first
    while n < last:
        end = n
        while end < last and belongs[end, 1] == belongs[n, 1]:
            end += 1
        if uniform(state) < 0.45:
            _cover_piece(state, table, sizes, objects, n, end)
        _cover_leaves(state, table, sizes, objects, n, end)
        n = end


@compiled
def _cover_leaves(state, table, sizes, objects, first, last):
    """What is cut square and has leaves looks like lawn, a little darker, all of it alike."""
    number = -1
    for n in range(first, last):
        row = objects[n]
        if row[0] == BOX and row[OBJECT_MATERIAL] == LEAVES:
            if number < 0:
                number = table[LEAF, 0, 0] + below(state, float(table[LEAF, 0, 1]))
            row[OBJECT_MATERIAL], row[12], row[15] = IMAGE, 0.5 * sizes[number], number
            row[9], row[10], row[11] = 0.8, 0.8, 0.8


@compiled
def _cover_piece(state, table, sizes, objects, first, last):
    number, chosen = draw_texture(state, table, PIECE), -1
    for n in range(first, last):
        row = objects[n]
        if row[0] != BOX or row[OBJECT_MATERIAL] != PLAIN:
            continue
        if chosen < 0:
            chosen = n
            red, green, blue = row[9], row[10], row[11]
        if row[9] == red and row[10] == green and row[11] == blue:
            row[OBJECT_MATERIAL], row[12], row[15] = IMAGE, sizes[number], number
            row[9], row[10], row[11] = 1.0, 1.0, 1.0
