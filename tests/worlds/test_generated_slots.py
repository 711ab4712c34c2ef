"""Slots of the generated world are their own, and a seed says it all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from mgenv.models.onednn_layers import has_onednn
from mgenv.worlds.base import Frame
from mgenv.worlds.generated import GeneratedWorld
from mgenv.worlds.slot_parts import Share
from tests.same import assert_same, differs
from tests.worlds.walking import FORWARD, IDS, TURN, row, steps

ROOT = Path(__file__).resolve().parents[2]


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


def only(run: list[dict], slot: int) -> list[dict]:
    """A slot's part of what :func:`rolled` shows."""
    return [{name: value[slot] for name, value in frame.items()} for frame in run]


def rolled(world: GeneratedWorld) -> list[dict]:
    """Slots whose seeds and worlds follow from their numbers."""
    slots = range(world.num_envs)
    world.seed(slots, slots)
    world.begin(slots, [IDS[slot % 2] for slot in slots])
    return [vars(frame) for frame in (*steps(world, TURN, 2), *steps(world, FORWARD, 1))]


@pytest.mark.parametrize("reproducible", [False, True])
@pytest.mark.parametrize("count", [1, 4, 5])
def test_threads_make_no_difference(make, two_threads, count, reproducible):
    runs = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        runs.append(rolled(make(count, reproducible=reproducible)))
    assert_same(runs[0], runs[1])
    assert_same(runs[0], runs[2])


def test_the_number_of_slots_makes_no_difference_where_that_is_asked_for(make, two_threads):
    whole = rolled(make(16, reproducible=True))
    for count in (1, 3, 5):
        some = rolled(make(count, reproducible=True))
        for slot in range(count):
            assert_same(only(some, slot), only(whole, slot))


def levels() -> list[str]:
    """Instruction sets to which oneDNN can be held, that this CPU has."""
    flags = torch.backends.cpu.get_cpu_capability()
    return ["AVX2", *(["AVX512_CORE"] if "512" in flags else [])]


@pytest.mark.parametrize("level", levels())
def test_lesser_instruction_sets_keep_slots_apart(level):
    """The promise holds of each instruction set alone, in a process of its own."""
    code = (
        "import torch; torch.set_num_threads(1)\n"
        "from mgenv.models.checkpoint import load_checkpoint\n"
        "from mgenv.worlds import checkpoints\n"
        "from mgenv.worlds.generated import GeneratedWorld\n"
        "from tests.same import assert_same\n"
        "from tests.worlds.test_generated_slots import only, rolled\n"
        "model = load_checkpoint(checkpoints()['nano'])\n"
        "one, three = (rolled(GeneratedWorld(model, n, reproducible=True)) for n in (1, 3))\n"
        "assert_same(only(one, 0), only(three, 0))\n"
    )
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": level, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=ROOT)


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

    monkeypatch.setattr("mgenv.models.inference.inference_dtype", lambda device: torch.float32)
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
    grouped, shared = make(5), []

    def share(rows: list[int], few: bool = False) -> Share:
        shared.append(grouped._parts._few(rows) if few else grouped._parts._every(rows))
        return shared[-1]

    monkeypatch.setattr(grouped._parts, "share", share)
    for one, other in zip(begin_some_again(grouped), expected, strict=True):
        assert np.abs(one["rgb"].astype(int) - other["rgb"]).mean() < 0.5
        for name in ("depth", "pose", "coverage"):
            np.testing.assert_allclose(one[name], other[name], rtol=0.02, atol=0.02)
    parts = [[share.slots[part] for part in share.parts] for share in shared]
    assert [[len(part) for part in each] for each in parts] == [[5], [5], [5], [2, 2], [5], [5]]
    assert [part[0] for part in parts[3]] == [3, 4] and parts[3][0][1] == 0
