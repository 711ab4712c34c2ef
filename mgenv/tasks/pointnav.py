"""PointNav: go to a point given as distance and bearing (Anderson et al., arXiv 1807.06757)."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from mgenv.camera import planar, planar_from
from mgenv.tasks.base import FARTHEST, Place
from mgenv.tasks.goal import SUCCESS_RADIUS, GoalTask, draw_goal
from mgenv.worlds.base import Frame

AHEAD_DISTANCE = (1.0, 3.0)
"""In a place of which nothing is remembered, goals lie this far ahead [m] …"""

AHEAD_ANGLE = np.pi / 4
"""… and at most this far to either side [rad]."""


class PointNav(GoalTask):
    """The goal is a remembered position 1–5 m away; reached within 0.5 m."""

    name = "pointnav"
    description = "Go to the point at the given distance and bearing."

    def spaces(self) -> dict[str, spaces.Space]:
        low, high = np.array([0.0, -np.pi]), np.array([FARTHEST, np.pi])
        return {"goal": spaces.Box(low.astype(np.float32), high.astype(np.float32))}

    def choose(
        self, slot: int, start: NDArray[np.float64], place: Place | None, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        if place is not None:
            return planar(place.pose[draw_goal(place, start, rng)])
        distance = rng.uniform(*AHEAD_DISTANCE)
        angle = start[2] + rng.uniform(-AHEAD_ANGLE, AHEAD_ANGLE)
        return start + np.array([distance * np.cos(angle), distance * np.sin(angle), 0.0])

    def reached(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        return self.distance(slots) <= SUCCESS_RADIUS

    def observe(self, slots: NDArray[np.int64], frame: Frame) -> dict[str, NDArray[Any]]:
        local = planar_from(self.state["robot"][slots], self.state["goal"][slots])  # (n, 2)
        bearing = np.arctan2(local[:, 1], local[:, 0])
        distance = np.hypot(local[:, 0], local[:, 1]).clip(max=FARTHEST)
        return {"goal": np.stack([distance, bearing], -1).astype(np.float32)}
