import pytest

from mgenv.agents.evaluate import evaluate_policy
from mgenv.agents.recall import RecallPolicy


@pytest.mark.parametrize("told", [True, False])
def test_memory_brings_it_back(make_tiny, told):
    envs = make_tiny(
        4, task="recall", recall_memory=told, max_episode_steps=40, autoreset_mode="same_step"
    )
    success = evaluate_policy(RecallPolicy(envs), envs, 16).success.mean()
    assert success == 1.0 if told else success < 0.8
