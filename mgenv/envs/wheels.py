"""Where odometry says that robots are: exactly, or with an error that grows along the way."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgenv.camera import planar_from
from mgenv.robots import STEP_ANGLE
from mgenv.tasks.noise import WHEELS, normals

SLIP = 0.02
"""Standard deviation of the error of a step, over its length."""

DRIFT = np.radians(1.0)
"""Standard deviation of the error of a full turn of one step [rad]."""


class Wheels:
    """One row a slot.

    Args:
        noisy: whether there is an error; it follows from the episode's seed.

    Attributes:
        true: float64 (N, 3), where the robot is: x, y [m], yaw [rad].
        believed: float64 (N, 3), where odometry says that it is.
    """

    def __init__(self, num_envs: int, noisy: bool) -> None:
        self._noisy = noisy
        self.true, self.believed = np.zeros((num_envs, 3)), np.zeros((num_envs, 3))
        self.seed, self.steps = np.zeros(num_envs, np.int64), np.zeros(num_envs, np.int64)

    def begin(
        self, slots: NDArray[np.int64], here: NDArray[np.float64], seeds: Sequence[int]
    ) -> None:
        """Episodes with ``seeds`` start in ``slots`` (n,) at ``here`` (n, 3)."""
        self.true[slots], self.believed[slots] = here, here
        self.seed[slots], self.steps[slots] = seeds, 0

    def roll(self, slots: NDArray[np.int64], here: NDArray[np.float64]) -> NDArray[np.float64]:
        """Robots moved to ``here`` (n, 3): where odometry says that they are, (n, 3)."""
        if not self._noisy:
            return here
        self.steps[slots] += 1
        for slot, spot in zip(slots.tolist(), here, strict=True):
            self.believed[slot] = self._slipped(slot, spot)
        self.true[slots] = here
        return self.believed[slots]

    def _slipped(self, slot: int, here: NDArray[np.float64]) -> NDArray[np.float64]:
        """Believed x, y, yaw (3,) after a step to ``here`` (3,)."""
        true, believed = self.true[slot], self.believed[slot]
        moved = planar_from(true, here)  # (2,) ahead, left
        turn = np.remainder(here[2] - true[2] + np.pi, 2 * np.pi) - np.pi
        noise = normals(int(self.seed[slot]), WHEELS, int(self.steps[slot]), 3)
        moved = moved + SLIP * np.hypot(*moved) * noise[:2]
        turn += DRIFT * abs(turn) / STEP_ANGLE * noise[2]
        cos, sin = np.cos(believed[2]), np.sin(believed[2])
        ahead, left = moved
        step = [cos * ahead - sin * left, sin * ahead + cos * left, turn]
        return believed + np.array(step)

    def get_state(self) -> dict[str, Any]:
        """A copy of everything."""
        return copy.deepcopy(vars(self))

    def set_state(self, state: dict[str, Any]) -> None:
        """Resume from :meth:`get_state`."""
        vars(self).update(copy.deepcopy(state))

    def fork(self, from_slot: int, to_slots: Sequence[int]) -> None:
        """Copy one slot's row over others'."""
        for array in (self.true, self.believed, self.seed, self.steps):
            array[list(to_slots)] = array[from_slot]
