"""Uniformly random policy."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium as gym
from gymnasium.vector.utils import concatenate, create_empty_array
from numpy.typing import ArrayLike, NDArray

from mgenv.agents.noise import SlotGenerators


class RandomPolicy:
    """Samples actions uniformly from the action space.

    Args:
        action_space: of one slot.
        num_envs: how many slots.
        seed: the same seed gives the same actions.
    """

    name = "random"

    def __init__(self, action_space: gym.Space, num_envs: int, seed: int = 0) -> None:
        self._noise = SlotGenerators(seed)
        self._spaces = [copy.deepcopy(action_space) for _ in range(num_envs)]
        self.seed([True] * num_envs, range(num_envs))

    def seed(self, slots: ArrayLike, seeds: ArrayLike) -> None:
        """Episodes with ``seeds`` int (N,) start in ``slots`` bool (N,)."""
        self._noise.seed(slots, seeds)
        for slot, (space, starts) in enumerate(zip(self._spaces, slots, strict=True)):  # type: ignore
            if starts:
                space.seed(int(self._noise[slot].integers(2**31)))

    def act(self, observations: Any) -> NDArray[Any]:
        """Actions (N, …); observations are ignored."""
        space, drawn = self._spaces[0], [space.sample() for space in self._spaces]
        return concatenate(space, drawn, create_empty_array(space, len(drawn)))  # type: ignore
