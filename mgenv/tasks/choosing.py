"""Random goals that can be reached along the floor and are not visible from the start."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mgenv.camera import planar
from mgenv.memory.floor_plan import FloorPlan
from mgenv.memory.visibility import shown_share
from mgenv.tasks.base import Place
from mgenv.tasks.episode import EASY, HARD

GOAL_DISTANCE = (1.5, 12.0)
"""Range of geodesic distances from start to goal [m]."""

RATIOS = {"easy": (0.0, EASY), "medium": (EASY, HARD), "hard": (HARD, np.inf), "any": (0.0, np.inf)}
"""Ranges of geodesic over straight-line distance."""

ALIKE = 0.05
"""Tolerance on the best ratio, where no goal has the requested difficulty."""

SHOWN = 0.1
"""Share of a picture below which it counts as not visible from the start."""


def draw_point(
    plan: FloorPlan, start: NDArray[np.float64], difficulty: str, rng: np.random.Generator
) -> NDArray[np.float64] | None:
    """A free cell (2,) that can be reached from ``start`` (2,), of the requested difficulty.

    Without one, a cell of the nearest difficulty; if no distance is in range, the farthest cell.
    None if the start is not on the floor.
    """
    draw, cells = rng.random(), plan.cells()  # (F, 2)
    way = plan.distances(start)[plan.free].astype(np.float64)  # (F,)
    fitting = np.flatnonzero((way >= GOAL_DISTANCE[0]) & (way <= GOAL_DISTANCE[1]))
    if not len(fitting):
        reached = np.where(np.isfinite(way), way, -1.0)
        return cells[reached.argmax()] if reached.max() >= 0.0 else None
    low, high = RATIOS[difficulty]
    ratio = way[fitting] / np.maximum(np.hypot(*(cells[fitting] - start).T), plan.cell)
    miss = np.maximum(np.maximum(low - ratio, ratio - high), 0.0)
    fitting = fitting[miss <= (miss.min() + ALIKE if miss.min() else 0.0)]
    return cells[fitting[int(draw * len(fitting))]]


def draw_picture(
    place: Place, start: NDArray[np.float32], least: float, rng: np.random.Generator
) -> int:
    """Index of a frame not visible from ``start`` (4, 4), at least ``least`` [m] away.

    Without one, a nearer frame, then a visible one, then the farthest.
    """
    draw, here = rng.random(), planar(start)[:2]
    spots = planar(place.pose)[:, :2]  # (M, 2)
    straight = np.hypot(*(spots - here).T)
    way, hidden = straight, np.ones(len(spots), bool)
    if place.plan is not None and place.depth is not None:
        way = place.plan.lookup(place.plan.distances(here), spots)
        hidden = shown_share(place.depth, place.pose, start) < SHOWN
    reached = np.isfinite(way) & (way <= GOAL_DISTANCE[1])
    away = reached & (way >= GOAL_DISTANCE[0])
    for fitting in (reached & (way >= least) & hidden, away & hidden, reached & (way >= least)):
        found = np.flatnonzero(fitting)
        for index in np.roll(found, -int(draw * len(found))):
            if place.plan is None or place.plan.leads(spots[index], here):
                return int(index)
    return int(np.where(np.isfinite(way), way, -1.0).argmax())
