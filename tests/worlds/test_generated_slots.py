"""Slots of the generated world are their own, and a seed says it all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from mgenv.models.onednn_layers import has_onednn
from mgenv.worlds.base import Frame
from mgenv.worlds.generated import GeneratedWorld
from tests.same import assert_same, differs
from tests.worlds.walking import FORWARD, IDS, TURN, row, steps


def test_the_same_seed_gives_the_same_frames(make):
    def run(seeds):
        world = make()
        world.seed([0, 1], seeds)
        world.begin([0, 1], IDS)
        return [vars(frame) for frame in steps(world, TURN, 4)]

    first = run([1, 2])
    assert_same(run([1, 2]), first)
    assert differs([frame["rgb"] for frame in run([3, 2])], [frame["rgb"] for frame in first])


def test_slots_do_not_disturb_each_other(make):
    """Slot 0's frames are the same whatever slot 1 does."""
    runs = []
    for other, motion in ((IDS[1], TURN), (5, FORWARD)):
        world = make()
        world.seed([0, 1], [4, other])
        world.begin([0, 1], [IDS[0], other])
        frames = [world.step(np.stack([TURN, motion])) for _ in range(3)]
        runs.append([row(frame, 0) for frame in frames])
    assert_same(runs[0], runs[1])


def test_slots_not_stepped_stay_untouched(make):
    together, apart = make(), make()
    for world in (together, apart):
        world.seed([0, 1], [1, 2])
        world.begin([0, 1], IDS)
    for _ in range(2):
        apart.step(TURN[None], slots=[0])
    before = apart.memory.count([1])[0]
    frames = steps(apart, TURN, 2, slots=[1])
    expected = steps(together, TURN, 2)
    assert before == 1
    for one, other in zip(frames, expected, strict=True):
        assert one.rgb.shape[0] == 1
        assert_same(row(one, 0), row(other, 1))


def test_beginning_one_slot_leaves_the_others(make):
    disturbed, calm = make(), make()
    for world in (disturbed, calm):
        world.seed([0, 1], [1, 2])
        world.begin([0, 1], IDS)
        steps(world, TURN, 1)
    disturbed.begin([0], IDS[:1])
    one = disturbed.step(TURN[None], slots=[1])
    assert_same(row(one, 0), row(calm.step(TURN[None], slots=[1]), 0))


def test_a_state_resumes_exactly(make):
    world = make()
    world.begin([0, 1], IDS)
    steps(world, TURN, 2)
    state = world.get_state()
    first = [vars(frame) for frame in steps(world, TURN, 3)]
    world.set_state(state)
    assert_same([vars(frame) for frame in steps(world, TURN, 3)], first)
    other = make()
    other.set_state(state)
    assert_same([vars(frame) for frame in steps(other, TURN, 3)], first)


def test_forks_are_exact_and_independent(make):
    world = make(3)
    world.begin([0, 1, 2], [*IDS, 7])
    steps(world, TURN, 2)
    untouched = world.memory.frames(1)
    world.fork(0, [2])
    frame = steps(world, TURN, 1)[0]
    assert_same(row(frame, 0), row(frame, 2))
    world.memory.clear([0])
    assert world.memory.count([2])[0] > 1
    assert_same(world.memory.frames(1).rgb[: len(untouched.rgb)], untouched.rgb)
    parted = world.step(np.stack([TURN, TURN, FORWARD]))
    assert differs(row(parted, 0), row(parted, 2))


@pytest.fixture
def two_threads() -> Iterator[None]:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def run_of_four(world: GeneratedWorld) -> list[dict]:
    world.begin(range(4), [*IDS, 7, 8])
    apart = world.step(np.stack([TURN, FORWARD]), slots=[3, 1])
    return [vars(frame) for frame in (*steps(world, TURN, 2), apart)]


def test_threads_make_no_difference(make, two_threads):
    shared = run_of_four(make(4))
    torch.set_num_threads(1)
    assert_same(shared, run_of_four(make(4)))


def test_slots_at_rest_stay_untouched_whichever_thread_has_them(make, two_threads):
    together, apart = make(4), make(4)
    for world in (together, apart):
        world.begin(range(4), [*IDS, 7, 8])
    steps(apart, TURN, 2, slots=[0])
    for one, other in zip(steps(apart, TURN, 2, slots=[1, 2]), steps(together, TURN, 2),
                          strict=True):  # fmt: skip
        for index, slot in enumerate([1, 2]):
            assert_same(row(one, index), row(other, slot))


@pytest.mark.skipif(not has_onednn(), reason="needs an x86 CPU and oneDNN")
def test_the_fast_model_makes_the_frames_of_the_plain_one(make, monkeypatch):
    def run() -> list[Frame]:
        world = make(2)
        world.begin([0, 1], IDS)
        return steps(world, TURN, 4)

    monkeypatch.setattr("mgenv.worlds.generated.inference_dtype", lambda device: torch.float32)
    fast = run()
    monkeypatch.setattr("mgenv.models.inference.has_onednn", lambda: False)
    for one, other in zip(fast, run(), strict=True):
        assert np.abs(one.rgb.astype(int) - other.rgb).max() <= 1
        np.testing.assert_allclose(one.depth, other.depth, rtol=1e-3)


@pytest.mark.skipif(not has_onednn(), reason="needs an x86 CPU and oneDNN")
def test_the_model_that_a_world_is_made_of_stays_as_it_was(model, make):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    make(1).begin([0], IDS[:1])
    assert_same(dict(model.state_dict()), before)


def begin_some_again(world: GeneratedWorld) -> list[dict]:
    """Slots 3, 0 and 4 of five begin again amid a rollout."""
    world.begin(range(5), [*IDS, 7, 8, 9])
    seen = steps(world, TURN, 2)
    seen.append(world.begin([3, 0, 4], [8, IDS[0], 9]))
    return [vars(frame) for frame in (*seen, *steps(world, FORWARD, 2))]


def test_resets_of_few_slots_in_groups_make_the_same_frames(make, monkeypatch):
    """As on a GPU, where a reset works for those slots and not for all."""
    expected = begin_some_again(make(5))
    monkeypatch.setattr("mgenv.worlds.slot_parts.FEW", 2)
    grouped = make(5)
    grouped._parts.threads = False
    sizes, see = [], grouped._see
    slots = grouped._parts.slots
    monkeypatch.setattr(
        grouped, "_see", lambda part, *rest: sizes.append(slots(part)) or see(part, *rest)
    )
    for one, other in zip(begin_some_again(grouped), expected, strict=True):
        assert np.abs(one["rgb"].astype(int) - other["rgb"]).mean() < 0.5
        for name in ("depth", "pose", "coverage"):
            np.testing.assert_allclose(one[name], other[name], rtol=0.02, atol=0.02)
    assert [len(slots) for slots in sizes] == [5, 5, 2, 2, 5, 5]
    assert [slots[:2] for slots in sizes[2:4]] == [[3, 0], [4, 0]]
