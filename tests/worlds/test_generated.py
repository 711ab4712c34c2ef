"""The generated world: memory outlives episodes, and what is asked of it happens."""

from __future__ import annotations

import numpy as np
import pytest

from mgenv.camera import Pose
from mgenv.engine.motion import navigation
from mgenv.errors import (
    CheckpointError,
    ClosedError,
    InvalidActionError,
    InvalidOptionError,
    NotResetError,
)
from mgenv.memory.bank import MemoryBank
from mgenv.worlds import load_world
from mgenv.worlds.base import World
from tests.same import assert_same
from tests.worlds.walking import FORWARD, IDS, TURN, steps, tensor


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
    with pytest.raises(InvalidOptionError, match="depth"):
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
