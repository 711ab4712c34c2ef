"""What is kept of each slot's episode beside world and task: generator, clock, start."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from numpy.typing import NDArray

from mgenv.camera import planar
from mgenv.envs.starts import Start
from mgenv.errors import NotResetError
from mgenv.worlds.base import Frame


class Episodes:
    """One row and one generator a slot.

    Attributes:
        started: bool (N,), whether the slot was ever reset.
        done: bool (N,), whether its episode is over.
        elapsed: int64 (N,), steps made.
        world_id: int64 (N,).
        start: float64 (N, 3), where the episode began: x, y [m], yaw [rad].
        asked: float64 (N, 4), where it was asked to begin: x, y, z [m], yaw [rad].
        seed: int64 (N,), the episode's own, see :class:`mgenv.tasks.Episode`.
        seeds: what each slot's generator was made from.
    """

    def __init__(self, num_envs: int) -> None:
        self.started = np.zeros(num_envs, bool)
        self.done = np.zeros(num_envs, bool)
        self.elapsed = np.zeros(num_envs, np.int64)
        self.world_id = np.zeros(num_envs, np.int64)
        self.start, self.asked = np.zeros((num_envs, 3)), np.zeros((num_envs, 4))
        self.seed = np.zeros(num_envs, np.int64)
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

    def prepare(
        self, slots: NDArray[np.int64], seeds: Sequence[int | None]
    ) -> tuple[list[int], list[np.random.Generator], list[int | None]]:
        """What a reset of ``slots`` will draw from; nothing changes before :meth:`adopt`.

        Returns:
            The slots that are given a seed or had no generator; for all of them new generators,
            or copies of those that go on, and what they are made from.
        """
        new, generators, used = [], [], []
        for slot in slots.tolist():
            generator, seed = copy.deepcopy(self._generators[slot]), self.seeds[slot]
            if generator is None or seeds[slot] is not None:
                generator, seed = seeding.np_random(seeds[slot])
                new.append(slot)
            generators.append(generator)
            used.append(seed)
        return new, generators, used

    def adopt(
        self,
        slots: NDArray[np.int64],
        generators: Sequence[np.random.Generator],
        seeds: Sequence[int | None],
    ) -> None:
        """Go on with generators that :meth:`prepare` gave."""
        for slot, generator, seed in zip(slots.tolist(), generators, seeds, strict=True):
            self._generators[slot], self.seeds[slot] = generator, seed

    def begin(self, starts: Sequence[Start], frame: Frame) -> None:
        """Episodes start, one a row of ``frame``."""
        for start, here, z in zip(starts, planar(frame.pose), frame.pose[:, 2, 3], strict=True):
            slot, (x, y, yaw) = start.slot, here
            self.started[slot], self.done[slot], self.elapsed[slot] = True, False, 0
            self.world_id[slot], self.seed[slot] = start.world_id, start.seed
            self.start[slot] = here
            self.asked[slot] = (x, y, z, yaw) if start.at is None else start.at

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
