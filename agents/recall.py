"""Goes back to what the world's memory recognises; without it, wanders."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

TURN = math.radians(15.0)
"""The largest turn of a step [rad]."""

AHEAD = math.radians(30.0)
"""A waypoint within this is walked to; farther to a side it is turned to first."""

RECOGNISED = 0.5
"""A match below this is of another place."""

STUCK = 0.05
"""A robot that meant to walk and came less far [m] bumped into something."""

TURNS = 9
"""At most so many turns follow a bump while wandering."""


class RecallPolicy:
    """Follows ``recalled`` of Recall, see :class:`mgenv.tasks.Recall`; for ``differential`` robots.

    Args:
        num_envs: how many slots.
        seed: of the wandering.
    """

    name = "recall"

    def __init__(self, num_envs: int, seed: int = 0) -> None:
        self._rngs = [np.random.default_rng([seed, slot]) for slot in range(num_envs)]
        self._turns = np.zeros(num_envs, np.int64)  # left to make, their sign the side
        self._last = np.full((num_envs, 2), np.nan)  # where the last step began

    def reset(self, slots: NDArray[np.bool_]) -> None:
        """Forget how the episodes of ``slots`` (N,) went."""
        self._turns[slots], self._last[slots] = 0, np.nan

    def act(self, observations: Any) -> NDArray[np.float32]:
        """Actions (N, 2): forward, turn."""
        recalled = np.asarray(observations["recalled"], np.float64)
        actions = self._wander(np.asarray(observations["agent_pos"], np.float64))
        known = recalled[:, 2] >= RECOGNISED
        bearing = recalled[known, 1]
        walk = np.abs(bearing) < AHEAD
        actions[known] = np.stack([walk, np.clip(bearing / TURN, -1.0, 1.0)], -1)
        return actions.astype(np.float32)

    def _wander(self, agent_pos: NDArray[np.float64]) -> NDArray[np.float64]:
        """Straight ahead, and round to a random side where something is in the way."""
        here, actions = agent_pos[:, :2], np.zeros((len(agent_pos), 2))
        stuck = np.hypot(*(here - self._last).T) < STUCK
        for slot, rng in enumerate(self._rngs):
            if self._turns[slot] == 0 and stuck[slot]:
                self._turns[slot] = rng.choice((-1, 1)) * rng.integers(3, TURNS + 1)
            side = np.sign(self._turns[slot])
            self._turns[slot] -= side
            actions[slot] = (0.0, side) if side else (1.0, 0.0)
        self._last = np.where(actions[:, :1] > 0, here, np.nan)
        return actions
