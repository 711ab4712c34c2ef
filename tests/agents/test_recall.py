import numpy as np
import pytest

from mgenv.agents.evaluate import evaluate_policy
from mgenv.agents.recall import TURN, RecallPolicy


def observe(recalled, agent_pos=(0.0, 0.0, 0.0, 1.0)) -> dict[str, np.ndarray]:
    return {"recalled": np.array([recalled]), "agent_pos": np.array([agent_pos])}


def test_it_walks_to_waypoints_ahead_and_turns_to_others():
    policy = RecallPolicy(1)
    np.testing.assert_allclose(policy.act(observe((3.0, TURN / 2, 1.0))), [[1.0, 0.5]])
    np.testing.assert_allclose(policy.act(observe((3.0, -2.0, 1.0))), [[0.0, -1.0]])


def test_without_a_match_it_goes_ahead_and_turns_where_it_is_stuck():
    policy = RecallPolicy(1)
    actions = [policy.act(observe((3.0, 1.0, 0.1)))[0] for _ in range(4)]
    assert actions[0].tolist() == [1.0, 0.0]
    assert all(action[0] == 0.0 and abs(action[1]) == 1.0 for action in actions[1:])
    moved = observe((0.0, 0.0, 0.0), (9.0, 0.0, 0.0, 1.0))
    policy.reset(np.array([True]))
    assert policy.act(moved)[0].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("told", [True, False])
def test_memory_brings_it_back(make_tiny, told):
    envs = make_tiny(
        4, task="recall", recall_memory=told, max_episode_steps=40, autoreset_mode="same_step"
    )
    success = evaluate_policy(RecallPolicy(4), envs, 16).success.mean()
    assert success == 1.0 if told else success < 0.8
