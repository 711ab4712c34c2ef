"""The policy that every other has to beat."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray


class RandomPolicy:
    """Actions drawn evenly from the action space.

    Args:
        action_space: of one slot.
        num_envs: how many slots.
        seed: the same seed gives the same actions.
    """

    name = "random"

    def __init__(self, action_space: gym.Space, num_envs: int, seed: int = 0) -> None:
        self._space = batch_space(action_space, num_envs)
        self._space.seed(seed)

    def act(self, observations: Any) -> NDArray[Any]:
        """Actions (N, …); the observations are not looked at."""
        return self._space.sample()
