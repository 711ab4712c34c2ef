"""Height of the floor under a point, on steps and terraces."""

from __future__ import annotations

import math

from mgenv.engine.homes.layout import CELL, GRID
from mgenv.jit import compiled

STEP = 0.15
"""Height of a step [m]."""
CLIMB = 0.2
"""No body climbs or drops further than this at once [m]."""
_REACH = 0.2
"""Half the span under a body whose height counts [m]."""
_LEDGE = 2.5 * STEP
"""What is higher or lower by more is no part of the floor [m]."""


@compiled
def cell_height(ground, x, y):
    """The floor's height [m] in the cell of a point [m], at the map's edge beyond it."""
    i = min(max(int(math.floor(x / CELL)), 0), GRID - 1)
    j = min(max(int(math.floor(y / CELL)), 0), GRID - 1)
    return ground[j, i]


@compiled
def _shared(cell, middle):
    """How much of the span under a body, along one axis, lies in a cell [m]."""
    low, high = max(cell * CELL, middle - _REACH), min((cell + 1) * CELL, middle + _REACH)
    return max(high - low, 0.0)


@compiled
def height_at(ground, x, y):
    """The height on which a body stands: the mean floor under it, so that steps are ramps.

    Args:
        ground: float32 (64, 64), [y, x], the height of each cell's floor [m].
        x, y: the middle of the body [m].
    """
    here, total = float(cell_height(ground, x, y)), 0.0
    for j in range(int(math.floor((y - _REACH) / CELL)), int(math.floor((y + _REACH) / CELL)) + 1):
        for i in range(
            int(math.floor((x - _REACH) / CELL)), int(math.floor((x + _REACH) / CELL)) + 1
        ):
            if 0 <= i < GRID and 0 <= j < GRID:
                rise = float(ground[j, i]) - here
                if abs(rise) <= _LEDGE:
                    total += rise * _shared(i, x) * _shared(j, y)
    return here + total / (4.0 * _REACH * _REACH)
