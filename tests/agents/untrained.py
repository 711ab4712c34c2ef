"""The policy that training begins with."""

from __future__ import annotations

import gymnasium as gym

from mgenv.agents.learned import LearnedPolicy
from mgenv.agents.sb3 import build_ppo
from mgenv.agents.train import TrainConfig, _card
from mgenv.wrappers.sb3 import SB3VecEnv


def untrained_policy(config: TrainConfig, envs: gym.vector.VectorEnv) -> LearnedPolicy:
    model = build_ppo(SB3VecEnv(envs), config.ppo, config.seed, config.env.device)
    return LearnedPolicy(model.policy, _card(config, envs, 0), "untrained", seed=config.seed)
