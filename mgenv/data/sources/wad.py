"""Doom's archives: which maps one holds, and where in them a player can stand."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from mgenv.engine.estates.wad import read_lumps
from mgenv.errors import DataError

MAP_NAME = re.compile(r"MAP\d\d|E\dM\d")
STANDING = {1, 2, 3, 4, 11, *range(2001, 2020), *range(2022, 2027), 2046, 2047, 2048}
"""Editor numbers of things that a player can stand in: starts, and what lies about to be taken."""
THING = struct.Struct("<hhhhh")
"""x, y, angle [degrees], editor number, flags."""


class Wad:
    """A WAD file's maps.

    Attributes:
        maps: names such as MAP01 or E1M1, in the file's order.
        places: by map, points (x, y) in map units where a player can stand.

    Raises:
        DataError: the file is missing, is no WAD, or is cut off.
    """

    def __init__(self, path: Path) -> None:
        lumps = read_lumps(path)
        self.places: dict[str, list[tuple[int, int]]] = {}
        for (name, _), (following, things) in zip(lumps, lumps[1:], strict=False):
            if MAP_NAME.fullmatch(name) and following == "THINGS":
                self.places[name] = _places(things)
        self.maps = [name for name, places in self.places.items() if places]
        if not self.maps:
            raise DataError(f"{path}: expected maps such as MAP01 or E1M1, found none")


def _places(things: bytes) -> list[tuple[int, int]]:
    whole = len(things) // THING.size * THING.size
    found = THING.iter_unpack(things[:whole])
    return [(x, y) for x, y, _, kind, _ in found if kind in STANDING]
