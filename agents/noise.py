"""Where policies draw from: a generator for each slot, made anew for each episode."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


class SlotGenerators:
    """What a policy draws in an episode depends on the policy's seed and the episode's alone.

    So it is the same in whatever slot the episode is played, beside whatever others and after
    whatever was played before.

    Args:
        seed: the policy's, at least 0.

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
        """The slot's own; one that was never seeded begins with its number."""
        if slot not in self._generators:
            self._generators[slot] = np.random.default_rng([self._seed, slot])
        return self._generators[slot]
