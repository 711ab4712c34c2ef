"""Shortest paths on the map of free cells."""

from __future__ import annotations

import math

import numpy as np

from mgenv.engine.homes.layout import CELL, GRID
from mgenv.jit import compiled

UNREACHED = 9999


@compiled
def distances(free, target, distance, queue):
    """Steps from every free cell to ``target``, a cell number.

    Args:
        distance: int64 (GRID²,), filled; ``UNREACHED`` where there is no path.
        queue: int64 (GRID²,), filled with the reached cells in order of distance.

    Returns:
        The number of reached cells.
    """
    distance[:] = UNREACHED
    distance[target] = 0
    queue[0] = target
    head, tail = 0, 1
    while head < tail:
        here = queue[head]
        head += 1
        for step in (1, -1, GRID, -GRID):
            there = here + step
            if (
                0 <= there < GRID * GRID
                and distance[there] == UNREACHED
                and free[there // GRID, there % GRID]
            ):
                distance[there] = distance[here] + 1
                queue[tail] = there
                tail += 1
    return tail


@compiled
def nearest_free(free, x, y):
    """The number of the free cell nearest to a point [m]."""
    i, j = int(math.floor(x / CELL)), int(math.floor(y / CELL))
    best, best_square = -1, 1e9
    for reach in range(GRID):
        for b in range(max(j - reach, 0), min(j + reach + 1, GRID)):
            for a in range(max(i - reach, 0), min(i + reach + 1, GRID)):
                square = ((a + 0.5) * CELL - x) ** 2 + ((b + 0.5) * CELL - y) ** 2
                if free[b, a] and square < best_square:
                    best, best_square = b * GRID + a, square
        if best >= 0 and reach * CELL > math.sqrt(best_square):
            break
    return best


@compiled
def _downhill(free, distance, here):
    """The neighbour, diagonal ones included, that is nearest to the target."""
    best, lowest = here, distance[here]
    i, j = here % GRID, here // GRID
    for b in range(-1, 2):
        for a in range(-1, 2):
            if not (0 <= i + a < GRID and 0 <= j + b < GRID):
                continue
            there = (j + b) * GRID + i + a
            if distance[there] < lowest and free[j + b, i] and free[j, i + a]:
                best, lowest = there, distance[there]
    return best


@compiled
def _walkable(free, x, y, to_x, to_y):
    """Whether the straight line between two points crosses free cells only."""
    length = math.sqrt((to_x - x) ** 2 + (to_y - y) ** 2)
    steps = int(length / 0.1) + 1
    for k in range(1, steps + 1):
        a, b = x + (to_x - x) * k / steps, y + (to_y - y) * k / steps
        if not free[int(b / CELL), int(a / CELL)]:
            return False
    return True


@compiled
def waypoint(free, distance, x, y, ahead):
    """The furthest point of the path, at most ``ahead`` cells on, that a straight line reaches."""
    here = nearest_free(free, x, y)
    to_x, to_y = (here % GRID + 0.5) * CELL, (here // GRID + 0.5) * CELL
    for _ in range(ahead):
        here = _downhill(free, distance, here)
        next_x, next_y = (here % GRID + 0.5) * CELL, (here // GRID + 0.5) * CELL
        if not _walkable(free, x, y, next_x, next_y):
            break
        to_x, to_y = next_x, next_y
    return to_x, to_y


@compiled
def mark_seen(cells, x, y, yaw, reach, seen):
    """Mark the cells in a 90° view up to ``reach`` metres, as far as walls allow."""
    for k in range(-5, 6):
        angle = yaw + k * (math.pi / 4 / 5)
        dx, dy = math.cos(angle) * 0.2, math.sin(angle) * 0.2
        px, py = x, y
        for _ in range(int(reach / 0.2)):
            i, j = int(px / CELL), int(py / CELL)
            if not (0 <= i < GRID and 0 <= j < GRID) or cells[j, i] == 255:
                break
            seen[j * GRID + i] = 1
            px, py = px + dx, py + dy


@compiled
def new_seen():
    return np.zeros(GRID * GRID, np.uint8)
