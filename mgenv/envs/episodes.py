"""What is kept of each slot's episode beside world and task: generator, clock, start."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from numpy.typing import NDArray

from mgenv.errors import NotResetError


class Episodes:
    """One row and one generator a slot.

    Attributes:
        started: bool (N,), whether the slot was ever reset.
        done: bool (N,), whether its episode is over.
        elapsed: int64 (N,), steps made.
        world_id: int64 (N,).
        start: float64 (N, 3), where the episode began: x, y [m], yaw [rad].
    """

    def __init__(self, num_envs: int) -> None:
        self.started = np.zeros(num_envs, bool)
        self.done = np.zeros(num_envs, bool)
        self.elapsed = np.zeros(num_envs, np.int64)
        self.world_id = np.zeros(num_envs, np.int64)
        self.start = np.zeros((num_envs, 3))
        self.seeds: list[int | None] = [None] * num_envs
        self._generators: list[np.random.Generator | None] = [None] * num_envs

    def generator(self, slot: int) -> np.random.Generator:
        """The slot's own.

        Raises:
            NotResetError: it has none before the first reset.
        """
        generator = self._generators[slot]
        if generator is None:
            raise NotResetError("Expected reset() before this.")
        return generator

    def seed(self, slots: NDArray[np.int64], seeds: Sequence[int | None]) -> list[int]:
        """New generators for those of ``slots`` that are given a seed or have none: which."""
        new = [int(s) for s in slots if seeds[s] is not None or self._generators[s] is None]
        for slot in new:
            self._generators[slot], self.seeds[slot] = seeding.np_random(seeds[slot])
        return new

    def begin(
        self, slots: NDArray[np.int64], world_ids: Sequence[int], start: NDArray[np.float64]
    ) -> None:
        """Episodes start in ``slots`` (n,) at ``start`` (n, 3)."""
        self.started[slots], self.done[slots], self.elapsed[slots] = True, False, 0
        self.world_id[slots], self.start[slots] = world_ids, start

    def get_state(self) -> dict[str, Any]:
        """A copy of everything."""
        return copy.deepcopy(vars(self))

    def set_state(self, state: dict[str, Any]) -> None:
        """Resume from :meth:`get_state`."""
        vars(self).update(copy.deepcopy(state))

    def fork(self, from_slot: int, to_slots: Sequence[int]) -> None:
        """Copy one slot over others."""
        for value in vars(self).values():
            for slot in to_slots:
                value[slot] = copy.deepcopy(value[from_slot])
