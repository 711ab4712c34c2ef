"""The public model behind the World protocol and in an environment, on a tiny network."""

import time

import gymnasium as gym
import numpy as np
import pytest

from mgenv.errors import (
    InvalidOptionError,
)
from mgenv.worlds import load_world
from mgenv.worlds.base import ClipWorld, World
from tests.matrix_game3.public_network import POSE, ROOT, env, make, public_folder, walk

pytestmark = pytest.mark.usefixtures("noise_source")


def test_three_clips_in_an_environment_take_less_than_a_minute():
    began = time.perf_counter()
    envs = gym.make_vec("mgenv/Explore-v0", 1, world="matrix-game-3", weights=str(ROOT))
    observation, infos = envs.reset(seed=0)
    assert observation["pixels"].shape == (1, 64, 96, 3)
    frames = 0
    for _ in range(3):
        observation, reward, _, _, infos = envs.step(np.array([[1.0, 0.1]], np.float32))
        frames += len(envs.unwrapped.world.chunks[0])
        assert envs.observation_space.contains(observation) and reward == 0.0
    assert frames == 57 + 2 * 40 and infos["memory_frames"] == [35]
    envs.close()
    assert time.perf_counter() - began < 60


def test_it_is_a_world_that_says_what_it_does_not_know():
    world = make(2)
    assert isinstance(world, World) and isinstance(world, ClipWorld)
    first = world.begin([0, 1], [3, 4])
    assert np.allclose(first.pose[0], POSE, atol=1e-5) and first.coverage.tolist() == [0, 0]
    frame = walk(world, 1)[0]
    assert frame.rgb.shape == (2, 64, 96, 3) and frame.rgb.dtype == np.uint8
    assert not frame.depth.any() and not frame.bumped.any()
    assert [chunk.shape[0] for chunk in world.chunks] == [33, 33]
    assert np.array_equal(frame.rgb[1], world.chunks[1][-1])


def test_motion_moves_the_camera_as_asked():
    world = make()
    world.begin([0], [0])
    pose = walk(world, 1, motion=[0.25, 0, 0, 0, 0])[0].pose[0]
    assert pose[:3, 3] == pytest.approx([1 + 32 * 0.1235, 2.0, 1.0], abs=1e-3)
    left = walk(world, 1, motion=[0, 0, 0, np.pi / 12 * 0.1, 0])[0].pose[0]
    assert left[0, 2] < 1 and left[1, 2] > 0  # turned left, after one frame more of the last motion


def test_same_seed_same_rollout_whatever_the_batch():
    alone, many = make(1), make(3)
    alone.begin([0], [5])
    many.begin([0, 1, 2], [9, 5, 7])
    alone.seed([0], [11])
    many.seed([0, 1, 2], [3, 11, 4])
    for one, other in zip(walk(alone, 3), walk(many, 3), strict=True):
        assert np.array_equal(one.rgb[0], other.rgb[1])
        assert np.array_equal(one.coverage[0], other.coverage[1])


def test_slots_of_a_batch_are_made_together():
    alone, many = make(2), make(2, batch=2)
    for world in (alone, many):
        world.begin([0, 1], [1, 2])
    for one, other in zip(walk(alone, 2), walk(many, 2), strict=True):
        assert np.abs(one.rgb.astype(int) - other.rgb).max() <= 2


def test_slots_may_be_at_different_ages():
    world = make(2)
    world.begin([0, 1], [0, 0])
    walk(world, 1, slots=[1])
    before = world.chunks[0].copy()
    walk(world, 1, slots=[1])
    assert np.array_equal(world.chunks[0], before) and len(world.chunks[1]) == 16
    assert len(walk(world, 1)[0].rgb) == 2 and len(world.chunks[0]) == 33


def test_state_resumes_exactly():
    world = make(2)
    world.begin([0, 1], [0, 1])
    walk(world, 1)
    state = world.get_state()
    first, again = walk(world, 2), None
    world.set_state(state)
    again = walk(world, 2)
    other = make(2)
    other.set_state(state)
    for one, two, three in zip(first, again, walk(other, 2), strict=True):
        assert np.array_equal(one.rgb, two.rgb) and np.array_equal(one.rgb, three.rgb)
        assert np.array_equal(one.pose, two.pose)


def test_a_fork_goes_the_same_way_and_then_its_own():
    world = make(2)
    world.begin([0, 1], [0, 1])
    walk(world, 1)
    world.fork(0, [1])
    frame = walk(world, 1)[0]
    assert np.array_equal(frame.rgb[0], frame.rgb[1])
    counts = world.memory.count([0, 1])
    walk(world, 1, slots=[1])
    assert world.memory.count([0])[0] == counts[0] < world.memory.count([1])[0]


