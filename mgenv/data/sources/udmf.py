"""Multi-room maps for Doom engines: levels of rooms, openings, steps, pillars and lamps.

Maps are written as text (UDMF, the Universal Doom Map Format 1.1) and packed into a PWAD; the
engine builds its search tree when it loads them. Everything is in map units, x right, y up; a
line's front lies to its right, so a room's walls run clockwise.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

WALLS = (
    "STARTAN2 STARTAN3 STARG1 BRICK1 BRICK7 BIGBRIK1 STONE2 STONE3 METAL1 BROWN1 BROWN96 GRAY1 "
    "GRAY7 TEKWALL1 WOOD1 WOOD5 MARBLE1 BRONZE1 CEMENT1 CEMENT7 PANEL7 SHAWN2 BROWNHUG BSTONE1"
).split()
FLOORS = (
    "FLOOR0_1 FLOOR0_3 FLOOR4_8 FLOOR5_1 FLOOR5_2 FLOOR5_4 FLOOR7_1 FLAT1 FLAT5 FLAT20 "
    "MFLR8_1 RROCK09 SLIME13 GRASS1 FLAT5_4"
).split()
CEILINGS = "CEIL1_1 CEIL3_1 CEIL3_5 CEIL5_1 CEIL5_2 FLAT1 FLAT5_4 FLAT19 FLOOR7_1 RROCK03".split()
SKY = "F_SKY1"
PLAYER_START = 1
DECORATIONS = (2028, 48, 30, 32, 35, 44, 45, 46, 85, 86, 2035, 43, 25, 34, 55, 56, 57)
"""Lamps, columns, torches, trees, candles, a barrel: editor numbers of Doom II's things."""

THICKNESS = 32
STEP = 8
"""Floors differ by 1 to 3 of these; the player climbs 24."""
CLEARANCE = 56
"""Kept free around whatever stands in a room: the player is 32 wide."""

Rect = tuple[int, int, int, int]
"""x0, y0, x1, y1."""
Point = tuple[int, int]


@dataclass
class Sector:
    """A floor and a ceiling, and the walls between them."""

    floor: int
    ceiling: int
    floor_flat: str
    ceiling_flat: str
    wall: str
    light: int


@dataclass
class Level:
    """A map in the making.

    Attributes:
        sectors: of the map.
        lines: vertex, vertex, sector in front, sector behind or None.
        things: x, y, angle [degrees], editor number.
    """

    sectors: list[Sector] = field(default_factory=list)
    lines: list[tuple[Point, Point, int, int | None]] = field(default_factory=list)
    things: list[tuple[int, int, int, int]] = field(default_factory=list)

    def add(self, sector: Sector) -> int:
        """The sector's index."""
        self.sectors.append(sector)
        return len(self.sectors) - 1

    def enclose(self, points: Sequence[Point], front: int, behind: int | None = None) -> None:
        """Lines along a closed path, ``front`` to its right."""
        for a, b in zip(points, [*points[1:], points[0]], strict=True):
            self.lines.append((a, b, front, behind))

    def text(self) -> str:
        """The map as UDMF."""
        vertices = {
            p: i for i, p in enumerate(dict.fromkeys(p for li in self.lines for p in li[:2]))
        }
        sides: list[str] = []
        blocks = [_block("vertex", x=float(x), y=float(y)) for x, y in vertices]
        for a, b, front, behind in self.lines:
            fields: dict[str, object] = {"v1": vertices[a], "v2": vertices[b]}
            fields["sidefront"] = self._side(sides, front, behind)
            if behind is None:
                fields["blocking"] = True
            else:
                fields["sideback"] = self._side(sides, behind, front)
                fields["twosided"] = True
            blocks.append(_block("linedef", **fields))
        blocks += sides
        blocks += [_sector_block(sector) for sector in self.sectors]
        blocks += [_thing_block(*thing) for thing in self.things]
        return "\n".join(['namespace = "zdoom";', *blocks])

    def _side(self, sides: list[str], sector: int, other: int | None) -> int:
        wall = self.sectors[sector].wall
        faces = ("texturemiddle",) if other is None else ("texturetop", "texturebottom")
        sides.append(_block("sidedef", sector=sector, **dict.fromkeys(faces, wall)))
        return len(sides) - 1


def make_level(seed: int) -> Level:
    """An enclosed level of 5 to 14 connected rooms, each of which can be walked to."""
    rng = np.random.default_rng([seed, 0xD00])
    level = Level()
    columns, rows = (_extents(rng, int(rng.integers(3, 5))) for _ in range(2))
    wanted = int(rng.integers(5, max(6, len(columns) * len(rows) - 1)))
    cells, openings = _connect(rng, len(columns), len(rows), wanted)
    rooms = {c: _room_rect(columns[c[0]], rows[c[1]]) for c in cells}
    indices = {cell: level.add(_room_sector(rng)) for cell in cells}
    cuts: dict[tuple[int, int], list[tuple[Point, Point]]] = {cell: [] for cell in cells}
    for one, two in openings:
        _open(rng, level, rooms, indices, cuts, one, two)
    for cell in cells:
        _raise_walls(level, rooms[cell], indices[cell], cuts[cell])
    taken = {cell: _furnish(rng, level, rooms[cell], indices[cell]) for cell in cells}
    start = cells[int(rng.integers(len(cells)))]
    x, y = _free_point(rng, rooms[start], taken[start])
    level.things.append((x, y, int(rng.integers(360)), PLAYER_START))
    return level


