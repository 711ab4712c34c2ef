"""Means with bootstrap intervals, of one policy or of paired differences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


def bootstrap(values: ArrayLike, resamples: int = 2000, seed: int = 0) -> Interval:
    """The mean and its 95 % percentile bootstrap interval (Efron, 1979).

    Args:
        values: (E,) one an episode.

    Raises:
        ValueError: there are none.

    Example:
        >>> bootstrap([1.0, 1.0, 1.0])
        Interval(mean=1.0, low=1.0, high=1.0)
    """
    sample = np.asarray(values, np.float64)
    if sample.ndim != 1 or not len(sample):
        raise ValueError(f"Expected at least one value in one row; got shape {sample.shape}.")
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(sample), size=(resamples, len(sample)))
    low, high = np.quantile(sample[picks].mean(-1), [0.025, 0.975])
    return Interval(float(sample.mean()), float(low), float(high))


def paired_difference(one: ArrayLike, other: ArrayLike, **settings: int) -> Interval:
    """Mean of ``one`` minus ``other``, resampled in pairs: row e of both is the same episode.

    Narrower than separate intervals, because the difficulty of an episode affects both.

    Args:
        one, other: (E,).
        settings: those of :func:`bootstrap`.

    Raises:
        ValueError: they differ in length, or are empty.

    Example:
        >>> paired_difference([1.0, 0.0, 1.0], [0.5, -0.5, 0.5])
        Interval(mean=0.5, low=0.5, high=0.5)
    """
    first, second = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if first.shape != second.shape:
        raise ValueError(f"Expected the same episodes; got {first.shape} and {second.shape}.")
    return bootstrap(first - second, **settings)
