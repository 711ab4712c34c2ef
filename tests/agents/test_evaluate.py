from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgenv.agents import bootstrap, evaluate_policy, make_envs, make_policy, paired_difference
from mgenv.agents.train import EnvConfig
from mgenv.errors import InvalidOptionError
from tests.agents.untrained import untrained_policy


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


def play(policy, config, episodes, seed=0, **settings):
    envs = make_envs(config, **settings)
    made = make_policy(policy, envs, seed=5) if isinstance(policy, str) else policy
    result = evaluate_policy(made, envs, episodes, seed)
    envs.close()
    return result


def test_a_policy_that_goes_to_the_goal_succeeds_and_goes_straight(envs):
    result = evaluate_policy(Greedy(), envs, episodes=12, seed=3)
    assert result.success.all()
    measures = result.measures
    assert measures["spl"].min() > 0.5 and measures["spl"].max() <= 1.0
    assert measures["return"].min() > 2.0
    assert measures["distance_to_goal"].max() <= 0.5
    assert result.summary()["steps_to_success"].mean == pytest.approx(measures["steps"].mean())


def test_random_actions_do_much_worse(env_config):
    result = play("random", env_config, 12, seed=3)
    assert result.success.mean() < 0.5
    assert result.policy == "random"


def test_as_many_episodes_are_played_as_were_asked_for(envs):
    counts = []
    result = evaluate_policy(Greedy(), envs, episodes=6, seed=0, on_episode=counts.append)
    assert len(result) == 6
    assert result.seeds.tolist() == [0, 1, 2, 3, 4, 5]
    assert counts[-1] == 6 and counts == sorted(counts)


def test_two_policies_meet_the_same_episodes(env_config):
    one, other = (play(policy, env_config, 12, seed=7) for policy in (Greedy(), "random"))
    assert one.world_ids.tolist() == other.world_ids.tolist()
    assert set(one.minus(other)) == set(one.measures)


def test_a_policy_that_plays_other_episodes_cannot_be_compared(env_config):
    one, other = (play("spin", env_config, 4, seed=seed) for seed in (0, 1))
    with pytest.raises(InvalidOptionError, match="the same episodes"):
        one.minus(other)


@pytest.mark.parametrize("policy", ["random", "blind+odometry", "learned"])
def test_an_episode_is_the_same_in_any_slot_beside_any_others(policy, config, envs):
    made = untrained_policy(config, envs) if policy == "learned" else policy
    together = play(made, config.env, 10, seed=7, num_envs=8).rows()
    assert play(made, config.env, 10, seed=7, num_envs=3).rows() == together
    disabled = {"num_envs": 3, "autoreset_mode": "disabled"}
    assert play(made, config.env, 10, seed=7, **disabled).rows() == together
    alone = play(made, config.env, 1, seed=16).rows()[0]
    assert alone | {"episode": 9} == together[-1]


def test_what_was_judged_before_changes_nothing(config, envs):
    policy = untrained_policy(config, envs)
    first, again = (evaluate_policy(policy, envs, 6, seed=1).rows() for _ in range(2))
    assert first == again


def test_every_episode_starts_over(env_config):
    """What a slot remembers of an earlier episode would tell how many frames there are."""

    class Watcher(Greedy):
        def __init__(self):
            self.frames = []

        def see(self, infos):
            self.frames += infos["memory_frames"][infos["_memory_frames"]].tolist()

        def reset(self, slots):
            self.frames = self.frames[: -slots.sum()] + [("start", self.frames[-1])]

    watcher = Watcher()
    play(watcher, replace(env_config, num_envs=1, num_worlds=1), 4)
    starts = [frame[1] for frame in watcher.frames if isinstance(frame, tuple)]
    assert starts == [starts[0]] * 4


def test_a_row_holds_what_the_episode_came_to(env_config):
    row = play("spin", env_config, 3, seed=4).rows()[2]
    assert row["episode"] == 2 and row["seed"] == 6 and row["success"] == 0.0
    assert row["steps"] == env_config.max_episode_steps


def test_exploring_has_no_path_to_be_short(env_config):
    result = play("random", replace(env_config, task="explore", max_episode_steps=5), 4)
    assert "spl" not in result.measures and "explored_area" in result.measures
    assert result.measures["steps"].tolist() == [5] * 4


def test_no_episodes_is_an_error(envs):
    for none in (0, []):
        with pytest.raises(InvalidOptionError, match="at least one episode; got 0"):
            evaluate_policy(Greedy(), envs, episodes=none)


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


def test_paired_intervals_see_what_noise_between_episodes_hides():
    rng = np.random.default_rng(0)
    hardness = rng.normal(size=100)
    better = hardness + 0.1 + 0.01 * rng.normal(size=100)
    paired = paired_difference(better, hardness)
    assert 0.09 < paired.low <= paired.mean <= paired.high < 0.11
    assert bootstrap(better).low < bootstrap(hardness).high, "unpaired, they overlap"


def test_unequal_numbers_of_episodes_cannot_be_paired():
    with pytest.raises(ValueError, match="the same episodes"):
        paired_difference([1.0], [1.0, 2.0])
