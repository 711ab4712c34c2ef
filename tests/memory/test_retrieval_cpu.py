"""Compiled retrieval is the plain one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mgenv.camera import DEFAULT_INTRINSICS, Intrinsics
from mgenv.engine.motion import navigation
from mgenv.engine.render.renderer import render
from mgenv.engine.scene.scenes import make_scenes
from mgenv.memory import retrieval
from mgenv.memory.bank import MemoryBank
from mgenv.memory.geometry import sparse_points
from mgenv.memory.retrieval import CANDIDATES, Retrieved, retrieve_plain
from tests.memory.scenes import draw, looking

SIZE, STEPS, VIEWS = 16, 96, 40
COUNTS = (STEPS, 5, 0, CANDIDATES + 1, CANDIDATES)
"""Frames that slots remember: many, few, none, and about as many as are tested in full."""

SLOTS = range(len(COUNTS))
LENSES = (DEFAULT_INTRINSICS, Intrinsics(0.6, 0.7, 0.45, 0.55))


@pytest.fixture(scope="module")
def walks():
    """What robots see of a home each: colours, depths and poses, (slots, steps, …)."""
    homes = make_scenes([21, 22, 23, 1_000_004, 24], workers=1)
    pose = np.asarray(navigation.explore_many(homes, STEPS, list(SLOTS), workers=1).pose)
    pose = torch.as_tensor(pose, dtype=torch.float32).view(len(SLOTS), STEPS, 4, 4)
    index = torch.arange(len(SLOTS)).repeat_interleave(STEPS)
    rgb, depth = render(homes, index, pose.flatten(0, 1), SIZE, workers=1)
    return rgb.unflatten(0, pose.shape[:2]), depth.unflatten(0, pose.shape[:2]), pose


def remember(bank: MemoryBank, slot: int, walks, steps, observed: bool) -> None:
    rgb, depth, pose = (value[slot, steps] for value in walks)
    bank.add([slot] * len(rgb), rgb, depth, pose, observed=observed)


def make_bank(walks, lens: Intrinsics = DEFAULT_INTRINSICS) -> MemoryBank:
    """Frames by turns observed and generated."""
    bank = MemoryBank(len(SLOTS), SIZE, intrinsics=lens)
    bank.enter(SLOTS, SLOTS)
    for slot, count in enumerate(COUNTS):
        for start in range(0, count, 8):
            steps = slice(start, min(start + 8, count))
            remember(bank, slot, walks, steps, observed=start % 16 == 0)
    return bank


def views(walks, number: int):
    """A view for each slot, beside its walk."""
    generator = torch.Generator().manual_seed(number)
    view = walks[2][:, int(torch.randint(STEPS, (1,), generator=generator))].clone()
    view[:, :2, 3] += 0.6 * torch.rand(len(view), 2, generator=generator) - 0.3
    return view


def plainly(bank: MemoryBank, slots, view, k: int) -> Retrieved:
    """What the slow twin picks."""
    return retrieve_plain(bank.geometry(), bank.table(slots), view, k, "visible", bank.intrinsics)


def assert_alike(fast, plain) -> None:
    """All but what the last bit of a rounding may decide."""
    assert len(fast) > 100
    assert (fast == plain).flatten(1).all(1).float().mean() >= 0.98


@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("k", [1, 4, CANDIDATES])
def test_compiled_equals_plain(walks, k, lens):
    bank = make_bank(walks, lens)
    queries = [views(walks, number) for number in range(VIEWS)]
    fast = [bank.retrieve(SLOTS, view, k) for view in queries]
    plain = [plainly(bank, SLOTS, view, k) for view in queries]
    assert_alike(torch.cat([f.indices for f in fast]), torch.cat([p.indices for p in plain]))
    fast, plain = torch.stack([f.coverage for f in fast]), torch.stack([p.coverage for p in plain])
    assert_alike(fast.flatten()[:, None], plain.flatten()[:, None])
    assert 0.3 < plain[:, 0].mean() and not plain[:, 2].any()


@pytest.mark.parametrize("room", [6, 15])
def test_the_cheap_tests_keep_the_same_frames(walks, monkeypatch, room):
    """With room for few, each that they keep matters."""
    monkeypatch.setattr(retrieval, "CANDIDATES", room)
    bank = make_bank(walks, LENSES[1])
    queries = [views(walks, number) for number in range(VIEWS)]
    fast = [bank.retrieve(SLOTS, view, room).indices for view in queries]
    plain = [plainly(bank, SLOTS, view, room).indices for view in queries]
    assert_alike(torch.cat(fast), torch.cat(plain))


def test_the_first_of_equals_is_picked(walks):
    bank = MemoryBank(1, SIZE)
    bank.enter([0], [0])
    for _ in range(CANDIDATES + 10):
        remember(bank, 0, walks, slice(0, 1), observed=False)
    rows, view = bank.table([0])[0].tolist(), walks[2][:1, 0]
    for find in (MemoryBank.retrieve, plainly):
        assert find(bank, [0], view, 2).indices[0].tolist() == [rows[0], -1]


def test_from_far_enough_away_all_frames_are_worth_the_same():
    bank = MemoryBank(1, SIZE)
    bank.enter([0], [0])
    for distance in (12.0, 6.0):  # the second is nearer, but the first is as good
        pose = looking(-distance, distance / 16)
        pose[2, 3] += distance / 16  # one of its points lies straight ahead of the view
        rgb, depth = draw(pose, [(0.0, 0.5)], SIZE)
        bank.add([0], rgb[None], depth[None], pose[None], observed=True)
    for find in (MemoryBank.retrieve, plainly):
        assert find(bank, [0], looking(-0.15)[None], 2).indices[0].tolist() == [0, -1]


@pytest.mark.parametrize("threads", [2, 3])
def test_a_slot_does_not_depend_on_its_batch_or_threads(walks, threads):
    bank, view = make_bank(walks), views(walks, 3)
    whole = bank.retrieve(SLOTS, view, 4)
    torch.set_num_threads(threads)
    try:
        shared = bank.retrieve(SLOTS, view, 4)
    finally:
        torch.set_num_threads(1)
    assert torch.equal(shared.indices, whole.indices)
    assert torch.equal(shared.coverage, whole.coverage)
    for slot in SLOTS:
        alone = bank.retrieve([slot], view[slot : slot + 1], 4)
        assert torch.equal(alone.indices[0], whole.indices[slot])
        assert torch.equal(alone.coverage[0], whole.coverage[slot])


def test_the_sparse_points_follow_the_points(walks, tmp_path):
    """Through eviction, reuse of rows, states and files."""

    def assert_in_step(bank: MemoryBank) -> None:
        points, sparse, *_ = bank.geometry()
        rows = bank.table(SLOTS)
        rows = rows[rows >= 0]
        assert len(rows) and torch.equal(sparse[rows], sparse_points(points[rows]))

    bank = MemoryBank(len(SLOTS), SIZE, frames=12)
    bank.enter(SLOTS, SLOTS)
    remember(bank, 0, walks, slice(0, 20), observed=False)
    assert_in_step(bank)
    state = bank.get_state()
    bank.clear([0])
    remember(bank, 1, walks, slice(0, 10), observed=True)
    assert_in_step(bank)
    bank.save(tmp_path / "memory")
    bank.set_state(state)
    assert_in_step(bank)
    bank.load(tmp_path / "memory")
    assert_in_step(bank)


def test_a_broken_view_finds_nothing(walks):
    """That must not write outside the buffers."""
    bank, view = make_bank(walks), views(walks, 4)
    view[0] = torch.nan
    found = bank.retrieve(SLOTS, view, 4)
    assert found.indices[0].tolist() == [-1] * 4 and found.coverage[0] == 0
    assert torch.equal(found.indices[1:], bank.retrieve(SLOTS[1:], view[1:], 4).indices)


def test_only_the_visible_rule_is_compiled(walks, monkeypatch):
    bank, view, plain = make_bank(walks), views(walks, 5), []
    monkeypatch.setattr(retrieval, "retrieve_plain", lambda *args: plain.append(args[4]))
    bank.retrieve(SLOTS, view, 4)
    assert not plain
    bank.retrieve(SLOTS, view, 4, "frustum")
    assert plain == ["frustum"]
