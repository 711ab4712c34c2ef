"""Safe sets: cells from which a walker can keep clear of a camera whose whole path is known.

The safe cells are found backwards in time (the viability kernel of Aubin, 1991): a cell is safe
while the camera is far from it and a neighbour, or the cell itself, is safe a beat later. A beat is
the time in which a hurrying walker crosses a cell. The sets are rows of bits, 64 cells a word.
"""

from __future__ import annotations

import math

import numpy as np

from mgenv.engine.estates.terrain import CLIMB
from mgenv.engine.homes.layout import CELL, GRID
from mgenv.jit import compiled

HURRY = 1.35
"""Speed of a walker that gives way [m/s]."""
CLEAR = np.array([0.9, 0.65])
"""How far the camera is kept from the middles of safe cells [m]: well and just."""
_ONE = np.uint64(1)


@compiled
def beat_of(fps):
    """Ticks in which a hurrying walker crosses a cell."""
    return int(math.ceil(CELL * fps / HURRY - 1e-9))


@compiled
def passable(free, ground):
    """uint8 (64, 64): the free cells without those above a ledge too high to climb."""
    result = free.copy()
    for j in range(1, GRID - 1):
        for i in range(1, GRID - 1):
            for b, a in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                if free[j + b, i + a] and ground[j, i] - ground[j + b, i + a] > CLIMB:
                    result[j, i] = 0
    return result if result.any() else free


@compiled
def _remove_near(rows, x, y, clear):
    """Clear the bits of the cells whose middles are nearer than ``clear`` to a point [m]."""
    reach = int(clear / CELL) + 1
    i, j = int(math.floor(x / CELL)), int(math.floor(y / CELL))
    for b in range(max(j - reach, 0), min(j + reach + 1, GRID)):
        for a in range(max(i - reach, 0), min(i + reach + 1, GRID)):
            dx, dy = (a + 0.5) * CELL - x, (b + 0.5) * CELL - y
            if dx * dx + dy * dy < clear * clear:
                rows[b] &= ~(_ONE << np.uint64(a))


@compiled
def _fill_bits(cells, rows):
    for j in range(GRID):
        rows[j] = np.uint64(0)
        for i in range(GRID):
            if cells[j, i]:
                rows[j] |= _ONE << np.uint64(i)


@compiled
def _keep_near(rows, after):
    """Keep the bits that are set, or have a neighbour set, in ``after``."""
    for j in range(GRID):
        near = after[j] | (after[j] << _ONE) | (after[j] >> _ONE)
        near |= after[max(j - 1, 0)] | after[min(j + 1, GRID - 1)]
        rows[j] &= near


@compiled
def safe_cells(cells, camera, beat):
    """The safe cells of each beat.

    Args:
        cells: uint8 (64, 64), where walkers walk.
        camera: (T, 3) or (T, 2) positions [m].
        beat: ticks a beat.

    Returns:
        uint64 (beats, 2, 64): bit i of word j is cell (j, i); for each distance of ``CLEAR``.
    """
    ticks = len(camera)
    beats = (ticks + beat - 1) // beat + 1
    safe, every = np.empty((beats, len(CLEAR), GRID), np.uint64), np.empty(GRID, np.uint64)
    _fill_bits(cells, every)
    for n in range(beats - 1, -1, -1):
        for level in range(len(CLEAR)):
            rows = safe[n, level]
            rows[:] = every
            for t in range(n * beat, (n + 1) * beat + 1):
                at = camera[min(t, ticks - 1)]
                _remove_near(rows, at[0], at[1], CLEAR[level])
            if n + 1 < beats:
                _keep_near(rows, safe[n + 1, level])
    return safe


@compiled
def is_safe(rows, x, y):
    """Whether a point [m] lies in a set of cells uint64 (64,)."""
    i, j = int(math.floor(x / CELL)), int(math.floor(y / CELL))
    if not (0 <= i < GRID and 0 <= j < GRID):
        return False
    return (rows[j] >> np.uint64(i)) & _ONE == _ONE
