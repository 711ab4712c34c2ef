"""Walkers go by what they see, each in its own way."""

from __future__ import annotations

import torch

from mgenv.benchmark.drift import HABITS
from mgenv.training.walkers import Habits, Walkers


def walkers(count: int, seed: int = 0, habits: Habits | None = None) -> Walkers:
    return Walkers(count, torch.Generator().manual_seed(seed), habits)


def test_walkers_turn_before_walls_and_go_on_where_it_is_free():
    free, wall = torch.full((64, 32, 32), 5.0), torch.full((64, 32, 32), 0.3)
    some = walkers(64)
    assert (some.act(free)[:, 0] > 0).float().mean() > 0.8
    some = walkers(64)
    motion = some.act(wall)
    assert (motion[:, :3] == 0).all() and (motion[:, 3] != 0).all()


def test_walkers_turn_towards_the_open_side():
    view = torch.full((256, 32, 32), 0.3)
    view[:, :, :10] = 4.0  # left is open
    turned = walkers(256).act(view)[:, 3]
    assert 0.65 < (turned > 0).float().mean() < 0.95


def test_a_turn_lasts_some_steps_in_one_direction():
    some, wall = walkers(16), torch.full((16, 32, 32), 0.3)
    first = some.act(wall)[:, 3]
    for _ in range(2):
        assert torch.equal(some.act(wall)[:, 3], first)


def test_habits_are_drawn_from_their_ranges_and_anew():
    some = walkers(100)
    before = some.forward.clone()
    low, high = Habits().forward
    assert (before >= low).all() and (before <= high).all() and before.std() > 0
    some.restart(torch.arange(60), torch.arange(60) < 50)
    assert not torch.equal(some.forward[:50], before[:50])
    assert torch.equal(some.forward[50:], before[50:])
    assert (walkers(5, habits=HABITS).forward == 0.2).all()


def test_the_same_seed_walks_the_same_way():
    views = torch.rand(20, 4, 32, 32) * 3
    one, two, other = walkers(4, 1), walkers(4, 1), walkers(4, 2)
    ways = [torch.stack([some.act(view) for view in views]) for some in (one, two, other)]
    assert torch.equal(ways[0], ways[1]) and not torch.equal(ways[0], ways[2])
