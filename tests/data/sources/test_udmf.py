"""Generated levels are closed, connected, and can be walked."""

from __future__ import annotations

import struct
from collections import Counter, defaultdict

import pytest

from mgenv.data.sources import udmf

SEEDS = range(40)


@pytest.fixture(scope="module", params=SEEDS)
def level(request):
    return udmf.make_level(request.param)


def edges_of(level):
    """Directed edges by sector, each with the sector to its right."""
    edges = defaultdict(list)
    for a, b, front, behind in level.lines:
        edges[front].append((a, b))
        if behind is not None:
            edges[behind].append((b, a))
    return edges


def test_every_sector_is_enclosed(level):
    for sector, edges in edges_of(level).items():
        starts, ends = Counter(a for a, _ in edges), Counter(b for _, b in edges)
        assert starts == ends, f"sector {sector} leaks"


def test_fronts_lie_to_the_right(level):
    """So that every sector's area, run clockwise, is positive."""
    for edges in edges_of(level).values():
        assert sum(b[0] * a[1] - a[0] * b[1] for a, b in edges) > 0


def test_lines_have_length_and_are_straight(level):
    for a, b, *_ in level.lines:
        assert a != b and (a[0] == b[0] or a[1] == b[1])


def test_every_room_can_be_walked_to(level):
    reached, border = {0}, [0]
    neighbours = defaultdict(set)
    for _, _, front, behind in level.lines:
        if behind is not None and passable(level.sectors[front], level.sectors[behind]):
            neighbours[front].add(behind)
            neighbours[behind].add(front)
    while border:
        for other in neighbours[border.pop()] - reached:
            reached.add(other)
            border.append(other)
    assert reached == set(range(len(level.sectors)))


def passable(one, two) -> bool:
    """For a player 56 high who climbs 24, both ways."""
    gap = min(one.ceiling, two.ceiling) - max(one.floor, two.floor)
    return gap >= 56 and abs(one.floor - two.floor) <= 24


def test_there_is_one_start_with_room_around_it(level):
    starts = [thing for thing in level.things if thing[3] == udmf.PLAYER_START]
    assert len(starts) == 1
    x, y = starts[0][:2]
    for a, b, _, _ in level.lines:
        away_x = max(min(a[0], b[0]) - x, x - max(a[0], b[0]), 0)
        away_y = max(min(a[1], b[1]) - y, y - max(a[1], b[1]), 0)
        assert max(away_x, away_y) > 16, "the player is 32 wide"


def test_levels_differ_and_repeat():
    assert udmf.make_level(3).text() == udmf.make_level(3).text()
    assert udmf.make_level(3).text() != udmf.make_level(4).text()


def test_text_names_every_part():
    level = udmf.make_level(0)
    text = level.text()
    assert text.count("sector {") == len(level.sectors)
    assert text.count("linedef {") == len(level.lines)
    assert text.count("sidedef {") == sum(1 + (line[3] is not None) for line in level.lines)


def test_a_pack_is_a_directory_of_maps():
    data = udmf.pack([udmf.make_level(0), udmf.make_level(1)])
    magic, count, directory = struct.unpack_from("<4sii", data)
    assert (magic, count, directory + 16 * count) == (b"PWAD", 6, len(data))
    entries = [struct.unpack_from("<ii8s", data, directory + 16 * n) for n in range(count)]
    names = [name.rstrip(b"\0").decode() for _, _, name in entries]
    assert names == ["MAP01", "TEXTMAP", "ENDMAP", "MAP02", "TEXTMAP", "ENDMAP"]
    start, size, _ = entries[4]
    assert data[start : start + size].decode() == udmf.make_level(1).text()
