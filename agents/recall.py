"""Goes back to what the world's memory recognises; looks at nothing itself."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from mgenv.agents.scripted import BlindOdometryPolicy, expect_part

RECOGNISED = 0.5
"""A match below this is of another place."""

UNKNOWN = (1.0, 0.0)
"""Where a goal is looked for of which memory knows nothing: [m] ahead."""


class RecallPolicy(BlindOdometryPolicy):
    """Follows ``recalled`` of the task Recall, see :class:`mgenv.tasks.Recall`.

    What memory does not know it looks for straight ahead, turning away where it is stuck.

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
