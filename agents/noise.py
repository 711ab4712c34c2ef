"""Random generators of policies: one per slot, seeded anew for each episode."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


class SlotGenerators:
    """Random generators that depend only on the seeds of the policy and of the episode.

    Draws are independent of the slot, of the other slots and of earlier episodes.

    Args:
        seed: of the policy, at least 0.

    Example:
        >>> one, other = SlotGenerators(3), SlotGenerators(3)
        >>> one.seed([True, False], [7, 0])
        >>> other.seed([False, True], [0, 7])
        >>> bool(one[0].random() == other[1].random())
        True
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._generators: dict[int, np.random.Generator] = {}

    def seed(self, slots: ArrayLike, seeds: ArrayLike) -> None:
        """New generators for ``slots`` bool (N,), whose episodes have ``seeds`` int (N,)."""
        episodes = np.asarray(seeds)
        for slot in np.flatnonzero(slots).tolist():
            self._generators[slot] = np.random.default_rng([self._seed, int(episodes[slot])])

    def __getitem__(self, slot: int) -> np.random.Generator:
        """The generator of a slot; seeded with the slot's number if :meth:`seed` was not called."""
        if slot not in self._generators:
            self._generators[slot] = np.random.default_rng([self._seed, slot])
        return self._generators[slot]
