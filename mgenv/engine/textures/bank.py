"""Banks of image textures: thousands of surfaces as small seamless pictures, filtered as seen.

A texture is a chain of squares 64, 32, … 1 texels wide, one after another, each the mean of the
one before. Texels are display values, whose square is the linear light; the first row is the
lowest and the first column the leftmost.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mgenv.engine.textures import floors as texture_floors
from mgenv.engine.textures import ground as texture_ground
from mgenv.engine.textures import walls as texture_walls
from mgenv.engine.textures.drawing import NUM_FIELDS, draw
from mgenv.engine.textures.recipe import Draws, Recipe, pack
from mgenv.engine.textures.textures import clamp01, whole
from mgenv.jit import compiled, inlined_ray_function, ray_function

f32 = np.float32

SIDE = 64
TEXELS = 5461
"""Texels of a chain: 64² + 32² + … + 1."""

_COUNTS = {
    "plaster": 96, "wallpaper": 128, "panelling": 64, "siding": 64, "brick": 128, "ashlar": 96,
    "rubble": 72, "tile": 128, "mosaic": 96, "marble": 96, "concrete": 72, "metal": 80,
    "shingles": 80, "boards": 112, "parquet": 96, "terrazzo": 72, "fabric": 88, "carpet": 104,
    "paving": 96, "cobble": 64, "grass": 64, "gravel": 56, "sand": 48, "soil": 48,
}  # fmt: skip
NUM_TEXTURES = sum(_COUNTS.values())


def ranges(counts: dict[str, int]) -> dict[str, range]:
    """The numbers of each category's textures, one category after another."""
    ends = np.cumsum(list(counts.values())).tolist()
    return {
        name: range(end - count, end)
        for (name, count), end in zip(counts.items(), ends, strict=True)
    }


CATEGORIES: dict[str, range] = ranges(_COUNTS)


class Bank(NamedTuple):
    """Textures to draw surfaces with.

    Attributes:
        texels: (N, ``TEXELS``, 3) uint8 display values.
        size: (N,) metres along a side of what a texture shows before it repeats.
        categories: the numbers of the textures of each kind of surface.
    """

    texels: NDArray[np.uint8]
    size: NDArray[np.float32]
    categories: dict[str, range]


@functools.cache
def procedural() -> Bank:
    """The 2,048 textures that are drawn, not loaded: for ever the same."""
    drawn = [
        recipe_of(name, index) for name, every in CATEGORIES.items() for index in range(len(every))
    ]
    texels = np.empty((NUM_TEXTURES, TEXELS, 3), np.uint8)
    _draw_all(*pack(drawn), texels)
    return Bank(texels, np.array([recipe.size for recipe in drawn], np.float32), CATEGORIES)


def recipe_of(category: str, index: int) -> Recipe:
    """How a category's texture is made."""
    modules = (texture_walls, texture_floors, texture_ground)
    draw_recipe = next(getattr(m, category) for m in modules if hasattr(m, category))
    return draw_recipe(Draws(list(CATEGORIES).index(category), index))


@compiled
def _draw_all(recipes, colours, texels):
    fields, spare = np.zeros((NUM_FIELDS, SIDE, SIDE)), np.empty((SIDE, SIDE))
    scratch, picture = np.empty(SIDE), np.empty((SIDE, SIDE, 3))
    for number in range(len(recipes)):
        draw(recipes, colours, number, fields, spare, scratch, picture)
        fill_chain(picture, texels[number])


@compiled
def fill_chain(picture, texels):
    """Write the chain (``TEXELS``, 3) of a picture (64, 64, 3) of display values in [0, 1].

    The picture is used up: means are taken in linear light, in place.
    """
    side, at = SIDE, 0
    for y in range(SIDE):
        for x in range(SIDE):
            for k in range(3):
                shown = min(max(picture[y, x, k], 0.0), 1.0)
                picture[y, x, k] = shown * shown
    while side >= 1:
        for y in range(side):
            for x in range(side):
                for k in range(3):
                    texels[at + y * side + x, k] = int(np.sqrt(picture[y, x, k]) * 255.0 + 0.5)
        at += side * side
        side //= 2
        _halve(picture, side)


@compiled
def _halve(picture, side):
    """Shrink the square in the corner of a picture to half its width, ``side``."""
    for y in range(side):
        for x in range(side):
            for k in range(3):
                below = picture[2 * y, 2 * x, k] + picture[2 * y, 2 * x + 1, k]
                above = picture[2 * y + 1, 2 * x, k] + picture[2 * y + 1, 2 * x + 1, k]
                picture[y, x, k] = 0.25 * (below + above)


@inlined_ray_function
def _square(texels, number, index, k):
    shown = f32(texels[number, index, k])
    return shown * shown


@inlined_ray_function
def _blend(texels, number, a, b, c, d, x, y, k):
    """Linear light times 255² of channel k, between four texels."""
    below = _square(texels, number, a, k)
    below += x * (_square(texels, number, b, k) - below)
    above = _square(texels, number, c, k)
    above += x * (_square(texels, number, d, k) - above)
    return below + y * (above - below)


@inlined_ray_function
def _on_level(texels, number, at, side, u, v):
    """Light at (u, v) [tiles, in 0–1] of the level of this side, which begins at texel ``at``."""
    x, y = u * f32(side) + (f32(side) - f32(0.5)), v * f32(side) + (f32(side) - f32(0.5))
    i, j = int(x), int(y)
    x, y = x - f32(i), y - f32(j)
    last = side - 1
    left, right = at + (i & last), at + ((i + 1) & last)
    low, high = (j & last) * side, ((j + 1) & last) * side
    a, b, c, d = low + left, low + right, high + left, high + right
    return (
        _blend(texels, number, a, b, c, d, x, y, 0),
        _blend(texels, number, a, b, c, d, x, y, 1),
        _blend(texels, number, a, b, c, d, x, y, 2),
    )


@ray_function
def sample(texels, number, u, v, size, footprint):
    """Linear r, g, b of a texture, as a pixel sees it.

    Args:
        texels: (N, ``TEXELS``, 3) of a :class:`Bank`.
        number: which texture.
        u, v: where on the surface [m]: to the right, and up.
        size: what the texture covers before it repeats [m].
        footprint: what a pixel covers [m].
    """
    scale = f32(1.0) / size
    u, v = u * scale, v * scale
    u, v = u - whole(u), v - whole(v)
    wide = footprint * scale * f32(SIDE)
    side, at = SIDE, 0
    while wide > f32(2.0) and side > 1:
        at, side, wide = at + side * side, side >> 1, wide * f32(0.5)
    red, green, blue = _on_level(texels, number, at, side, u, v)
    if wide > f32(1.0) and side > 1:
        r, g, b = _on_level(texels, number, at + side * side, side >> 1, u, v)
        part = clamp01(wide - f32(1.0))
        red, green, blue = (
            red + part * (r - red),
            green + part * (g - green),
            blue + part * (b - blue),
        )
    unit = f32(1.0 / 65025.0)
    return red * unit, green * unit, blue * unit
