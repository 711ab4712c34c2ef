"""The promises of environments, kept in the real worlds: the engine and what is shipped."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from pettingzoo.test import parallel_api_test, parallel_seed_test
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

import mgenv
from mgenv.envs.registration import IDS
from mgenv.envs.vector_env import VectorEnv
from mgenv.worlds import checkpoints
from tests.same import assert_same

WORLDS = ["engine", *checkpoints()]
MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP]
SMALL = {"num_worlds": 2, "scan_frames": 16}


def actions(steps: int, num_envs: int) -> np.ndarray:
    drawn = np.random.default_rng(0).uniform(-1, 1, (steps, num_envs, 2)).astype(np.float32)
    drawn[..., 0] = np.abs(drawn[..., 0])
    return drawn


def rollout(envs, steps: int = 8, seed: int = 3) -> list:
    first = envs.reset(seed=seed)
    return [first, *(envs.step(action) for action in actions(steps, envs.num_envs))]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("env_id", IDS)
def test_gymnasium_accepts_single_environments(env_id, world):
    env = gym.make(env_id, world=world, **SMALL)
    check_env(env.unwrapped, skip_render_check=True)
    env.close()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("obs_type", ["pixels", "pixels_depth"])
def test_gymnasium_accepts_pixels_alone_and_depth(obs_type, world):
    env = gym.make("mgenv/Explore-v0", world=world, obs_type=obs_type, **SMALL)
    check_env(env.unwrapped, skip_render_check=True)
    env.close()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("world", WORLDS)
def test_stable_baselines_accepts_single_environments(world):
    env = gym.make("mgenv/ImageNav-v0", world=world, **SMALL)
    check_env_for_sb3(env)
    env.close()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("env_id", IDS)
def test_an_engine_vector_equals_single_environments_to_the_bit(env_id, mode):
    kwargs = {"world": "engine", "max_episode_steps": 5} | SMALL
    vector = gym.make_vec(env_id, 3, autoreset_mode=mode, **kwargs)
    singles = SyncVectorEnv([lambda: gym.make(env_id, **kwargs)] * 3, autoreset_mode=mode)
    assert_same(rollout(vector, 14), rollout(singles, 14))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("world", WORLDS[1:])
def test_a_generated_vector_equals_single_environments_within_rounding(world, mode):
    kwargs = {"world": world, "max_episode_steps": 3} | SMALL
    vector = gym.make_vec("mgenv/PointNav-v0", 2, autoreset_mode=mode, **kwargs)
    singles = SyncVectorEnv(
        [lambda: gym.make("mgenv/PointNav-v0", **kwargs)] * 2, autoreset_mode=mode
    )
    for ours, theirs in zip(rollout(vector, 5), rollout(singles, 5), strict=True):
        gap = np.abs(ours[0]["pixels"].astype(int) - theirs[0]["pixels"])
        assert gap.mean() < 0.5 and np.quantile(gap, 0.99) <= 2
        np.testing.assert_allclose(ours[0]["goal"], theirs[0]["goal"], atol=1e-3)
        for one, other in zip(ours[1:-1], theirs[1:-1], strict=True):
            np.testing.assert_allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("world", WORLDS)
def test_same_seed_and_actions_give_the_same_rollout(world):
    one, other = (VectorEnv(2, "imagenav", world, max_episode_steps=5, **SMALL) for _ in "ab")
    first = rollout(one)
    assert_same(first, rollout(other))
    assert_same(first, rollout(one))


def test_an_engine_slot_does_not_depend_on_batch_or_neighbours():
    alone = VectorEnv(1, "imagenav", "engine", max_episode_steps=5, **SMALL)
    among = VectorEnv(4, "imagenav", "engine", max_episode_steps=5, **SMALL)
    alone.reset(seed=7)
    among.reset(seed=[1, 2, 7, 4])
    for action in actions(12, 4):
        one, few = alone.step(action[2:3]), among.step(action)
        for name, value in one[0].items():
            np.testing.assert_array_equal(value[0], few[0][name][2])
        assert one[1][0] == few[1][2]


@pytest.mark.parametrize("world", WORLDS)
def test_resuming_and_forking_are_exact(world):
    envs = VectorEnv(2, "pointnav", world, max_episode_steps=None, **SMALL)
    rollout(envs, 4)
    state = envs.get_state()
    after = [envs.step(action) for action in actions(4, 2)]
    envs.set_state(state)
    assert_same(after, [envs.step(action) for action in actions(4, 2)])
    envs.fork(1, [0])
    observation = envs.step(np.array([[0.5, 0.5]] * 2))[0]
    for value in observation.values():
        np.testing.assert_array_equal(value[0], value[1])


@pytest.mark.parametrize("world", WORLDS)
def test_memory_grows_through_episodes_and_clear_forgets_it(world):
    envs = VectorEnv(1, "explore", world, memory="fresh", max_episode_steps=None, num_worlds=1)
    envs.reset(seed=0)
    for _ in range(6):
        *_, infos = envs.step(np.array([[0.0, 1.0]]))
    remembered = infos["memory_frames"][0]
    assert remembered > 1
    assert envs.reset()[1]["memory_frames"][0] >= remembered
    assert envs.reset(options={"memory": "clear"})[1]["memory_frames"][0] == 1


@pytest.mark.parametrize("world", WORLDS)
def test_both_worlds_set_the_same_episodes(world):
    ours = VectorEnv(2, "imagenav", world, **SMALL).reset(seed=5)
    truth = VectorEnv(2, "imagenav", "engine", **SMALL).reset(seed=5)
    np.testing.assert_array_equal(ours[0]["goal_pixels"], truth[0]["goal_pixels"])
    np.testing.assert_allclose(ours[1]["pose"], truth[1]["pose"], atol=1e-6)
    for name in ("world_id", "distance_to_goal"):
        np.testing.assert_allclose(ours[1][name], truth[1][name], atol=1e-6)


@pytest.mark.parametrize("task", ["pointnav", "imagenav", "recall", "explore"])
def test_every_world_draws_and_replays_the_same_episodes(task):
    worlds = [VectorEnv(2, task, world, **SMALL) for world in ("engine", "nano")]
    ours, truth = ([drawn(envs, seed) for seed in (5, None, None)] for envs in worlds)
    assert ours == truth
    for envs in worlds:
        envs.reset(options={"episodes": ours[0]})
        assert envs.episodes() == ours[0]


def drawn(envs, seed: int | None) -> list:
    """Episodes of a reset, two steps after it."""
    envs.reset(seed=seed)
    for action in actions(2, 2):
        envs.step(action)
    return envs.episodes()


@pytest.mark.parametrize("world", WORLDS)
def test_pettingzoo_accepts_many_agents(world):
    def make():
        return mgenv.parallel_env("pointnav", world, 2, max_episode_steps=6, **SMALL)

    env = make()
    parallel_api_test(env, num_cycles=8)
    assert env.vector_env.world.memory.shared
    parallel_seed_test(make, num_cycles=6)
