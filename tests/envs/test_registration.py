"""What ``gymnasium.make`` and ``make_vec`` promise, in the engine."""

import json

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode

from mgenv.envs.registration import IDS
from mgenv.envs.vector_env import VectorEnv
from tests.same import assert_same

KWARGS = {"world": "engine", "num_worlds": 2, "scan_frames": 8, "render_mode": "rgb_array"}


@pytest.mark.parametrize("env_id", IDS)
def test_specs_are_json_and_make_the_same_again(env_id):
    env = gym.make(env_id, max_episode_steps=7, **KWARGS)
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert json.loads(env.spec.to_json())["max_episode_steps"] == 7
    assert_same(env.reset(seed=0), again.reset(seed=0))
    assert_same(env.step(np.ones(2, np.float32)), again.step(np.ones(2, np.float32)))
    env.close()
    again.close()


def test_specs_of_vectors_are_json_and_make_the_same_again():
    envs = gym.make_vec("mgenv/PointNav-v0", num_envs=2, autoreset_mode="same_step", **KWARGS)
    assert isinstance(envs.unwrapped, VectorEnv)
    again = gym.make_vec(EnvSpec.from_json(envs.spec.to_json()))
    assert again.num_envs == 2
    assert again.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert_same(envs.reset(seed=0), again.reset(seed=0))


@pytest.mark.parametrize("limit", [3, 201])
def test_episodes_are_as_long_as_asked_for(limit):
    env = gym.make("mgenv/Explore-v0", max_episode_steps=limit, **KWARGS)
    env.reset(seed=0)
    steps, truncated = 0, False
    while not truncated:
        truncated, steps = env.step(np.zeros(2, np.float32))[3], steps + 1
    assert steps == limit


def test_vectors_of_singles_can_be_made_too():
    envs = gym.make_vec("mgenv/ImageNav-v0", 2, vectorization_mode="sync", **KWARGS)
    envs.reset(seed=0)
    assert envs.call("task_description") == ("Go to the place that the goal picture shows.",) * 2
    assert envs.call("_max_episode_steps") == (200, 200)
    assert len(envs.render()) == 2
