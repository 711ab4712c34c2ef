"""How high the floor is under a point, on steps and terraces."""

from __future__ import annotations

import math

from mgenv.engine.compiling import compiled
from mgenv.engine.layout import CELL, GRID

STEP = 0.15
"""Height of a step [m]."""
CLIMB = 0.2
"""No body climbs or drops further than this at once [m]."""
_REACH = 0.2


@compiled
def cell_height(ground, x, y):
    """The floor's height [m] in the cell of a point [m], at the map's edge beyond it."""
    i = min(max(int(math.floor(x / CELL)), 0), GRID - 1)
    j = min(max(int(math.floor(y / CELL)), 0), GRID - 1)
    return ground[j, i]


@compiled
def height_at(ground, x, y):
    """The height on which a body stands: the mean floor under it, so that steps are ramps.

    Args:
        ground: float32 (64, 64), [y, x], the height of each cell's floor [m].
        x, y: the middle of the body [m].
    """
    here = float(cell_height(ground, x, y))
    total = 0.0
    for b in range(-1, 2):
        for a in range(-1, 2):
            there = float(cell_height(ground, x + a * _REACH, y + b * _REACH))
            total += there - here if abs(there - here) <= 2.5 * STEP else 0.0
    return here + total / 9.0