def test_memory_outlives_episodes_and_is_bounded():
    world = make(memory_frames=12)
    world.begin([0], [0])
    walk(world, 3)
    assert world.memory.count([0])[0] == 12
    again = world.begin([0], [0])
    assert again.coverage[0] == 1.0 and world.memory.count([0])[0] == 12
    assert walk(world, 1)[0].coverage[0] > 0  # the first clip remembers the last episode
    world.begin([0], [1])
    assert walk(world, 1)[0].coverage[0] == 0.0
    world.begin([0], [0], memory="clear")
    assert world.memory.count([0])[0] == 1


def test_memory_saves_and_loads(tmp_path):
    world, other = make(), make()
    world.begin([0], [6])
    walk(world, 2)
    world.memory.save(tmp_path / "place.safetensors")
    pose = world.memory.frames(0).pose[-1:]
    frame = other.begin([0], [6], pose, memory=tmp_path / "place.safetensors")
    assert np.allclose(frame.pose, pose, atol=1e-4) and other.memory.count([0])[0] == 13
    world.begin([0], [6], pose)
    world.seed([0], [1])
    other.seed([0], [1])
    assert np.array_equal(walk(world, 1)[0].rgb, walk(other, 1)[0].rgb)


def test_what_was_observed_can_be_remembered():
    world = make()
    world.enter([0], [2])
    rgb = np.random.default_rng(0).integers(0, 256, (1, 3, 64, 96, 3), np.uint8)
    poses = np.stack([POSE] * 3)[None].copy()
    poses[0, 1:, 0, 3] += [1.0, 2.0]
    world.remember([0], rgb, poses)
    near = poses[:, 1].copy()
    near[0, :2, 3] += 0.1
    frame = world.begin([0], [2], near)
    assert np.array_equal(frame.rgb[0], rgb[0, 1]) and np.allclose(frame.pose[0], poses[0, 1])
    with pytest.raises(InvalidOptionError, match="rgb"):
        world.remember([0], rgb[:, :, :32], poses)


@pytest.mark.parametrize("vae", ["whole", "light_v2"])
def test_the_public_layout_is_read(tmp_path, vae):
    world = load_world(
        "matrix-game-3", 1, image_size=(32, 64), weights=public_folder(tmp_path), vae=vae,
        frames_per_step=16, sampling_steps=1,
    )  # fmt: skip
    world.begin([0], [0])
    assert walk(world, 1)[0].rgb.shape == (1, 32, 64, 3)


# -- in environments -----------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["PointNav", "ImageNav"])
@pytest.mark.parametrize("share_memory", [False, True])
def test_other_tasks_and_robots_run(task, share_memory):
    envs = env(task, 2, share_memory=share_memory, robot="keyboard_mouse", max_episode_steps=2)
    envs.action_space.seed(0)
    observation, _ = envs.reset(seed=0)
    for _ in range(4):
        assert envs.observation_space.contains(observation)
        observation, *_ = envs.step(envs.action_space.sample())
    envs.close()


def test_an_environment_starts_over_and_resumes():
    envs, action = env(num_envs=2), np.array([[1.0, 0.1], [0.0, 0.4]], np.float32)
    runs = []
    for _ in range(2):
        envs.reset(seed=3)
        envs.step(action)
        state = envs.unwrapped.get_state()
        runs.append(envs.step(action)[0]["pixels"])
    envs.unwrapped.set_state(state)
    runs.append(envs.step(action)[0]["pixels"])
    assert np.array_equal(runs[0], runs[1]) and np.array_equal(runs[0], runs[2])
    envs.close()


def test_an_environment_begins_in_a_memory_file(tmp_path):
    envs = env()
    envs.reset(seed=0)
    envs.step(np.array([[1.0, 0.0]], np.float32))
    envs.unwrapped.world.memory.save(tmp_path / "place.safetensors")
    again = env(memory=str(tmp_path / "place.safetensors"))
    _, infos = again.reset(seed=1)
    assert infos["memory_frames"] == [9] and infos["coverage"] == [1.0]
    assert again.step(np.array([[1.0, 0.0]], np.float32))[-1]["coverage"][0] > 0


def test_a_slot_is_named_once():
    world = load_world("matrix-game-3", 2, weights=ROOT, image_size=(64, 96))
    world.begin([0, 1], [0, 0])
    with pytest.raises(InvalidOptionError, match="each once"):
        world.step(np.zeros((2, 5)), slots=[1, 1])
