"""One rate for recordings of several: a dataset has one, so many ticks a second for all of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np


def usual_rate(lengths: Iterable[tuple[int, int]]) -> int:
    """The rate of most frames, the lower one of equals.

    Args:
        lengths: of each recording its frames a second and its number of frames.

    Example:
        >>> usual_rate([(30, 100), (25, 80), (25, 40)])
        25
    """
    frames: Counter[int] = Counter()
    for rate, count in lengths:
        frames[rate] += count
    return min(frames, key=lambda rate: (-frames[rate], rate))


def thinned(count: int, own: int, rate: int) -> list[int]:
    """Which of ``count`` frames, taken ``own`` times a second, are nearest to ``rate`` times.

    Example:
        >>> thinned(9, 30, 10)
        [0, 3, 6]
        >>> thinned(7, 30, 25)  # one of six is left out
        [0, 1, 2, 4, 5, 6]
    """
    assert own >= rate, "frames cannot be made"
    nearest = np.round(np.arange(count) * (own / rate)).astype(int)
    return nearest[nearest < count].tolist()