def pack(levels: Sequence[Level]) -> bytes:
    """A PWAD of levels MAP01, MAP02, …"""
    lumps: list[tuple[str, bytes]] = []
    for index, level in enumerate(levels):
        lumps += [(f"MAP{index + 1:02d}", b""), ("TEXTMAP", level.text().encode()), ("ENDMAP", b"")]
    body, directory = bytearray(), bytearray()
    for name, data in lumps:
        directory += struct.pack("<ii8s", 12 + len(body), len(data), name.encode())
        body += data
    return struct.pack("<4sii", b"PWAD", len(lumps), 12 + len(body)) + bytes(body + directory)


def _block(kind: str, **fields: object) -> str:
    return f"{kind} {{ " + " ".join(f"{k} = {_value(v)};" for k, v in fields.items()) + " }"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _sector_block(sector: Sector) -> str:
    return _block(
        "sector",
        heightfloor=sector.floor,
        heightceiling=sector.ceiling,
        texturefloor=sector.floor_flat,
        textureceiling=sector.ceiling_flat,
        lightlevel=sector.light,
    )


def _thing_block(x: int, y: int, angle: int, kind: int) -> str:
    skills = {f"skill{n}": True for n in range(1, 6)}
    return _block("thing", x=float(x), y=float(y), angle=angle, type=kind, single=True, **skills)


def _extents(rng: np.random.Generator, count: int) -> list[tuple[int, int]]:
    """From where to where each column or row of rooms reaches."""
    widths = 32 * rng.integers(7, 16, count)
    ends = np.cumsum(widths + THICKNESS)
    return [(int(end - width), int(end)) for end, width in zip(ends, widths, strict=True)]


def _room_rect(column: tuple[int, int], row: tuple[int, int]) -> Rect:
    return column[0], row[0], column[1], row[1]


def _connect(
    rng: np.random.Generator, columns: int, rows: int, wanted: int
) -> tuple[list[Point], list[tuple[Point, Point]]]:
    """Cells that hold rooms, each opening into an earlier one, and a third of the other pairs."""
    grid = set(itertools.product(range(columns), range(rows)))
    cells: list[Point] = [(int(rng.integers(columns)), int(rng.integers(rows)))]
    openings: list[tuple[Point, Point]] = []
    while len(cells) < wanted:
        pairs = [(a, b) for a in cells for b in _neighbours(a) if b in grid and b not in cells]
        one, two = pairs[int(rng.integers(len(pairs)))]
        cells.append(two)
        openings.append((min(one, two), max(one, two)))
    for one in cells:
        for two in _neighbours(one):
            new = two in cells and one < two and (one, two) not in openings
            if new and rng.random() < 0.33:
                openings.append((one, two))
    return cells, openings


def _neighbours(cell: Point) -> list[Point]:
    x, y = cell
    return [(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)]


def _pick(rng: np.random.Generator, names: Sequence[str]) -> str:
    return names[int(rng.integers(len(names)))]


def _room_sector(rng: np.random.Generator) -> Sector:
    floor = STEP * int(rng.choice([0, 0, 0, 1, 2, 3]))
    ceiling = 112 + STEP * int(rng.integers(0, 12))
    flat = SKY if rng.random() < 0.08 else _pick(rng, CEILINGS)
    light = int(rng.integers(120, 240))
    return Sector(floor, ceiling, _pick(rng, FLOORS), flat, _pick(rng, WALLS), light)


def _open(rng, level, rooms, indices, cuts, one: Point, two: Point) -> None:
    """A passage through the wall between two rooms, ``two`` being right of or above ``one``."""
    across = 0 if two[0] > one[0] else 1
    first, second = rooms[one], rooms[two]
    low, high = first[1 - across] + 16, first[3 - across] - 16
    width = int(rng.integers(8, 21)) * 8
    begin = int(rng.integers(low, high - width + 1))
    near, far = first[2 + across], second[across]
    here, there = level.sectors[indices[one]], level.sectors[indices[two]]
    floor = max(here.floor, there.floor)
    top = min(here.ceiling, there.ceiling)
    ceiling = int(rng.integers(floor + 80, max(top, floor + 81)))
    light = (here.light + there.light) // 2
    passage = level.add(
        Sector(
            floor, min(ceiling, top), here.floor_flat, _pick(rng, CEILINGS[:6]), here.wall, light
        )
    )

    def point(along: int, through: int) -> Point:
        return (through, along) if across == 0 else (along, through)

    a, b = point(begin, near), point(begin + width, near)
    c, d = point(begin, far), point(begin + width, far)
    path = [a, b, d, c] if across == 0 else [b, a, c, d]  # clockwise
    level.lines.append((path[1], path[2], passage, None))
    level.lines.append((path[3], path[0], passage, None))
    level.lines.append((path[0], path[1], passage, indices[one]))
    level.lines.append((path[2], path[3], passage, indices[two]))
    cuts[one].append((min(a, b), max(a, b)))
    cuts[two].append((min(c, d), max(c, d)))


