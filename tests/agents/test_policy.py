from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from gymnasium import spaces
from safetensors import safe_open
from safetensors.numpy import save_file

from mgenv.agents import LearnedPolicy, make_envs
from mgenv.agents.policy import build_space, describe_space
from mgenv.errors import CheckpointError, InvalidOptionError, OutputError
from tests.agents.untrained import untrained_policy


@pytest.fixture
def envs(env_config):
    envs = make_envs(env_config)
    yield envs
    envs.close()


@pytest.fixture
def policy(config, envs):
    return untrained_policy(config, envs)


def observe(envs):
    return envs.reset(seed=0)[0]


def test_a_policy_read_back_acts_the_same(policy, envs, tmp_path):
    file = tmp_path / "policy.safetensors"
    policy.save(file)
    observations = observe(envs)
    for deterministic in (True, False):
        ours = LearnedPolicy(policy.network, policy.card, deterministic=deterministic, seed=4)
        theirs = LearnedPolicy.load(file, deterministic=deterministic, seed=4)
        np.testing.assert_array_equal(ours.act(observations), theirs.act(observations))


def test_actions_are_drawn_by_seed_and_lie_in_the_space(policy, envs):
    observations = observe(envs)
    one, other = (
        LearnedPolicy(policy.network, policy.card, seed=s).act(observations) for s in (0, 1)
    )
    assert not np.array_equal(one, other)
    assert all(action in envs.single_action_space for action in one)


def test_an_action_depends_on_the_episode_alone(policy, envs):
    seen = {name: value[np.arange(40) % 4] for name, value in observe(envs).items()}  # (40, …)
    seen["goal"] = np.random.default_rng(0).uniform(-1, 1, (40, 2)).astype(np.float32)
    order = np.random.default_rng(1).permutation(40)
    many, few = (LearnedPolicy(policy.network, policy.card, seed=5) for _ in range(2))
    many.seed(np.ones(40, bool), np.arange(100, 140))
    few.seed(np.ones(3, bool), 100 + order[:3])
    for _ in range(2):
        beside_many = many.act(seen)
        alone = few.act({name: value[order[:3]] for name, value in seen.items()})
        np.testing.assert_array_equal(alone, beside_many[order[:3]])


def test_discrete_actions_follow_their_probabilities(policy):
    from types import SimpleNamespace

    import torch

    probabilities = torch.tensor([[0.1, 0.6, 0.3]]).expand(2000, 3)
    inner = SimpleNamespace(distribution=SimpleNamespace(probs=probabilities))
    drawn = policy._draw_discrete(inner, range(2000))
    shares = np.bincount(drawn, minlength=3) / 2000
    np.testing.assert_allclose(shares, [0.1, 0.6, 0.3], atol=0.04)


def test_discrete_actions_are_drawn_too(config, envs):
    from mgenv.agents.policy import PolicyCard
    from mgenv.agents.sb3 import build_policy

    for space in (spaces.Discrete(3), spaces.MultiDiscrete([2, 4])):
        network = build_policy(envs.single_observation_space, space, config.ppo.network())
        card = PolicyCard(task="", robot="", world="", steps=0, observation_space={},
                          action_space={}, network={})  # fmt: skip
        for deterministic in (True, False):
            actions = LearnedPolicy(network, card, deterministic=deterministic).act(observe(envs))
            assert all(action in space for action in actions)


def test_the_file_holds_no_pickle_and_says_what_it_was_trained_on(policy, tmp_path):
    file = tmp_path / "policy.safetensors"
    policy.save(file)
    with safe_open(file, "np") as opened:
        card = json.loads(opened.metadata()["card"])
    assert card["task"] == "pointnav" and card["world"] == "tiny" and card["steps"] == 0


@pytest.mark.parametrize("header", [None, {"format": "other"}])
def test_a_file_that_is_no_policy_is_refused(header, tmp_path):
    file = tmp_path / "other.safetensors"
    save_file({"a": np.zeros(1)}, file, metadata=header)
    with pytest.raises(CheckpointError, match="format 'mgenv-policy'"):
        LearnedPolicy.load(file)


def test_another_version_is_refused(tmp_path):
    file = tmp_path / "old.safetensors"
    save_file({"a": np.zeros(1)}, file, metadata={"format": "mgenv-policy", "version": "0"})
    with pytest.raises(CheckpointError, match="version '1'.*got '0'"):
        LearnedPolicy.load(file)


def test_a_damaged_or_missing_file_is_refused(policy, tmp_path):
    file = tmp_path / "policy.safetensors"
    policy.save(file)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="policy file"):
        LearnedPolicy.load(file)
    with pytest.raises(CheckpointError, match="policy file"):
        LearnedPolicy.load(tmp_path / "none.safetensors")


def test_weights_that_do_not_fit_the_card_are_refused(policy, tmp_path):
    file = tmp_path / "policy.safetensors"
    wider = {**policy.card.network, "hidden": [128]}
    LearnedPolicy(policy.network, replace(policy.card, network=wider)).save(file)
    with pytest.raises(CheckpointError, match="differ in name or shape"):
        LearnedPolicy.load(file)


def test_a_write_that_fails_leaves_the_old_file(policy, tmp_path, monkeypatch):
    file = tmp_path / "policy.safetensors"
    policy.save(file)
    before = file.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OutputError, match="No space left"):
        policy.save(file)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["policy.safetensors"]


def test_environments_of_another_make_are_refused(policy, env_config, envs):
    policy.check(envs)
    for other in (replace(env_config, task="imagenav"), replace(env_config, robot="drone")):
        strange = make_envs(other)
        with pytest.raises(InvalidOptionError, match="space that the policy was trained on"):
            policy.check(strange)
        strange.close()


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(-1, 1, (2,), np.float32),
        spaces.Box(0, 255, (8, 8, 3), np.uint8),
        spaces.Box(-np.inf, np.inf, (4,), np.float32),
        spaces.Discrete(5),
        spaces.MultiDiscrete([2, 3]),
        spaces.Dict(a=spaces.Discrete(2), b=spaces.Box(0, 1, (1,), np.float32)),
    ],
)
def test_spaces_survive_json(space):
    description = json.loads(json.dumps(describe_space(space)))
    assert build_space(description) == space


def test_a_space_that_cannot_be_described_is_refused():
    with pytest.raises(TypeError, match="Box, Dict, Discrete"):
        describe_space(spaces.Text(4))
