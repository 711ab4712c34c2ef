"""The vocabulary of furniture: shapes given in shares of an object's size plus metres.

Each bound of a part is a pair (share of the object's size, metres added), along the wall (u), away
from the wall (v) and up (z): (0, 0.1) is 10 cm from the start, (1, -0.1) 10 cm before the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mgenv.engine.scene.shapes import BOX, CYLINDER, ELLIPSOID
from mgenv.engine.textures import textures as tx

Bound = tuple[float, float]

MAIN, DARK_MAIN, CLOTH, PALE_CLOTH, WHITE, BLACK, GREEN, ACCENT, LIGHT, WOOD, METAL, EARTH = range(
    12
)
NUM_COLOURS = 12
MAIN, DARK_MAIN, CLOTH, PALE_CLOTH, WHITE, BLACK = range(6)
GREEN, ACCENT, LIGHT, WOOD, METAL, EARTH = range(6, NUM_COLOURS)

AT_WALL, IN_ROOM, ON_WALL, ON_FLOOR, OUTER_WALL = range(5)
"""Where an object goes: on the floor along a wall, free in the room, hung, a rug, a window."""

Span = tuple[Bound, Bound]

ALL: Span = ((0, 0), (1, 0))


def first(metres: float, offset: float = 0.0) -> Span:
    """The first ``metres``, after ``offset``."""
    return (0.0, offset), (0.0, offset + metres)


def last(metres: float, offset: float = 0.0) -> Span:
    """The last ``metres``, before ``offset``."""
    return (1.0, -offset - metres), (1.0, -offset)


def middle(metres: float, share: float = 0.5) -> Span:
    """``metres`` around a share of the size."""
    return (share, -metres / 2), (share, metres / 2)


def inset(metres: float) -> Span:
    """All but ``metres`` at either end."""
    return (0.0, metres), (1.0, -metres)


class Part(NamedTuple):
    """One box, cylinder or ellipsoid of an object."""

    u: Span
    v: Span
    z: Span
    colour: int
    second: int = WHITE
    pattern: int = tx.PLAIN
    scale: float = 0.3
    shape: int = BOX


class Item(NamedTuple):
    """An object: ranges of width, depth and height [m], its place and its parts."""

    width: tuple[float, float]
    depth: tuple[float, float]
    height: tuple[float, float]
    place: int
    parts: Sequence[Part]
    bottom: tuple[float, float] = (0.0, 0.0)


def legs(colour: int, top: Bound, width: float = 0.07) -> list[Part]:
    """Four legs in the corners."""
    z = ((0.0, 0), top)
    ends = (first(width, 0.02), last(width, 0.02))
    return [Part(u, v, z, colour) for u in ends for v in ends]


def seat(u: float, v: float, back: int) -> list[Part]:
    """A chair centred at (u, v) [shares]; ``back`` is -1 or 1 along v."""
    square = (middle(0.42, u), middle(0.42, v))
    edge = ((v, back * 0.21 - 0.04), (v, back * 0.21 + 0.04))
    return [
        Part(*square, ((0, 0.38), (0, 0.47)), CLOTH),
        Part(middle(0.42, u), edge, ((0, 0.1), (0, 0.9)), DARK_MAIN),
        Part(middle(0.3, u), middle(0.3, v), ((0, 0), (0, 0.38)), DARK_MAIN),
    ]


def vase(u: float, v: float, base: Bound) -> list[Part]:
    """A pot of flowers at (u, v) [shares]."""
    top = (base[0], base[1] + 0.2)
    bloom = (base[0], base[1] + 0.42)
    return [
        Part(middle(0.16, u), middle(0.16, v), (base, top), ACCENT, shape=CYLINDER),
        Part(
            middle(0.26, u), middle(0.26, v), (top, bloom), GREEN, EARTH, tx.LEAVES, shape=ELLIPSOID
        ),
    ]
