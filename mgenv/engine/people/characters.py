"""Characters: people, robots, dogs and birds, generated from a seed.

A character is a few round primitives in the columns of the object table, so that it can face any
way. Everything about it is one of a few discrete choices, ``CHOICES``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mgenv.engine.people.figures import CHOICES, GAIT, HEIGHT, PLAN, reach_of
from mgenv.engine.people.limbs import SWING
from mgenv.engine.render.random_stream import below, new_stream
from mgenv.engine.textures.textures import CHECKER, FABRIC, LEAVES, PLAIN, STRIPES
from mgenv.jit import compiled

_CHARACTER = 51
_SIZES = np.array(list(CHOICES.values()), np.int64)
_HEIGHTS = np.array([1.65, 1.3, 0.7, 0.6])
"""Of a person, a robot, a dog and a bird of middling size [m]."""
_GAITS = np.array(
    [
        [0.17, 0.06, 0.02, 0.10],  # walks
        [0.15, 0.10, 0.03, 0.12],  # marches
        [0.10, 0.02, 0.01, 0.03],  # shuffles
        [0.12, 0.05, 0.06, 0.06],  # hops
        [0.20, 0.07, 0.03, 0.09],  # strides
        [0.13, 0.04, 0.04, 0.13],  # sways
    ]
)
"""Amplitudes of foot swing, foot lift, body bounce and hand swing, as shares of the height."""
_TOP_PATTERNS = np.array([PLAIN, STRIPES, CHECKER, FABRIC, LEAVES])
_BOTTOM_PATTERNS = np.array([PLAIN, STRIPES, FABRIC])
TABLES = (_HEIGHTS, _GAITS, _TOP_PATTERNS, _BOTTOM_PATTERNS)
"""Lookup tables of :func:`build`, in the order of its arguments."""
_PACES = np.array([[0.7, 1.25], [0.6, 1.1], [0.9, 1.5], [0.4, 0.7]])
"""The slowest and the fastest of each body plan [m/s]."""


@compiled
def _draw(seed, sizes, choices):
    state = new_stream(seed, _CHARACTER)
    for n in range(len(sizes)):
        choices[n] = below(state, float(sizes[n]))


@compiled
def _stride(choices, heights, gaits):
    """How far a character gets in a turn of phase without sliding its feet [m]."""
    height = heights[choices[PLAN]] * (0.82 + 0.05 * choices[HEIGHT])
    return 4.0 * gaits[choices[GAIT], SWING] * height * reach_of(choices)


def gaits_of(choices: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How fast characters (K, choices) walk [m/s] and how long a stride is [m]: (K,) each."""
    strides = np.array([_stride(row, _HEIGHTS, _GAITS) for row in choices])
    limits = _PACES[choices[:, 0]]  # (K, 2)
    return np.clip(1.1 * strides, limits[:, 0], limits[:, 1]), strides


@compiled
def _draw_many(seeds, sizes, choices):
    for k in range(len(seeds)):
        _draw(seeds[k], sizes, choices[k])


def draw_choices(seeds: NDArray[np.uint64]) -> NDArray[np.int64]:
    """What seeds (K,) choose, in the order of ``CHOICES``: int64 (K, choices)."""
    choices = np.empty((len(seeds), len(CHOICES)), np.int64)
    _draw_many(seeds, _SIZES, choices)
    return choices


@compiled
def fill_bounding_sphere(rows, count, sphere):
    """Fill ``sphere`` (4,), centre and radius [m], with one around the boxes of ``count`` parts."""
    square = 0.0
    for axis in range(1, 4):
        low, high = 1e9, -1e9
        for n in range(count):
            low = min(low, rows[n, axis] - rows[n, axis + 3])
            high = max(high, rows[n, axis] + rows[n, axis + 3])
        sphere[axis - 1] = 0.5 * (low + high)
    for n in range(count):
        reach = 0.0
        for axis in range(1, 4):
            reach += (abs(rows[n, axis] - sphere[axis - 1]) + rows[n, axis + 3]) ** 2
        square = max(square, reach)
    sphere[3] = math.sqrt(square) * 1.00001 + 1e-5
