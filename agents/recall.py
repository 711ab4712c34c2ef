"""Policy that goes where memory has seen the goal image; it ignores its own images."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from mgenv.agents.scripted import BlindOdometryPolicy, expect_part

RECOGNISED = 0.5
"""Least match score at which a recalled goal counts as recognised."""

UNKNOWN = (1.0, 0.0)
"""Distance [m] and bearing [rad] used for a goal that memory does not recognise."""


class RecallPolicy(BlindOdometryPolicy):
    """Follows ``recalled`` of the task Recall, see :class:`mgenv.tasks.Recall`.

    If memory does not recognise the goal, it goes straight ahead and turns away where it is stuck.

    Args:
        envs: where it acts.
        seed: of its turns.

    Raises:
        InvalidOptionError: the observation holds no ``recalled`` or no ``agent_pos``.
    """

    name = "recall"

    def __init__(self, envs: gym.vector.VectorEnv, seed: int = 0) -> None:
        super().__init__(envs, seed)
        expect_part(self.name, "recalled", envs)

    def _goal(self, observations: Any) -> NDArray[Any]:
        told = observations["recalled"]  # (N, 3): distance, bearing of the way, match
        return np.where(told[:, 2:] >= RECOGNISED, told[:, :2], UNKNOWN)
