"""The generated world: memory outlives episodes, slots are their own, and a seed says it all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from mgenv.camera import Pose
from mgenv.engine import navigation
from mgenv.errors import (
    CheckpointError,
    ClosedError,
    InvalidActionError,
    InvalidOptionError,
    NotResetError,
)
from mgenv.memory.bank import MemoryBank
from mgenv.models.checkpoint import load_checkpoint
from mgenv.models.packed import can_pack
from mgenv.worlds import checkpoints, load_world
from mgenv.worlds.base import Frame, World
from mgenv.worlds.generated import GeneratedWorld
from tests.same import assert_same, differs

FORWARD = np.array([0.2, 0.0, 0.0, 0.0, 0.0], np.float32)
TURN = np.array([0.0, 0.0, 0.0, 0.3, 0.0], np.float32)
IDS = [1_000_000, 1_000_001]


@pytest.fixture(scope="module")
def model():
    return load_checkpoint(checkpoints()["nano"])


@pytest.fixture
def make(model):
    def made(num_envs: int = 2, **options) -> GeneratedWorld:
        return GeneratedWorld(model, num_envs, **options)

    return made


def tensor(array) -> torch.Tensor:
    return torch.as_tensor(np.asarray(array, np.float32))


def steps(world: GeneratedWorld, motion, count: int = 3, slots=None) -> list[Frame]:
    number = world.num_envs if slots is None else len(slots)
    return [world.step(np.tile(motion, (number, 1)), slots=slots) for _ in range(count)]


def row(frame: Frame, index: int) -> dict:
    return {name: value[index] for name, value in vars(frame).items()}


def test_it_is_a_world(make):
    world = make()
    assert isinstance(world, World)
    frame = world.begin([0, 1], IDS)
    assert frame.rgb.shape == (2, 64, 64, 3) and frame.rgb.dtype == np.uint8
    assert frame.depth.shape == (2, 64, 64) and frame.depth.dtype == np.float32
    assert frame.pose.shape == (2, 4, 4) and frame.pose.dtype == np.float32
    assert frame.bumped.dtype == bool and frame.coverage.dtype == np.float32
    assert (frame.depth > 0).all()
    assert_same(vars(steps(world, FORWARD, 1)[0]).keys(), vars(frame).keys())


def test_a_new_world_begins_with_its_source(make):
    world = make(1)
    frame = world.begin([0], [3])
    truth = load_world("engine", num_envs=1).begin([0], [3])
    np.testing.assert_array_equal(frame.rgb, truth.rgb)
    np.testing.assert_allclose(frame.pose, truth.pose, atol=1e-5)
    assert frame.coverage[0] == 0
    assert world.memory.frames(0).observed.tolist() == [True]


def test_a_pose_chooses_the_first_view(make):
    world = make(1)
    pose = navigation.scan(3, num_frames=20).pose[15]
    frame = world.begin([0], [3], pose=pose[None])
    np.testing.assert_array_equal(frame.pose[0], pose)


def test_memory_survives_beginning_again(make):
    world = make(1)
    first = world.begin([0], IDS[:1])
    steps(world, TURN, 4)
    remembered = world.memory.frames(0)
    again = world.begin([0], IDS[:1])
    assert len(world.memory.frames(0).rgb) >= len(remembered.rgb) > 1
    assert again.coverage[0] > 0.9
    assert np.abs(again.rgb.astype(int) - first.rgb).mean() < 8
    assert np.abs(again.depth / first.depth - 1).mean() < 0.1


def test_clearing_forgets(make):
    world = make(1)
    world.begin([0], IDS[:1])
    steps(world, TURN, 4)
    frame = world.begin([0], IDS[:1], memory="clear")
    assert world.memory.count([0])[0] == 1 and frame.coverage[0] == 0


def test_memory_in_a_file_outlives_the_world(make, tmp_path):
    world = make(1)
    first = world.begin([0], IDS[:1])
    steps(world, TURN, 4)
    world.memory.save(tmp_path / "memory")
    count = world.memory.count([0])[0]
    other = make(1)
    frame = other.begin([0], IDS[:1], memory=tmp_path / "memory")
    assert other.memory.count([0])[0] == count and frame.coverage[0] > 0.9
    assert np.abs(frame.rgb.astype(int) - first.rgb).mean() < 8
    (tmp_path / "other").write_text("no memory")
    with pytest.raises(CheckpointError):
        other.begin([0], IDS[:1], memory=tmp_path / "other")


def test_what_was_imagined_is_found_again(make):
    """Turn away, all the way back: the invented rooms are where they were."""
    world = make(1)
    world.begin([0], IDS[:1])
    out = steps(world, TURN, 5)
    back = steps(world, -TURN, 4)
    near = np.abs(back[-1].rgb.astype(int) - out[0].rgb).mean()
    far = np.abs(out[-1].rgb.astype(int) - out[0].rgb).mean()
    assert near < 0.5 * far and back[-1].coverage[0] > 0.9


def test_after_a_scan_views_are_covered_and_true(make):
    recording = navigation.scan(IDS[0], num_frames=48)
    world, engine = make(1), load_world("engine", num_envs=1)
    world.enter([0], IDS[:1])
    world.remember([0], recording.rgb[None], recording.pose[None], recording.depth[None])
    assert world.memory.count([0])[0] > 40  # the same view twice is one memory
    pose = Pose(tensor(recording.pose[20:21])).move(tensor(0.5 * TURN[None])).matrix
    frame = world.begin([0], IDS[:1], pose=pose.numpy())
    truth = engine.begin([0], IDS[:1], pose=pose.numpy())
    assert frame.coverage[0] > 0.9
    error = ((frame.rgb.astype(float) - truth.rgb) / 255) ** 2
    assert -10 * np.log10(error.mean()) > 22  # decibels


def test_depth_of_a_scan_may_be_unknown(make):
    recording = navigation.scan(IDS[0], num_frames=8)
    world = make(1)
    world.enter([0], IDS[:1])
    world.remember([0], recording.rgb[None], recording.pose[None])
    guessed = world.memory.frames(0).depth
    assert guessed.shape == recording.depth.shape
    assert np.median(np.abs(np.log(guessed / recording.depth))) < 0.25


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


@pytest.mark.skipif(not can_pack(), reason="needs an x86 CPU and oneDNN")
def test_the_fast_model_makes_the_frames_of_the_plain_one(make, monkeypatch):
    def run() -> list[Frame]:
        world = make(2)
        world.begin([0, 1], IDS)
        return steps(world, TURN, 4)

    monkeypatch.setattr("mgenv.worlds.generated.inference_dtype", lambda device: torch.float32)
    fast = run()
    monkeypatch.setattr("mgenv.models.inference.can_pack", lambda: False)
    for one, other in zip(fast, run(), strict=True):
        assert np.abs(one.rgb.astype(int) - other.rgb).max() <= 1
        np.testing.assert_allclose(one.depth, other.depth, rtol=1e-3)


@pytest.mark.skipif(not can_pack(), reason="needs an x86 CPU and oneDNN")
def test_the_model_that_a_world_is_made_of_stays_as_it_was(model, make):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    make(1).begin([0], IDS[:1])
    assert_same(dict(model.state_dict()), before)


def test_shared_memory_is_seen_by_all(make):
    world = make(share_memory=True)
    world.begin([0], IDS[:1])
    steps(world, TURN, 3, slots=[0])
    frame = world.begin([1], IDS[:1])
    assert frame.coverage[0] > 0.9
    assert world.memory.count([1])[0] > 1


def test_memory_is_bounded(make):
    world = make(1, memory_frames=3)
    world.begin([0], IDS[:1])
    steps(world, 2 * TURN, 6)
    assert world.memory.count([0])[0] == 3
    assert world.memory.frames(0).observed[0]


def test_without_memory_nothing_but_the_last_frame_helps(make):
    world = make(1, memory_slots=0)
    world.begin([0], IDS[:1])
    frames = [*steps(world, TURN, 5), *steps(world, -TURN, 5)]
    remembering = make(1)
    remembering.begin([0], IDS[:1])
    kept = [*steps(remembering, TURN, 5), *steps(remembering, -TURN, 5)]
    assert kept[-1].coverage[0] > frames[-1].coverage[0]


def test_the_baselines_run(make):
    for options in ({"retrieval": "frustum"}, {"canvas_only": True}, {"sampling_steps": 1}):
        world = make(1, **options)
        world.begin([0], IDS[:1])
        frame = steps(world, TURN, 2)[-1]
        assert np.isfinite(frame.depth).all() and frame.rgb.std() > 5


def test_walls_stop_but_a_given_pose_does_not(make):
    world = make(1)
    first = world.begin([0], IDS[:1])
    frames = steps(world, FORWARD, 30)
    assert any(frame.bumped[0] for frame in frames)
    walked = np.linalg.norm(frames[-1].pose[0, :3, 3] - first.pose[0, :3, 3])
    assert walked < 0.2 * 30 - 0.2
    pose = first.pose.copy()
    pose[0, :3, 3] += 3.0
    placed = world.step(FORWARD[None], pose=pose)
    assert not placed.bumped[0]
    np.testing.assert_array_equal(placed.pose, pose)


def test_turns_and_heights_happen_as_asked(make):
    world = make(1)
    first = world.begin([0], IDS[:1])
    frame = world.step(np.array([[0, 0, 0, 0.3, 0.1]], np.float32))
    yaw = [Pose(tensor(f.pose)).yaw.item() for f in (first, frame)]
    assert yaw[1] - yaw[0] == pytest.approx(0.3, abs=1e-4)
    np.testing.assert_allclose(frame.pose[0, :3, 3], first.pose[0, :3, 3], atol=1e-5)


def test_bad_motions_are_refused_and_change_nothing(make):
    world, calm = make(1), make(1)
    for one in (world, calm):
        one.begin([0], IDS[:1])
    for motion in (np.full((1, 5), np.nan), np.full((1, 5), np.inf), TURN, np.zeros((2, 5))):
        with pytest.raises(InvalidActionError, match="expected finite"):
            world.step(motion)
    assert_same(vars(steps(world, TURN, 1)[0]), vars(steps(calm, TURN, 1)[0]))


def test_a_step_before_beginning_is_named(make):
    world = make()
    with pytest.raises(NotResetError, match="0, 1"):
        steps(world, TURN, 1)
    world.begin([0], IDS[:1])
    with pytest.raises(NotResetError, match=r"\[1\]"):
        steps(world, TURN, 1)
    steps(world, TURN, 1, slots=[0])
    world.enter([0], IDS[:1])
    with pytest.raises(NotResetError):
        steps(world, TURN, 1, slots=[0])


def test_use_after_closing_is_named(make):
    world = make(1)
    world.begin([0], IDS[:1])
    world.close()
    world.close()
    with pytest.raises(ClosedError):
        steps(world, TURN, 1)
    with pytest.raises(ClosedError):
        world.begin([0], IDS[:1])


def test_bad_arguments_are_named(make):
    world = make(1)
    with pytest.raises(InvalidOptionError, match="slots"):
        world.begin([1], IDS[:1])
    world.begin([0], IDS[:1])
    with pytest.raises(InvalidOptionError, match="pose"):
        world.begin([0], IDS[:1], pose=np.full((1, 4, 4), np.nan))
    steps(world, TURN, 1)  # the refused call changed nothing
    recording = navigation.scan(3, num_frames=4)
    with pytest.raises(InvalidOptionError, match="rgb"):
        world.remember([0], recording.rgb[None, :, ::2], recording.pose[None])
    with pytest.raises(InvalidOptionError, match="pose"):
        world.remember([0], recording.rgb[None], recording.pose[None, :2])
    with pytest.raises(InvalidOptionError, match="expected shape"):
        world.remember([0], recording.rgb[None], recording.pose[None], recording.depth[None, :2])
    for options in (
        {"num_envs": 0},
        {"memory_slots": -1},
        {"sampling_steps": 0},
        {"memory_frames": 0},
        {"retrieval": "best"},
    ):
        with pytest.raises(InvalidOptionError, match=next(iter(options))):
            make(**options)


def test_its_memory_is_a_bank_of_its_size(make):
    memory = make(3, memory_frames=9).memory
    assert isinstance(memory, MemoryBank)
    assert (memory.num_slots, memory.max_frames, memory.image_size) == (3, 9, 64)
