from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgenv.agents import RandomPolicy, bootstrap, evaluate_policy, make_envs
from mgenv.agents.train import EnvConfig
from mgenv.errors import InvalidOptionError


class Greedy:
    """Turns to the goal and goes."""

    name = "greedy"

    def act(self, observations):
        bearing = observations["goal"][:, 1]
        forward = np.where(np.abs(bearing) < 0.5, 1.0, 0.0)
        turn = np.clip(bearing / np.radians(15), -1, 1)
        return np.stack([forward, turn], 1).astype(np.float32)


@pytest.fixture
def envs(env_config: EnvConfig):
    envs = make_envs(env_config)
    yield envs
    envs.close()


def test_a_policy_that_goes_to_the_goal_succeeds_and_goes_straight(envs):
    result = evaluate_policy(Greedy(), envs, episodes=12, seed=3)
    assert result.success.all()
    assert result.spl.min() > 0.5 and result.spl.max() <= 1.0
    assert result.returns.min() > 2.0
    assert result.summary()["steps_to_success"].mean == pytest.approx(result.steps.mean())


def test_random_actions_do_much_worse(envs):
    result = evaluate_policy(
        RandomPolicy(envs.single_action_space, envs.num_envs), envs, episodes=12, seed=3
    )
    assert result.success.mean() < 0.5
    assert result.policy == "random"


def test_every_slot_plays_as_many_episodes(envs):
    counts = []
    result = evaluate_policy(Greedy(), envs, episodes=6, seed=0, on_episode=counts.append)
    assert len(result) == 8, "rounded up to two a slot"
    assert counts[-1] == 8 and counts == sorted(counts)


def test_two_policies_meet_the_same_episodes(env_config):
    def places(policy):
        envs = make_envs(env_config)
        random = RandomPolicy(envs.single_action_space, envs.num_envs)
        result = evaluate_policy(policy or random, envs, episodes=12, seed=7)
        envs.close()
        return result.world_ids.tolist()

    assert places(Greedy()) == places(None)


def test_the_same_seed_gives_the_same_figures(env_config):
    def returns():
        envs = make_envs(env_config)
        result = evaluate_policy(Greedy(), envs, episodes=4, seed=7)
        envs.close()
        return result.returns

    np.testing.assert_array_equal(returns(), returns())


def test_exploring_has_no_path_to_be_short(env_config):
    envs = make_envs(replace(env_config, task="explore", max_episode_steps=5))
    result = evaluate_policy(RandomPolicy(envs.single_action_space, 4), envs, episodes=4)
    envs.close()
    assert result.spl.tolist() == [0.0] * 4
    assert result.steps.tolist() == [5] * 4


def test_no_episodes_is_an_error(envs):
    with pytest.raises(InvalidOptionError, match="at least one episode; got 0"):
        evaluate_policy(Greedy(), envs, episodes=0)


def test_other_autoreset_is_an_error(env_config):
    from mgenv.envs.vector_env import VectorEnv

    envs = VectorEnv(2, world="tiny", autoreset_mode="next_step")
    with pytest.raises(InvalidOptionError, match="same_step"):
        evaluate_policy(Greedy(), envs)
    envs.close()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=40))
def test_the_interval_holds_the_mean(values):
    interval = bootstrap(values, resamples=200)
    assert min(values) - 1e-6 <= interval.low <= interval.high <= max(values) + 1e-6
    assert interval.mean == pytest.approx(np.mean(values))


def test_the_interval_has_the_width_of_theory():
    sample = np.random.default_rng(0).normal(size=400)
    interval = bootstrap(sample)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / 20, rel=0.15)


def test_the_interval_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="at least one value"):
        bootstrap([])
