"""Who walks about: people, robots, dogs and birds, put together from a seed.

A character is a few round primitives in the columns of the object table, so that it can face any
way. Everything about it is one of a few discrete choices; ``NUM_CHARACTERS`` is their product.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mgenv.engine.people.figures import CHOICES, GAIT, HEIGHT, PLAN, build, reach_of
from mgenv.engine.people.limbs import SWING
from mgenv.engine.render.stream import below, new_stream
from mgenv.engine.scene.shapes import MAX_PARTS, OBJECT_SIZE
from mgenv.engine.textures.textures import CHECKER, FABRIC, LEAVES, PLAIN, STRIPES
from mgenv.jit import compiled

NUM_CHARACTERS = math.prod(CHOICES.values())

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
"""How far feet swing, feet lift, the body bounces and hands swing, in shares of the height."""
_TOP_PATTERNS = np.array([PLAIN, STRIPES, CHECKER, FABRIC, LEAVES])
_BOTTOM_PATTERNS = np.array([PLAIN, STRIPES, FABRIC])
TABLES = (_HEIGHTS, _GAITS, _TOP_PATTERNS, _BOTTOM_PATTERNS)
"""What :func:`build` looks up: pass them on as they are."""
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


def choices_of(seed: int) -> dict[str, int]:
    """What a 64-bit seed chooses.

    Example:
        >>> sorted(choices_of(1)) == sorted(CHOICES)
        True
    """
    drawn = np.empty(len(CHOICES), np.int64)
    _draw(np.uint64(seed), _SIZES, drawn)
    return dict(zip(CHOICES, drawn.tolist(), strict=True))


def body(choices: Mapping[str, int], phase: float) -> NDArray[np.float32]:
    """The parts of a character with these choices: float32 (parts, 16); see :func:`character`."""
    rows = np.zeros((MAX_PARTS, OBJECT_SIZE), np.float32)
    numbers = np.array([choices[name] for name in CHOICES], np.int64)
    count = build(numbers, *TABLES, phase, rows)
    return rows[:count]


def character(
    seed: int, phase: float, x: float = 0.0, y: float = 0.0, heading: float = 0.0
) -> NDArray[np.float32]:
    """A character in the middle of its stride; with both feet down at phase 0 and a half.

    Args:
        seed: 64 bits that choose everything about it.
        phase: of the stride, in turns: 0 and 1 are the same.
        x, y: where it stands [m].
        heading: where it goes [rad, 0 = +x, left +].

    Returns:
        float32 (parts, 16), at most ``MAX_PARTS`` rows of the object table; not solid.

    Example:
        >>> character(7, 0.25).shape[1]
        16
    """
    rows = body(choices_of(seed), phase)
    along, left = rows[:, 1].copy(), rows[:, 2].copy()
    cos, sin = math.cos(heading), math.sin(heading)
    rows[:, 1], rows[:, 2] = x + along * cos - left * sin, y + along * sin + left * cos
    return rows


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


def bounding_sphere(rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """A sphere around all parts: its centre (3,) and its radius [m]."""
    sphere = np.zeros(4, np.float32)
    fill_bounding_sphere(rows, len(rows), sphere)
    return sphere[:3], float(sphere[3])
