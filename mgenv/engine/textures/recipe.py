"""Recipes of textures: parameters that :mod:`mgenv.engine.textures.drawing` turns into a picture.

Lengths are texels, of which a picture is 64 wide, unless said otherwise; colours are display
values.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mgenv.engine.render.random_stream import new_stream, uniform

PLAIN, GRID, HERRINGBONE, BASKET, POINTS = range(5)
"""How a surface is cut into cells: not, in rows, in two kinds of blocks, around points."""
(NO_MOTIF, STRIPE, DOT, TRELLIS, FLOWER, DAMASK, ROSETTE, PLAID, ZIGZAG, RING, QUARTERS, FRAME) = (
    range(12)
)
BASE, SECOND, ACCENT, JOINT, MOTIF, STAIN, VEIN, STROKE, STROKE_2 = range(9)
COLOURS = ("base", "second", "accent", "joint", "motif", "stain", "vein", "stroke", "stroke_2")

Colour = tuple[float, float, float]
T = TypeVar("T")


@dataclass(kw_only=True)
class Recipe:
    """One texture.

    Attributes:
        size: metres that the picture covers.
        colours: by name, one of ``COLOURS``; those left out are as ``base``.
        layout, columns, rows: how the picture is cut into cells.
        shift: cells by which each row lies to the right of the one below; below 0, by chance.
        uneven, uneven_rows: how far joints across and between the rows stray, in cells.
        upright: 1 to lay the rows up instead of across.
        askew: 1 to turn the cells by 45° (and make them smaller by √2).
        chevron: how steeply neighbouring columns fall and rise.
        overlap: 1 for rows that lie on the one below, as shingles do; ``rounding`` of their ends.
        cut: length of the corners that make cells of their own.
        blocks: how many times as long as wide a block is.
        warp: how far outlines waver.
        joint, joint_soft: width of the joints and of their borders.
        tint: how much brightness differs from cell to cell.
        blend: how far cells go from the first colour to the second.
        accent: share of cells in the accent's colour.
        bevel, dome, slope: light on upper edges, width of the darker rim, fall from top to foot.
        motif, motif_size, motif_detail: what is painted into each cell, and how.
        motif_share: share of the cells that have it.
        grain, grain_x, grain_y: strength and lengths of fine texture; ``rings`` folds it.
        mottle, stain, blot: change of brightness, strength of the second tone, radius of both.
        vein, vein_width, vein_radius: strength, width and spacing of veins.
        speckle: difference from texel to texel.
        strokes, length, width: how many blades, pebbles or chips, of which size.
        lean: how upright strokes stand, from 0 (any direction) to 1.
        relief: how round and lit strokes are.
        soften: how much neighbouring texels run together.
    """

    size: float = 1.0
    colours: dict[str, Colour] = field(default_factory=dict)
    layout: float = PLAIN
    columns: float = 1
    rows: float = 1
    shift: float = 0
    uneven: float = 0
    uneven_rows: float = 0
    upright: float = 0
    askew: float = 0
    chevron: float = 0
    overlap: float = 0
    rounding: float = 0
    cut: float = 0
    blocks: float = 3
    warp: float = 0
    joint: float = 0
    joint_soft: float = 1
    tint: float = 0
    blend: float = 0
    accent: float = 0
    bevel: float = 0
    dome: float = 0
    slope: float = 0
    motif: float = NO_MOTIF
    motif_size: float = 0.5
    motif_detail: float = 0
    motif_share: float = 1
    grain: float = 0
    grain_x: float = 1
    grain_y: float = 1
    rings: float = 0
    mottle: float = 0
    stain: float = 0
    blot: float = 8
    vein: float = 0
    vein_width: float = 0.1
    vein_radius: float = 8
    speckle: float = 0
    strokes: float = 0
    length: float = 4
    width: float = 1
    lean: float = 0
    relief: float = 0
    soften: float = 0.25


NUMBERS = tuple(f.name for f in fields(Recipe) if f.name not in ("size", "colours"))
RECORD = np.dtype([(name, np.float64) for name in NUMBERS])


def pack(recipes: list[Recipe]) -> tuple[np.recarray, NDArray[np.float64]]:
    """Recipes as compiled code reads them: (N,) ``RECORD``, and colours (N, 9, 3)."""
    numbers = [tuple(float(getattr(recipe, name)) for name in NUMBERS) for recipe in recipes]
    colours = [
        [recipe.colours.get(name, recipe.colours["base"]) for name in COLOURS] for recipe in recipes
    ]
    return np.array(numbers, RECORD).view(np.recarray), np.array(colours)


class Draws:
    """What a recipe chooses from: a stream, and numbers that spread evenly over a category."""

    def __init__(self, purpose: int, index: int) -> None:
        self._state = new_stream(index, purpose)
        self._index = index

    def between(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * uniform(self._state)

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int(uniform(self._state) * (high + 1 - low))

    def chance(self, share: float) -> bool:
        """True for that share of the draws."""
        return bool(uniform(self._state) < share)

    def pick(self, *options: T) -> T:
        """One of the options."""
        return options[int(uniform(self._state) * len(options))]

    def spread(self, axis: int, low: float, high: float) -> float:
        """A number that neighbours in a category have far apart: Kronecker's, axes 0 to 2."""
        step = (0.8191725134, 0.6710436067, 0.5497004779)[axis]
        return low + (high - low) * ((self._index + 1) * step % 1.0)
