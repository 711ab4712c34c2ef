"""Which furniture the rooms of each kind may have, and all of it as tables of numbers."""

from __future__ import annotations

import numpy as np

from mgenv.engine.estates.outdoors import OUTDOORS
from mgenv.engine.homes.fixtures import FITTINGS
from mgenv.engine.homes.layout import (
    BATH,
    BEDROOM,
    CORRIDOR,
    COURT,
    DINING,
    KITCHEN,
    LIVING,
    OFFICE,
    STORAGE,
)
from mgenv.engine.scene.items import FURNITURE
from mgenv.engine.scene.parts import Item, Part

ITEMS = FURNITURE | FITTINGS | OUTDOORS

ROOMS: dict[int, list[tuple[str, float]]] = {
    CORRIDOR: [
        ("runner", 0.7),
        ("picture", 0.9),
        ("picture", 0.8),
        ("portrait", 0.7),
        ("dresser", 0.4),
        ("plant", 0.6),
        ("radiator", 0.5),
        ("window", 0.5),
    ],
    LIVING: [
        ("window", 0.9),
        ("window", 0.6),
        ("rug", 0.8),
        ("sofa", 1.0),
        ("television", 0.8),
        ("coffee table", 0.8),
        ("bookshelf", 0.8),
        ("armchair", 0.7),
        ("floor lamp", 0.8),
        ("plant", 0.8),
        ("picture", 1.0),
        ("picture", 0.8),
        ("portrait", 0.5),
        ("pouf", 0.5),
        ("radiator", 0.5),
    ],
    BEDROOM: [
        ("window", 0.9),
        ("bed", 1.0),
        ("rug", 0.5),
        ("wardrobe", 0.9),
        ("nightstand", 0.8),
        ("dresser", 0.6),
        ("picture", 0.9),
        ("portrait", 0.6),
        ("plant", 0.4),
        ("armchair", 0.3),
        ("radiator", 0.6),
        ("pouf", 0.3),
    ],
    KITCHEN: [
        ("window", 0.9),
        ("counter", 1.0),
        ("fridge", 0.9),
        ("counter", 0.5),
        ("round table", 0.6),
        ("stool", 0.7),
        ("stool", 0.5),
        ("picture", 0.5),
        ("wall shelf", 0.6),
        ("plant", 0.4),
    ],
    OFFICE: [
        ("window", 0.9),
        ("desk", 1.0),
        ("office chair", 0.9),
        ("bookshelf", 0.9),
        ("rug", 0.4),
        ("dresser", 0.5),
        ("plant", 0.6),
        ("picture", 0.9),
        ("wall shelf", 0.6),
        ("floor lamp", 0.5),
        ("desk", 0.4),
        ("radiator", 0.5),
    ],
    STORAGE: [
        ("rack", 0.9),
        ("crates", 0.9),
        ("crates", 0.7),
        ("boxes", 0.9),
        ("boxes", 0.6),
        ("barrel", 0.7),
        ("barrel", 0.4),
        ("rack", 0.5),
        ("wardrobe", 0.4),
        ("window", 0.4),
    ],
    BATH: [
        ("window", 0.5),
        ("bathtub", 0.9),
        ("basin", 1.0),
        ("toilet", 0.9),
        ("dresser", 0.4),
        ("round rug", 0.6),
        ("plant", 0.4),
        ("stool", 0.4),
        ("radiator", 0.6),
        ("portrait", 0.4),
    ],
    DINING: [
        ("window", 0.9),
        ("dining set", 1.0),
        ("dresser", 0.8),
        ("table", 0.3),
        ("picture", 0.9),
        ("picture", 0.7),
        ("plant", 0.8),
        ("wardrobe", 0.4),
        ("floor lamp", 0.4),
        ("radiator", 0.5),
    ],
    COURT: [
        ("tree", 0.8),
        ("fountain", 0.35),
        ("well", 0.3),
        ("bench", 0.8),
        ("parasol", 0.4),
        ("hedge", 0.8),
        ("planter", 0.8),
        ("tree", 0.5),
        ("cypress", 0.6),
        ("cypress", 0.5),
        ("lantern", 0.7),
        ("statue", 0.35),
        ("barrel", 0.4),
        ("bench", 0.3),
        ("crates", 0.3),
    ],
}

_NAMES = list(ITEMS)

_HOUSE = ("floor", "ceiling", "wall", "door frame", "ceiling lamp")
_CHARACTERS = ("person", "robot", "dog", "bird")
LABELS = (*_HOUSE, *_NAMES, "stairs", "sky", *_CHARACTERS)
"""What segmentation tells apart: the house itself, every kind of furniture, steps, the sky, and
characters by their body plan."""
WINDOW_FRAME = LABELS.index("window")
DOOR_FRAME, CEILING_LAMP = LABELS.index("door frame"), LABELS.index("ceiling lamp")
FIRST_CHARACTER = LABELS.index(_CHARACTERS[0])
FIRST_ITEM = len(_HOUSE)
"""The class of the first kind of furniture; the kind in row k of the table is this plus k."""


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
ESTATE_WISHES = WISH_TABLE.copy()
"""The same for rooms whose windows are holes in the wall, not things that hang on it."""
ESTATE_WISHES[WISH_TABLE[..., 0] == _NAMES.index("window"), 1] = 0.0
