"""Furniture as tables: an object is a list of parts, a room kind a list of likely objects.

Each bound of a part is a pair (share of the object's size, metres added), along the wall (u), away
from the wall (v) and up (z).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mgenv.engine import textures as tx
from mgenv.engine.layout import BATH, BEDROOM, CORRIDOR, DINING, KITCHEN, LIVING, OFFICE, STORAGE
from mgenv.engine.raytrace import BOX, CYLINDER, ELLIPSOID

Bound = tuple[float, float]

MAIN, DARK_MAIN, CLOTH, PALE_CLOTH, WHITE, BLACK, GREEN, ACCENT, LIGHT, WOOD, METAL, EARTH = range(12)
NUM_COLOURS = 12

AT_WALL, IN_ROOM, ON_WALL, ON_FLOOR, OUTER_WALL = range(5)
"""Where an object goes: on the floor along a wall, free in the room, hung, a rug, a window."""

_END = 1.0


def _at(share: float, metres: float = 0.0) -> Bound:
    return (share, metres)


def _span(start: Bound, end: Bound) -> tuple[Bound, Bound]:
    return start, end


ALL = _span(_at(0.0), _at(1.0))


def _first(metres: float, offset: float = 0.0) -> tuple[Bound, Bound]:
    return _at(0.0, offset), _at(0.0, offset + metres)


def _last(metres: float, offset: float = 0.0) -> tuple[Bound, Bound]:
    return _at(1.0, -offset - metres), _at(1.0, -offset)


def _middle(metres: float, share: float = 0.5) -> tuple[Bound, Bound]:
    return _at(share, -metres / 2), _at(share, metres / 2)


def _inset(metres: float) -> tuple[Bound, Bound]:
    return _at(0.0, metres), _at(1.0, -metres)


class Part(NamedTuple):
    """One box, cylinder or ellipsoid of an object."""

    u: tuple[Bound, Bound]
    v: tuple[Bound, Bound]
    z: tuple[Bound, Bound]
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


def _legs(colour: int, top: Bound, width: float = 0.07) -> list[Part]:
    z = _span(_at(0.0), top)
    ends = (_first(width, 0.02), _last(width, 0.02))
    return [Part(u, v, z, colour) for u in ends for v in ends]


def _seat(u: float, v: float, back: int) -> list[Part]:
    """A chair centred at (u, v) [shares]; ``back`` is -1 or 1 along v."""
    square = (_middle(0.42, u), _middle(0.42, v))
    edge = _span(_at(v, back * 0.21 - 0.04), _at(v, back * 0.21 + 0.04))
    return [
        Part(*square, _span(_at(0, 0.38), _at(0, 0.47)), CLOTH),
        Part(_middle(0.42, u), edge, _span(_at(0, 0.1), _at(0, 0.9)), DARK_MAIN),
        Part(_middle(0.3, u), _middle(0.3, v), _span(_at(0), _at(0, 0.38)), DARK_MAIN),
    ]


def _vase(u: float, v: float, base: Bound) -> list[Part]:
    top = _at(base[0], base[1] + 0.2)
    bloom = _at(base[0], base[1] + 0.42)
    return [
        Part(_middle(0.16, u), _middle(0.16, v), _span(base, top), ACCENT, shape=CYLINDER),
        Part(_middle(0.26, u), _middle(0.26, v), _span(top, bloom), GREEN, EARTH, tx.LEAVES, shape=ELLIPSOID),
    ]


_TABLE = [Part(ALL, ALL, _span(_at(1, -0.07), _at(1)), MAIN, DARK_MAIN, tx.PLANKS, 0.22)]
_BODY = _span(_at(0, 0.08), _at(1))

ITEMS: dict[str, Item] = {
    "table": Item((1.0, 1.6), (0.7, 0.9), (0.7, 0.76), IN_ROOM,
                  [*_TABLE, *_legs(DARK_MAIN, _at(1, -0.07), 0.08), *_vase(0.5, 0.5, _at(1))]),
    "dining": Item((1.5, 1.8), (1.9, 2.2), (0.74, 0.76), IN_ROOM, [
        Part(ALL, _middle(0.85), _span(_at(1, -0.07), _at(1)), MAIN, DARK_MAIN, tx.PLANKS, 0.25),
        Part(_first(0.1, 0.05), _middle(0.6), _span(_at(0), _at(1, -0.07)), DARK_MAIN),
        Part(_last(0.1, 0.05), _middle(0.6), _span(_at(0), _at(1, -0.07)), DARK_MAIN),
        *_vase(0.4, 0.5, _at(1)),
        *_seat(0.27, 0.14, -1), *_seat(0.73, 0.14, -1), *_seat(0.27, 0.86, 1), *_seat(0.73, 0.86, 1)]),
    "round table": Item((0.9, 1.2), (0.9, 1.2), (0.6, 0.75), IN_ROOM, [
        Part(ALL, ALL, _span(_at(1, -0.07), _at(1)), MAIN, DARK_MAIN, shape=CYLINDER),
        Part(_middle(0.14), _middle(0.14), _span(_at(0), _at(1, -0.07)), DARK_MAIN, shape=CYLINDER),
        Part(_middle(0.5), _middle(0.5), _span(_at(0), _at(0, 0.06)), DARK_MAIN, shape=CYLINDER),
        *_vase(0.5, 0.5, _at(1))]),
    "coffee table": Item((0.8, 1.2), (0.5, 0.7), (0.38, 0.45), IN_ROOM, [
        *_TABLE, Part(_first(0.08, 0.05), _inset(0.05), _span(_at(0), _at(1, -0.07)), DARK_MAIN),
        Part(_last(0.08, 0.05), _inset(0.05), _span(_at(0), _at(1, -0.07)), DARK_MAIN),
        Part(_middle(0.3, 0.35), _middle(0.22), _span(_at(1), _at(1, 0.06)), ACCENT)]),
    "sofa": Item((1.6, 2.3), (0.85, 1.0), (0.78, 0.9), AT_WALL, [
        Part(_inset(0.18), _span(_at(0, 0.22), _at(1)), _span(_at(0, 0.08), _at(0, 0.42)), CLOTH, PALE_CLOTH, tx.FABRIC, 0.5),
        Part(ALL, _first(0.24), _span(_at(0, 0.08), _at(1)), CLOTH, PALE_CLOTH, tx.FABRIC, 0.5),
        Part(_first(0.2), _span(_at(0), _at(1)), _span(_at(0, 0.08), _at(0, 0.6)), CLOTH, PALE_CLOTH, tx.FABRIC, 0.5),
        Part(_last(0.2), _span(_at(0), _at(1)), _span(_at(0, 0.08), _at(0, 0.6)), CLOTH, PALE_CLOTH, tx.FABRIC, 0.5),
        Part(_first(0.45, 0.24), _span(_at(0, 0.22), _at(0, 0.4)), _span(_at(0, 0.42), _at(0, 0.78)), ACCENT),
        Part(_inset(0.1), _inset(0.1), _span(_at(0), _at(0, 0.08)), BLACK)]),
    "armchair": Item((0.8, 0.95), (0.8, 0.9), (0.8, 0.95), AT_WALL, [
        Part(_inset(0.16), _span(_at(0, 0.2), _at(1)), _span(_at(0, 0.1), _at(0, 0.44)), PALE_CLOTH),
        Part(ALL, _first(0.22), _span(_at(0, 0.1), _at(1)), CLOTH),
        Part(_first(0.17), ALL, _span(_at(0, 0.1), _at(0, 0.62)), CLOTH),
        Part(_last(0.17), ALL, _span(_at(0, 0.1), _at(0, 0.62)), CLOTH)]),
    "bed": Item((1.2, 1.9), (2.0, 2.15), (0.5, 0.58), AT_WALL, [
        Part(ALL, ALL, _span(_at(0, 0.1), _at(1, -0.22)), MAIN),
        Part(_inset(0.04), _inset(0.05), _span(_at(1, -0.22), _at(1)), WHITE),
        Part(_inset(0.02), _span(_at(0.35), _at(1, -0.02)), _span(_at(1, -0.2), _at(1, 0.05)), CLOTH, PALE_CLOTH, tx.CHECKER, 0.3),
        Part(_middle(0.5, 0.28), _first(0.36, 0.12), _span(_at(1), _at(1, 0.12)), PALE_CLOTH),
        Part(_middle(0.5, 0.72), _first(0.36, 0.12), _span(_at(1), _at(1, 0.12)), PALE_CLOTH),
        Part(ALL, _first(0.08), _span(_at(0), _at(1, 0.55)), MAIN, DARK_MAIN, tx.PLANKS, 0.2)]),
    "wardrobe": Item((1.0, 1.9), (0.55, 0.65), (1.9, 2.2), AT_WALL,
                     [Part(ALL, ALL, _BODY, MAIN, DARK_MAIN, tx.DOORS), Part(_inset(0.04), _inset(0.04), _first(0.08), BLACK)]),
    "dresser": Item((0.9, 1.4), (0.42, 0.5), (0.75, 1.0), AT_WALL, [
        Part(ALL, ALL, _BODY, MAIN, DARK_MAIN, tx.DRAWERS), Part(_inset(0.04), _inset(0.04), _first(0.08), BLACK),
        *_vase(0.25, 0.5, _at(1)),
        Part(_middle(0.25, 0.7), _middle(0.25), _span(_at(1), _at(1, 0.22)), ACCENT)]),
    "nightstand": Item((0.45, 0.55), (0.4, 0.45), (0.5, 0.6), AT_WALL, [
        Part(ALL, ALL, _BODY, MAIN, DARK_MAIN, tx.DRAWERS), Part(_inset(0.04), _inset(0.04), _first(0.08), BLACK),
        Part(_middle(0.1), _middle(0.1), _span(_at(1), _at(1, 0.2)), METAL, shape=CYLINDER),
        Part(_middle(0.3), _middle(0.3), _span(_at(1, 0.2), _at(1, 0.45)), LIGHT, LIGHT, tx.GLOW, shape=CYLINDER)]),
    "bookshelf": Item((0.9, 1.6), (0.3, 0.36), (1.7, 2.1), AT_WALL, [
        Part(_first(0.07), ALL, ALL, MAIN), Part(_last(0.07), ALL, ALL, MAIN),
        Part(ALL, _first(0.06), ALL, DARK_MAIN),
        *[Part(_inset(0.05), ALL, _span(_at(s, -0.035 if s else 0.0), _at(s, 0.035)), MAIN) for s in (0.0, 0.25, 0.5, 0.75, 0.985)],
        *[Part(_span(_at(0, 0.09), _at(e)), _span(_at(0), _at(0.75)), _span(_at(s, 0.035), _at(s, 0.3)), ACCENT, c, tx.BOOKS, 0.13)
          for s, e, c in ((0.0, 0.9, DARK_MAIN), (0.25, 0.6, CLOTH), (0.5, 0.8, WHITE), (0.75, 0.45, GREEN))]]),
    "desk": Item((1.2, 1.6), (0.65, 0.8), (0.72, 0.76), AT_WALL, [
        *_TABLE, Part(_last(0.4, 0.03), _inset(0.04), _span(_at(0), _at(1, -0.07)), MAIN, DARK_MAIN, tx.DRAWERS),
        Part(_first(0.08, 0.03), _inset(0.04), _span(_at(0), _at(1, -0.07)), DARK_MAIN),
        Part(_middle(0.62, 0.4), _first(0.06, 0.14), _span(_at(1, 0.1), _at(1, 0.5)), LIGHT, BLACK, tx.SCREEN),
        Part(_middle(0.2, 0.4), _first(0.16, 0.1), _span(_at(1), _at(1, 0.1)), BLACK)]),
    "office chair": Item((0.5, 0.6), (0.5, 0.6), (0.95, 1.05), IN_ROOM, [
        Part(ALL, ALL, _span(_at(0, 0.42), _at(0, 0.52)), CLOTH), Part(ALL, _first(0.1), _span(_at(0, 0.5), _at(1)), CLOTH),
        Part(_middle(0.1), _middle(0.1), _span(_at(0), _at(0, 0.42)), METAL, shape=CYLINDER),
        Part(_inset(0.04), _inset(0.04), _first(0.06), BLACK, shape=CYLINDER)]),
    "counter": Item((1.6, 2.6), (0.58, 0.65), (0.88, 0.92), AT_WALL, [
        Part(ALL, _span(_at(0), _at(1, -0.03)), _span(_at(0, 0.1), _at(1, -0.06)), MAIN, DARK_MAIN, tx.DOORS),
        Part(ALL, ALL, _span(_at(1, -0.06), _at(1)), METAL),
        Part(_inset(0.04), _inset(0.06), _first(0.1), BLACK),
        Part(ALL, _first(0.34), _span(_at(0, 1.45), _at(0, 2.1)), MAIN, DARK_MAIN, tx.DOORS),
        Part(_middle(0.26, 0.2), _middle(0.26), _span(_at(1), _at(1, 0.22)), METAL, shape=CYLINDER),
        Part(_middle(0.4, 0.7), _first(0.3, 0.08), _span(_at(1), _at(1, 0.26)), BLACK, LIGHT, tx.SCREEN)]),
    "fridge": Item((0.6, 0.75), (0.62, 0.7), (1.6, 1.9), AT_WALL, [Part(ALL, ALL, _span(_at(0), _at(1)), WHITE, METAL, tx.DRAWERS),
                   Part(_first(0.06, 0.06), _last(0.06, -0.05), _span(_at(0.5), _at(0.75)), METAL)]),
    "crates": Item((0.6, 0.9), (0.55, 0.7), (0.5, 0.7), AT_WALL, [
        Part(ALL, ALL, ALL, WOOD, EARTH, tx.CRATE),
        Part(_span(_at(0, 0.08), _at(1, -0.12)), _inset(0.06), _span(_at(1), _at(1.8)), WOOD, EARTH, tx.CRATE)]),
    "boxes": Item((0.4, 0.8), (0.4, 0.6), (0.3, 0.6), AT_WALL, [Part(ALL, ALL, ALL, EARTH, WOOD, tx.CRATE),
                  Part(_inset(0.08), _inset(0.08), _span(_at(1), _at(1, 0.25)), ACCENT)]),
    "rack": Item((1.2, 1.8), (0.4, 0.5), (1.6, 1.9), AT_WALL, [
        *_legs(METAL, _at(1)),
        *[Part(ALL, ALL, _span(_at(s), _at(s, 0.06)), METAL) for s in (0.06, 0.48, 0.92)],
        Part(_first(0.4, 0.1), _inset(0.05), _span(_at(0.06, 0.06), _at(0.06, 0.42)), EARTH, WOOD, tx.CRATE),
        Part(_last(0.5, 0.1), _inset(0.05), _span(_at(0.48, 0.06), _at(0.48, 0.4)), ACCENT),
        Part(_first(0.3, 0.15), _inset(0.08), _span(_at(0.48, 0.06), _at(0.48, 0.46)), CLOTH)]),
    "barrel": Item((0.5, 0.62), (0.5, 0.62), (0.8, 0.95), AT_WALL,
                   [Part(ALL, ALL, ALL, ACCENT, BLACK, tx.STRIPES, 0.4, CYLINDER)]),
    "plant": Item((0.42, 0.6), (0.42, 0.6), (1.0, 1.5), AT_WALL, [
        Part(_middle(0.34), _middle(0.34), _first(0.32), ACCENT, shape=CYLINDER),
        Part(_middle(0.07), _middle(0.07), _span(_at(0, 0.3), _at(0.5)), EARTH, shape=CYLINDER),
        Part(ALL, ALL, _span(_at(0.38), _at(0.82)), GREEN, EARTH, tx.LEAVES, shape=ELLIPSOID),
        Part(_inset(0.08), _inset(0.08), _span(_at(0.62), _at(1)), GREEN, EARTH, tx.LEAVES, shape=ELLIPSOID)]),
    "floor lamp": Item((0.4, 0.46), (0.4, 0.46), (1.5, 1.75), AT_WALL, [
        Part(_inset(0.04), _inset(0.04), _first(0.06), BLACK, shape=CYLINDER),
        Part(_middle(0.07), _middle(0.07), _span(_at(0), _at(1, -0.3)), METAL, shape=CYLINDER),
        Part(ALL, ALL, _span(_at(1, -0.36), _at(1)), LIGHT, LIGHT, tx.GLOW, shape=CYLINDER)]),
    "stool": Item((0.36, 0.44), (0.36, 0.44), (0.45, 0.5), IN_ROOM, [
        Part(ALL, ALL, _span(_at(1, -0.1), _at(1)), CLOTH, shape=CYLINDER),
        Part(_middle(0.24), _middle(0.24), _span(_at(0), _at(1, -0.1)), DARK_MAIN, shape=CYLINDER)]),
    "pouf": Item((0.5, 0.7), (0.5, 0.7), (0.38, 0.45), IN_ROOM,
                 [Part(ALL, ALL, _span(_at(0), _at(1)), CLOTH, PALE_CLOTH, tx.STRIPES, 0.25, CYLINDER)]),
    "bath": Item((1.6, 1.8), (0.75, 0.8), (0.55, 0.6), AT_WALL, [Part(ALL, ALL, _span(_at(0), _at(1, -0.05)), WHITE),
                 Part(ALL, _first(0.1), _span(_at(1, -0.05), _at(1)), WHITE), Part(ALL, _last(0.1), _span(_at(1, -0.05), _at(1)), WHITE),
                 Part(_first(0.1), ALL, _span(_at(1, -0.05), _at(1)), WHITE), Part(_last(0.1), ALL, _span(_at(1, -0.05), _at(1)), WHITE)]),
    "basin": Item((0.6, 0.9), (0.45, 0.5), (0.8, 0.86), AT_WALL, [
        Part(ALL, ALL, _span(_at(1, -0.14), _at(1)), WHITE), Part(_inset(0.08), _inset(0.06), _span(_at(0), _at(1, -0.14)), MAIN, DARK_MAIN, tx.DOORS),
        Part(_inset(0.04), _first(0.04), _span(_at(0, 1.15), _at(0, 1.85)), METAL, WHITE, tx.SCREEN)]),
    "toilet": Item((0.4, 0.42), (0.65, 0.7), (0.42, 0.45), AT_WALL, [
        Part(ALL, _first(0.2), _span(_at(0), _at(1, 0.38)), WHITE), Part(ALL, _span(_at(0, 0.2), _at(1)), _span(_at(0), _at(1)), WHITE, shape=CYLINDER)]),
    "tv": Item((1.2, 1.8), (0.4, 0.45), (0.45, 0.55), AT_WALL, [
        Part(ALL, ALL, _BODY, MAIN, DARK_MAIN, tx.DOORS), Part(_inset(0.05), _inset(0.05), _first(0.08), BLACK),
        Part(_inset(0.12), _first(0.07, 0.12), _span(_at(1, 0.1), _at(1, 0.75)), BLACK, BLACK, tx.PLAIN),
        Part(_middle(0.3), _first(0.2, 0.06), _span(_at(1), _at(1, 0.1)), BLACK)]),
    "picture": Item((0.5, 1.2), (0.04, 0.04), (0.4, 0.9), ON_WALL, [Part(ALL, ALL, ALL, DARK_MAIN, ACCENT, tx.PICTURE, -1.0)], (1.2, 1.4)),
    "portrait": Item((0.4, 0.6), (0.04, 0.04), (0.6, 0.9), ON_WALL, [Part(ALL, ALL, ALL, BLACK, PALE_CLOTH, tx.PICTURE, -1.0)], (1.1, 1.3)),
    "wall shelf": Item((0.7, 1.2), (0.22, 0.28), (0.06, 0.07), ON_WALL, [Part(ALL, ALL, ALL, WOOD),
                       Part(_span(_at(0.1), _at(0.6)), _inset(0.03), _span(_at(1), _at(1, 0.24)), ACCENT, WHITE, tx.BOOKS, 0.13)], (1.4, 1.5)),
    "window": Item((0.9, 1.7), (0.05, 0.05), (1.0, 1.25), OUTER_WALL, [Part(ALL, ALL, ALL, LIGHT, WHITE, tx.WINDOW),
                   Part(_span(_at(0, -0.08), _at(1, 0.08)), _first(0.14), _span(_at(0, -0.06), _at(0)), WHITE)], (0.85, 1.0)),
    "radiator": Item((0.8, 1.2), (0.12, 0.14), (0.55, 0.65), AT_WALL, [Part(ALL, ALL, _span(_at(0, 0.1), _at(1)), WHITE, METAL, tx.STRIPES, 0.14)]),
    "rug": Item((1.4, 2.4), (1.1, 1.8), (0.015, 0.015), ON_FLOOR, [Part(ALL, ALL, ALL, CLOTH, PALE_CLOTH, tx.RUG, -1.0)]),
    "round rug": Item((1.4, 2.0), (1.4, 2.0), (0.015, 0.015), ON_FLOOR, [Part(ALL, ALL, ALL, PALE_CLOTH, CLOTH, tx.PLAIN, -1.0, CYLINDER)]),
    "runner": Item((0.7, 0.8), (1.6, 2.6), (0.015, 0.015), ON_FLOOR, [Part(ALL, ALL, ALL, ACCENT, PALE_CLOTH, tx.RUG, -1.0)]),
}  # fmt: skip

ROOMS: dict[int, list[tuple[str, float]]] = {
    CORRIDOR: [("runner", 0.7), ("picture", 0.9), ("picture", 0.8), ("portrait", 0.7), ("dresser", 0.4), ("plant", 0.6),
               ("radiator", 0.5), ("window", 0.5)],
    LIVING: [("window", 0.9), ("window", 0.6), ("rug", 0.8), ("sofa", 1.0), ("tv", 0.8), ("coffee table", 0.8), ("bookshelf", 0.8),
             ("armchair", 0.7), ("floor lamp", 0.8), ("plant", 0.8), ("picture", 1.0), ("picture", 0.8), ("portrait", 0.5), ("pouf", 0.5), ("radiator", 0.5)],
    BEDROOM: [("window", 0.9), ("bed", 1.0), ("rug", 0.5), ("wardrobe", 0.9), ("nightstand", 0.8), ("dresser", 0.6), ("picture", 0.9),
              ("portrait", 0.6), ("plant", 0.4), ("armchair", 0.3), ("radiator", 0.6), ("pouf", 0.3)],
    KITCHEN: [("window", 0.9), ("counter", 1.0), ("fridge", 0.9), ("counter", 0.5), ("round table", 0.6), ("stool", 0.7), ("stool", 0.5),
              ("picture", 0.5), ("wall shelf", 0.6), ("plant", 0.4)],
    OFFICE: [("window", 0.9), ("desk", 1.0), ("office chair", 0.9), ("bookshelf", 0.9), ("rug", 0.4), ("dresser", 0.5), ("plant", 0.6),
             ("picture", 0.9), ("wall shelf", 0.6), ("floor lamp", 0.5), ("desk", 0.4), ("radiator", 0.5)],
    STORAGE: [("rack", 0.9), ("crates", 0.9), ("crates", 0.7), ("boxes", 0.9), ("boxes", 0.6), ("barrel", 0.7), ("barrel", 0.4), ("rack", 0.5),
              ("wardrobe", 0.4), ("window", 0.4)],
    BATH: [("window", 0.5), ("bath", 0.9), ("basin", 1.0), ("toilet", 0.9), ("dresser", 0.4), ("round rug", 0.6), ("plant", 0.4), ("stool", 0.4),
           ("radiator", 0.6), ("portrait", 0.4)],
    DINING: [("window", 0.9), ("dining", 1.0), ("dresser", 0.8), ("table", 0.3), ("picture", 0.9), ("picture", 0.7), ("plant", 0.8), ("wardrobe", 0.4),
             ("floor lamp", 0.4), ("radiator", 0.5)],
}  # fmt: skip

_NAMES = list(ITEMS)
ITEM_SIZE = 12


def _part_row(part: Part) -> list[float]:
    bounds = [number for span in (part.u, part.v, part.z) for bound in span for number in bound]
    return [part.shape, *bounds, part.pattern, part.colour, part.second, part.scale]


def _item_row(item: Item, start: int) -> list[float]:
    sizes = [*item.width, *item.depth, *item.height, *item.bottom]
    return [*sizes, item.place, start, start + len(item.parts), 0.0]


def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    items, parts = [], []
    for item in ITEMS.values():
        items.append(_item_row(item, len(parts)))
        parts += [_part_row(part) for part in item.parts]
    longest = max(len(wishes) for wishes in ROOMS.values())
    wishes = np.full((len(ROOMS), longest, 2), -1.0)
    for kind, names in ROOMS.items():
        for k, (name, probability) in enumerate(names):
            wishes[kind, k] = _NAMES.index(name), probability
    return np.array(items), np.array(parts), wishes


ITEM_TABLE, PART_TABLE, WISH_TABLE = _tables()
"""float64 (items, 12), (parts, 17), (room kinds, wishes, 2): what the compiled code reads."""
