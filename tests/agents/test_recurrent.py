from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from mgenv.agents import LearnedPolicy, PPOConfig, make_envs, train_policy
from mgenv.errors import MissingExtraError, UnknownNameError
from tests.agents.untrained import untrained_policy


@pytest.fixture
def envs(env_config):
    envs = make_envs(env_config)
    yield envs
    envs.close()


@pytest.fixture
def policy(config, envs):
    config.ppo = replace(config.ppo, form="recurrent", recurrent_size=16)
    made = untrained_policy(config, envs)
    made.deterministic = True
    return made


def views(envs, steps: int) -> list:
    seen = [envs.reset(seed=0)[0]]
    action = np.full((envs.num_envs, 2), 0.4, np.float32)
    return seen + [envs.step(action)[0] for _ in range(steps - 1)]


def test_what_was_seen_changes_what_is_done(policy, envs):
    first, *_, last = views(envs, 4)
    fresh = policy.act(last)
    policy.act(first)
    assert not np.allclose(policy.act(last), fresh)


def test_a_reset_forgets_in_those_slots_alone(policy, envs):
    first, *_, last = views(envs, 4)
    policy.reset(np.ones(4, bool))
    fresh = policy.act(last)
    policy.reset(np.ones(4, bool))
    policy.act(first)
    policy.reset(np.array([True, False, True, False]))
    after = policy.act(last)
    np.testing.assert_allclose(after[[0, 2]], fresh[[0, 2]], atol=1e-6)
    assert not np.allclose(after[[1, 3]], fresh[[1, 3]])


def test_another_number_of_slots_starts_anew(policy, envs):
    first, *_, last = views(envs, 4)
    policy.act(first)
    policy.reset(np.ones(2, bool))
    two = {name: value[:2] for name, value in last.items()}
    few = policy.act(two)
    policy.reset(np.ones(4, bool))
    np.testing.assert_allclose(policy.act(last)[:2], few, atol=1e-6)


def test_it_is_trained_kept_and_read_back(config, envs):
    config.ppo = replace(config.ppo, form="recurrent", recurrent_size=16)
    config.env.obs_type = "pixels_depth_agent_pos"
    trained, file = train_policy(config)
    again = LearnedPolicy.load(file, deterministic=True)
    assert again.recurrent and again.card.network["recurrent_size"] == 16
    trained.deterministic = True
    sharp = make_envs(config.env)
    for observations in views(sharp, 3):
        np.testing.assert_array_equal(trained.act(observations), again.act(observations))
    sharp.close()


def test_an_unknown_form_is_told_before_any_work(config, monkeypatch):
    monkeypatch.setattr("mgenv.agents.train.make_envs", None)
    config.ppo = PPOConfig(form="recurent")
    with pytest.raises(UnknownNameError, match="'recurrent'"):
        train_policy(config)


def test_without_sb3_contrib_the_extra_is_named(config, monkeypatch):
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    config.ppo = PPOConfig(form="recurrent")
    with pytest.raises(MissingExtraError, match=r"mgenv\[train\]"):
        train_policy(config)