def _raise_walls(level: Level, rect: Rect, sector: int, cuts: list[tuple[Point, Point]]) -> None:
    """Walls around a room, left open where passages begin."""
    corners = _clockwise(rect)
    for start, stop in zip(corners, [*corners[1:], corners[0]], strict=True):
        forward = stop > start
        points = [start]
        for low, high in sorted(cuts, reverse=not forward):
            if _between(start, low, stop) and _between(start, high, stop):
                points += [low, high] if forward else [high, low]
        points.append(stop)
        for a, b in zip(points[::2], points[1::2], strict=True):
            level.lines.append((a, b, sector, None))


def _between(a: Point, point: Point, b: Point) -> bool:
    """Whether ``point`` lies on the axis-aligned stretch from ``a`` to ``b``."""
    return all(min(i, k) <= j <= max(i, k) for i, j, k in zip(a, point, b, strict=True))


def _clockwise(rect: Rect) -> list[Point]:
    x0, y0, x1, y1 = rect
    return [(x0, y0), (x0, y1), (x1, y1), (x1, y0)]


def _furnish(rng: np.random.Generator, level: Level, room: Rect, sector: int) -> list[Rect]:
    """Pillars, platforms, pits and lamps; returns what they occupy."""
    taken: list[Rect] = []
    for _ in range(int(rng.integers(1, 5))):
        rect = _free_rect(rng, room, taken)
        if rect is None:
            continue
        taken.append(rect)
        draw = rng.random()
        if draw < 0.35:
            level.enclose(_clockwise(rect)[::-1], sector)  # a pillar: its front faces the room
        elif draw < 0.75:
            _lift(rng, level, rect, sector)
        else:
            x, y = (rect[0] + rect[2]) // 2, (rect[1] + rect[3]) // 2
            kind = DECORATIONS[int(rng.integers(len(DECORATIONS)))]
            level.things.append((x, y, 0, kind))
    return taken


def _lift(rng: np.random.Generator, level: Level, rect: Rect, sector: int) -> None:
    """A platform or pit, perhaps under a lower or higher ceiling."""
    room = level.sectors[sector]
    floor = room.floor + STEP * int(rng.choice([-2, -1, 1, 2, 3]))
    ceiling = room.ceiling + STEP * int(rng.choice([-1, 0, 0, 2]))
    flat = room.ceiling_flat if room.ceiling_flat == SKY else _pick(rng, CEILINGS)
    light = int(np.clip(room.light + rng.integers(-40, 41), 96, 255))
    inner = level.add(Sector(floor, ceiling, _pick(rng, FLOORS), flat, _pick(rng, WALLS), light))
    level.enclose(_clockwise(rect), inner, sector)


def _free_rect(rng: np.random.Generator, room: Rect, taken: list[Rect]) -> Rect | None:
    """A place for something 32 to 96 wide, apart from walls and from what is there."""
    for _ in range(8):
        width, height = (int(n) for n in 16 * rng.integers(2, 7, 2))
        x_room, y_room = room[2] - room[0] - width, room[3] - room[1] - height
        if min(x_room, y_room) <= 2 * CLEARANCE:
            continue
        x = room[0] + int(rng.integers(CLEARANCE, x_room - CLEARANCE + 1))
        y = room[1] + int(rng.integers(CLEARANCE, y_room - CLEARANCE + 1))
        rect = (x, y, x + width, y + height)
        if not any(_overlap(_grown(rect), other) for other in taken):
            return rect
    return None


def _free_point(rng: np.random.Generator, room: Rect, taken: list[Rect]) -> Point:
    """Where a player can stand; the strip along the walls is always free."""
    for _ in range(64):
        x = int(rng.integers(room[0] + 24, room[2] - 23))
        y = int(rng.integers(room[1] + 24, room[3] - 23))
        if not any(_overlap((x - 24, y - 24, x + 24, y + 24), other) for other in taken):
            return x, y
    return room[0] + 28, room[1] + 28


def _grown(rect: Rect) -> Rect:
    x0, y0, x1, y1 = rect
    return x0 - CLEARANCE, y0 - CLEARANCE, x1 + CLEARANCE, y1 + CLEARANCE


def _overlap(a: Rect, b: Rect) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
