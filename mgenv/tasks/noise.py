"""Counter-based sensor noise, a function of the episode's seed and the step alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GOAL, WHEELS = range(2)
"""Sensor indices."""


def normals(seed: int, sensor: int, step: int, count: int) -> NDArray[np.float64]:
    """Standard normal numbers (count,) for a sensor in one step of an episode.

    Example:
        >>> bool((normals(3, GOAL, 7, 2) == normals(3, GOAL, 7, 2)).all())
        True
    """
    bits = np.random.Philox(key=[seed, sensor], counter=[0, step, 0, 0])
    return np.random.Generator(bits).standard_normal(count)
