"""The ground-truth twin as a world."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mgenv.engine.motion import navigation
from mgenv.engine.render.renderer import render
from mgenv.engine.scene.scenes import HELD_OUT, make_scene, make_scenes
from mgenv.errors import (
    CheckpointError,
    ClosedError,
    InvalidActionError,
    InvalidOptionError,
    NotResetError,
)
from mgenv.memory.step import KEYFRAME_COVERAGE
from mgenv.worlds import load_world
from mgenv.worlds.base import World
from mgenv.worlds.engine import EngineWorld
from tests.same import assert_same, differs

SIZE = 16
FORWARD = (0.25, 0.0, 0.0, 0.0, 0.0)
TURN = (0.0, 0.0, 0.0, math.radians(15), 0.0)


def make(num_envs: int = 3, **kwargs) -> EngineWorld:
    return EngineWorld(num_envs, SIZE, **kwargs)


def wander(world: EngineWorld, steps: int, seed: int = 0, slots=None):
    """Frames of a random walk that is the same for the same slot, whatever the others do."""
    slots = list(range(world.num_envs)) if slots is None else slots
    drivers = {slot: np.random.default_rng([seed, slot]) for slot in slots}
    frames = []
    for _ in range(steps):
        motion = np.zeros((len(slots), 5))
        for row, slot in enumerate(slots):
            motion[row, [0, 3]] = drivers[slot].uniform((-0.05, -0.26), (0.25, 0.26))
        frames.append(world.step(motion, slots=slots))
    return frames


def test_it_is_a_world_that_load_world_knows():
    world = load_world("engine", num_envs=2, image_size=SIZE)
    assert isinstance(world, World) and isinstance(world, EngineWorld)
    assert world.image_size == SIZE


def test_begin_shows_the_worlds_first_view():
    world = make(2)
    frame = world.begin([0, 1], [4, HELD_OUT])
    expected = np.stack([navigation.first_pose(make_scene(i)) for i in (4, HELD_OUT)])
    rgb, depth = render(make_scenes([4, HELD_OUT]), [0, 1], expected, SIZE)
    np.testing.assert_array_equal(frame.pose, expected)
    np.testing.assert_array_equal(frame.rgb, rgb)
    np.testing.assert_array_equal(frame.depth, depth)
    assert (frame.coverage == 0).all() and not frame.bumped.any()
    assert frame.rgb.dtype == np.uint8 and frame.depth.dtype == np.float32


def test_a_motion_moves_along_the_heading_and_turns():
    world = make(1)
    before = world.begin([0], [4]).pose[0]
    frame = world.step([FORWARD])
    np.testing.assert_allclose(
        frame.pose[0, :3, 3] - before[:3, 3], 0.25 * before[:3, 2], atol=1e-6
    )
    turned = world.step([TURN]).pose[0]
    heading = [math.atan2(pose[1, 2], pose[0, 2]) for pose in (before, turned)]
    assert (heading[1] - heading[0]) % (2 * math.pi) == pytest.approx(math.radians(15), abs=1e-5)


def test_walls_stop_the_camera():
    world = make(1)
    world.begin([0], [4])
    frames = [world.step([FORWARD]) for _ in range(80)]
    assert frames[-1].bumped[0] and not frames[0].bumped[0]
    stuck = frames[-1].pose[0, :3, 3] - frames[-2].pose[0, :3, 3]
    assert np.linalg.norm(stuck) < 0.2 and frames[-1].depth[0, SIZE // 2].min() > 0.05


def test_a_forced_pose_ignores_walls():
    world = make(1)
    wanted = world.begin([0], [4]).pose.copy()
    wanted[0, :3, 3] += (0.01, 0.02, 0.3)
    frame = world.step([FORWARD], pose=wanted)
    np.testing.assert_array_equal(frame.pose, wanted)
    assert not frame.bumped[0]
    after = world.step([FORWARD]).pose[0, :3, 3] - wanted[0, :3, 3]
    np.testing.assert_allclose(after, 0.25 * wanted[0, :3, 2], atol=1e-5)


def test_a_slot_is_the_same_to_the_bit_whatever_the_batch():
    alone, many = make(1), make(6)
    many.begin(range(6), range(10, 16))
    first = alone.begin([0], [13])
    many.begin([3, 5], [13, 2])
    for _ in range(12):
        motion = np.tile(FORWARD, (6, 1))
        motion[:, 3] = np.linspace(-0.2, 0.2, 6)
        whole, one = many.step(motion), alone.step(motion[3:4])
        for name in ("rgb", "depth", "pose", "bumped", "coverage"):
            np.testing.assert_array_equal(getattr(whole, name)[3], getattr(one, name)[0], name)
    assert first.coverage[0] == 0
    assert many.memory.count([3]) == alone.memory.count([0])


def test_only_the_named_slots_move():
    world = make(3)
    begun = world.begin(range(3), [1, 1, 1])
    frame = world.step([TURN, TURN], slots=[2, 0])
    assert frame.rgb.shape == (2, SIZE, SIZE, 3)
    rest = world.step(np.zeros((3, 5)))
    np.testing.assert_array_equal(rest.rgb[1], begun.rgb[1])
    np.testing.assert_array_equal(rest.rgb[[2, 0]], frame.rgb)
    assert (rest.rgb[0] != begun.rgb[0]).any()


def test_memory_grows_where_the_view_is_new_and_rests_where_it_is_known():
    world = make(1)
    world.begin([0], [4])
    assert world.memory.count([0])[0] == 1
    around = [world.step([TURN]) for _ in range(24)]
    known = world.memory.count([0])[0]
    assert 8 <= known < 25
    assert around[1].coverage[0] < 1 and around[-1].coverage[0] >= KEYFRAME_COVERAGE
    again = [world.step([TURN]) for _ in range(24)]
    assert world.memory.count([0])[0] == known
    assert min(frame.coverage[0] for frame in again) >= KEYFRAME_COVERAGE
    assert world.memory.frames(0).observed.all()


def test_coverage_is_not_fooled_by_what_walls_hide():
    """Behind a wall is not seen, though it lies in the view of a remembered frame."""
    world = make(1)
    pose = world.begin([0], [4]).pose[0]
    scene, hidden = make_scene(4), None
    room = scene.cells[int(pose[1, 3] * 4), int(pose[0, 3] * 4)]
    for y, x in np.argwhere(scene.free):
        aside = np.array([x / 4, y / 4]) - pose[:2, 3]
        ahead = aside @ pose[:2, 2]
        if scene.cells[y, x] != room and ahead > 3.0 and abs(aside @ pose[:2, 0]) < 0.5 * ahead:
            hidden = (x + 0.5) / 4, (y + 0.5) / 4
    assert hidden is not None
    back = pose.copy()
    back[:2, 3], back[:3, :3] = hidden, pose[:3, :3] @ np.diag((-1, 1, -1))
    away = pose.copy()
    away[:2, 3] = hidden
    assert world.step([FORWARD], pose=away[None]).coverage[0] < 0.3


def test_memory_outlives_episodes_until_it_is_cleared():
    world = make(2)
    world.begin([0, 1], [4, 5])
    wander(world, 20)
    known = world.memory.count([0])[0]
    assert known > 1
    world.begin([0], [5])
    kept = world.begin([0], [4])
    assert kept.coverage[0] == 1 and world.memory.count([0])[0] == known
    cleared = world.begin([0], [4], memory="clear")
    assert cleared.coverage[0] == 0 and world.memory.count([0])[0] == 1
    assert world.memory.count([1])[0] > 0


def test_memory_is_loaded_from_a_file(tmp_path):
    world = make(1)
    world.begin([0], [4])
    wander(world, 20)
    world.memory.save(tmp_path / "place.safetensors")
    other = make(1)
    frame = other.begin([0], [4], memory=tmp_path / "place.safetensors")
    assert frame.coverage[0] == 1
    assert_same(other.memory.frames(0)._asdict(), world.memory.frames(0)._asdict())


def test_slots_share_memory_only_when_asked():
    for shared in (False, True):
        world = make(2, share_memory=shared)
        world.begin([0], [4])
        assert world.begin([1], [4]).coverage[0] == (1 if shared else 0)


def test_remembered_frames_count_as_seen_with_true_depth_where_none_is_given():
    seen = navigation.scan(4, 64, SIZE)
    given, estimated = make(1), make(1)
    for world, depth in ((given, seen.depth[None]), (estimated, None)):
        world.enter([0], [4])
        world.remember([0], seen.rgb[None], seen.pose[None], depth)
        assert world.begin([0], [4]).coverage[0] == 1
        turned = [world.step([TURN]).coverage[0] for _ in range(24)]
        assert min(turned) > 0.9
    assert_same(given.memory.frames(0)._asdict(), estimated.memory.frames(0)._asdict())


def test_resuming_is_exact():
    world = make(3)
    world.begin(range(3), [1, 2, 3])
    wander(world, 6)
    state = world.get_state()
    expected = wander(world, 8, seed=1)
    for resumed in (world, make(3)):
        resumed.set_state(state)
        assert_same(wander(resumed, 8, seed=1), expected)


def test_a_state_is_not_changed_by_going_on():
    world = make(2)
    world.begin([0, 1], [1, 2])
    state, again = world.get_state(), world.get_state()
    wander(world, 5)
    assert_same(state, again)
    assert differs(world.get_state(), again)


def test_a_fork_is_exact_and_independent():
    world = make(3)
    world.begin(range(3), [1, 2, 3])
    wander(world, 8)
    world.fork(0, [2])
    frame = world.step(np.tile(TURN, (3, 1)))
    for name in ("rgb", "depth", "pose", "coverage"):
        np.testing.assert_array_equal(getattr(frame, name)[0], getattr(frame, name)[2], name)
    world.step([FORWARD], slots=[2])
    still = world.step(np.zeros((3, 5)))
    assert (still.pose[0] != still.pose[2]).any() and (still.pose[0] == frame.pose[0]).all()


@pytest.mark.parametrize(
    "motion", [[FORWARD], np.full((2, 5), np.nan), np.full((2, 5), np.inf), np.zeros((2, 4))]
)
def test_bad_motions_are_named_and_change_nothing(motion):
    world = make(2)
    world.begin([0, 1], [1, 2])
    before = world.get_state()
    with pytest.raises(InvalidActionError, match=r"motion: expected finite \(2, 5\)"):
        world.step(motion)
    assert_same(world.get_state(), before)


def test_stepping_before_begin_is_named():
    world = make(2)
    world.begin([0], [1])
    with pytest.raises(NotResetError, match=r"\[1\]"):
        world.step(np.zeros((2, 5)))
    world.enter([0], [2])
    with pytest.raises(NotResetError):
        world.step([FORWARD], slots=[0])


def test_use_after_close_is_named():
    world = make(1)
    world.begin([0], [1])
    world.close()
    for use in (
        lambda: world.step([FORWARD]),
        lambda: world.begin([0], [1]),
        lambda: world.enter([0], [1]),
        lambda: world.get_state(),
    ):
        with pytest.raises(ClosedError, match="closed"):
            use()


def test_bad_slots_ids_poses_and_files_are_named_and_change_nothing(tmp_path):
    world = make(2)
    world.begin([0, 1], [1, 2])
    before = world.get_state()
    flat = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    (tmp_path / "text").write_text("no memory")
    for error, use in (
        (InvalidOptionError, lambda: world.begin([2], [1])),
        (InvalidOptionError, lambda: world.begin([0], [-1])),
        (InvalidOptionError, lambda: world.begin([0], [1, 2])),
        (InvalidOptionError, lambda: world.begin([0], [3], pose=np.eye(4))),
        (InvalidOptionError, lambda: world.begin([0], [3], pose=np.full((1, 4, 4), np.nan))),
        (InvalidOptionError, lambda: world.step(np.zeros((2, 5)), pose=np.eye(4)[None])),
        (InvalidOptionError, lambda: world.remember([0], flat, np.eye(4)[None])),
        (InvalidOptionError, lambda: world.remember([0], flat[None], np.eye(4)[None])),
        (CheckpointError, lambda: world.begin([0], [3], memory=tmp_path / "text")),
        (CheckpointError, lambda: world.begin([0], [3], memory=tmp_path / "nothing")),
    ):
        with pytest.raises(error, match="expected|Expected|World ids"):
            use()
        assert_same(world.get_state(), before)


def test_absurd_sizes_are_named():
    for sizes in ((0, 64, 512), (1, 0, 512), (1, 64, 0)):
        with pytest.raises(InvalidOptionError, match="at least 1"):
            EngineWorld(*sizes)
