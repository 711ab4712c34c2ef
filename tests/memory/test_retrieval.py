"""Retrieval picks frames that show what the view would see, not what stands behind walls."""

from __future__ import annotations

import pytest
import torch

from mgenv.camera import DEFAULT_INTRINSICS
from mgenv.memory.bank import MemoryBank
from mgenv.memory.geometry import surface_points, surface_positions
from mgenv.memory.retrieval import (
    CANDIDATES,
    RULES,
    preselect,
    retrieve,
    retrieve_plain,
    select,
)
from tests.memory.scenes import SIZE, draw, looking

WALL, BEHIND = (2.0, 0.9), (6.0, 0.2)
QUERY = looking(0.0)


def remember(bank: MemoryBank, slot: int, pose, observed: bool = True, walls=None) -> int:
    """Store what a camera at ``pose`` sees of the wall and the one behind; its pool row."""
    rgb, depth = draw(pose, walls or [WALL, BEHIND])
    bank.add([slot], rgb[None], depth[None], pose[None], observed=observed)
    return bank.surfaces(slot)[0].tolist()[-1]


@pytest.fixture
def bank() -> MemoryBank:
    made = MemoryBank(2, SIZE)
    made.enter([0, 1], [0, 1])
    return made


def picks(bank: MemoryBank, k: int, rule: str = "visible", pose=QUERY, slot: int = 0) -> list[int]:
    return bank.retrieve([slot], pose[None], k, rule).indices[0].tolist()


def test_a_frame_behind_a_wall_is_no_help(bank):
    behind = remember(bank, 0, looking(2.2))  # the same direction, past the wall
    before = remember(bank, 0, looking(1.0, 1.6, -1.5))  # from the side
    query = looking(1.0)
    assert picks(bank, 1, "frustum", query) == [behind]
    assert picks(bank, 1, "visible", query) == [before]


def test_coverage_is_the_share_of_the_view_that_is_explained(bank):
    def coverage() -> float:
        return float(bank.retrieve([0], QUERY[None], 4).coverage[0])

    assert coverage() == 0
    remember(bank, 0, looking(0.0, 2.0))  # shows the left half of the view
    assert coverage() == pytest.approx(0.5, abs=0.15)
    remember(bank, 0, looking(0.0, -2.0))
    assert coverage() == pytest.approx(1.0, abs=0.05)


def test_observed_frames_come_first(bank):
    remember(bank, 0, QUERY, observed=False)
    seen = remember(bank, 0, looking(-0.2), observed=True)
    assert picks(bank, 2)[0] == seen


@pytest.mark.parametrize("find", [retrieve, retrieve_plain])
@pytest.mark.parametrize("observed, hidden", [(False, False), (True, True)])
def test_only_observed_walls_hide_observed_ones(bank, find, observed, hidden):
    behind = remember(bank, 0, looking(2.2))  # past the wall, if there is one
    wall = remember(bank, 0, QUERY, observed=observed, walls=[WALL])
    found = find(bank.geometry(), bank.table([0]), QUERY[None], 2).indices[0].tolist()
    assert found == ([wall, -1] if hidden else [behind, wall])


def test_frames_are_picked_for_what_the_others_do_not_show(bank):
    middle = remember(bank, 0, looking(0.0))
    remember(bank, 0, looking(-0.1))  # nearly the same again
    view = looking(0.0, 1.5)
    left = remember(bank, 0, looking(0.0, 3.0))
    assert set(picks(bank, 2, pose=view)) == {middle, left}


def test_a_wall_seen_from_its_other_side_is_no_help(bank):
    remember(bank, 0, looking(4.0, yaw=torch.pi), walls=[WALL])
    assert picks(bank, 1) == [-1]


@pytest.mark.parametrize("rule", sorted(RULES))
def test_empty_memory_gives_nothing(bank, rule):
    found = bank.retrieve([0, 1], torch.stack([QUERY, QUERY]), 3, rule)
    assert found.indices.tolist() == [[-1] * 3] * 2
    assert found.coverage.tolist() == [0, 0]


@pytest.mark.parametrize("rule", sorted(RULES))
def test_no_picks_still_tell_coverage(bank, rule):
    remember(bank, 0, QUERY)
    found = bank.retrieve([0], QUERY[None], 0, rule)
    assert found.indices.shape == (1, 0) and found.coverage[0] > 0.9


@pytest.mark.parametrize("rule", sorted(RULES))
def test_neighbours_do_not_change_picks(bank, rule):
    generator = torch.Generator().manual_seed(0)
    for _ in range(8):
        y, yaw = torch.rand(2, generator=generator).tolist()
        remember(bank, 0, looking(0.0, 3 * y - 1.5, yaw - 0.5))
    pose = torch.stack([looking(-0.3), looking(0.2)])
    alone = bank.retrieve([0], pose[:1], 4, rule)
    for number in range(CANDIDATES + 5):  # a neighbour with more than pass the cheap test
        remember(bank, 1, looking(-0.05 * number, 0.1 * (number % 7)))
    both = bank.retrieve([0, 1], pose, 4, rule)
    assert both.indices[0].tolist() == alone.indices[0].tolist()
    assert both.coverage[0] == alone.coverage[0]


def fill(bank: MemoryBank, count: int) -> None:
    """Frames that look away from the wall ahead of the query."""
    for number in range(count):
        pose = looking(-1.0 - 0.02 * number, 0.1 * (number % 5), torch.pi)
        remember(bank, 0, pose, walls=[(-8.0, 0.5)])


@pytest.mark.parametrize("needle_first", [True, False])
def test_a_needed_frame_is_found_among_many(bank, needle_first):
    if needle_first:
        needle = remember(bank, 0, looking(-0.2))
        fill(bank, 2 * CANDIDATES)
    else:
        fill(bank, 2 * CANDIDATES)
        needle = remember(bank, 0, looking(-0.2))
    assert picks(bank, 2) == [needle, -1]


def test_the_cheap_test_keeps_the_order_and_the_size(bank):
    fill(bank, CANDIDATES)
    remember(bank, 0, QUERY)
    table = bank.table([0])
    candidates = select(bank.geometry(), table)
    kept = preselect(candidates, QUERY[None], 10)
    assert kept.shape == (1, 10)
    assert kept[0].tolist() == sorted(kept[0].tolist())
    assert CANDIDATES in kept[0].tolist()  # the last one stored, the only one that helps


def test_pixels_far_away_are_worth_less(bank):
    remember(bank, 0, looking(-4.0))
    near = remember(bank, 0, looking(-0.5))
    assert picks(bank, 1)[0] == near
    assert DEFAULT_INTRINSICS == bank.intrinsics


def test_positions_alone_are_those_of_surface_points():
    pose = torch.stack([looking(0.3, 0.5, 0.2), looking(-1.0, 0.0, -0.7)])
    depth = torch.stack([draw(view, [WALL, BEHIND])[1] for view in pose])
    assert torch.equal(surface_positions(depth, pose), surface_points(depth, pose)[..., :3])
