"""PointNav: go to a point given as distance and bearing (Anderson et al., arXiv 1807.06757)."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from mgenv.camera import planar, planar_from
from mgenv.tasks.base import FARTHEST, Place, Rows
from mgenv.tasks.choosing import draw_point
from mgenv.tasks.goal import GoalTask
from mgenv.tasks.noise import GOAL, normals
from mgenv.worlds.base import Frame

AHEAD_DISTANCE = (1.0, 3.0)
"""Range of goal distances without a known floor [m]."""

AHEAD_ANGLE = np.pi / 4
"""Largest bearing of goals without a known floor [rad]."""

GOAL_SENSORS = ("exact", "noisy", "start", "none")

NOISE_DISTANCE, NOISE_BEARING = 0.05, np.radians(5.0)
"""Standard deviations of a noisy goal sensor: share of the distance, and bearing [rad]."""


class PointNav(GoalTask):
    """The goal is a free spot of the floor 1.5–12 m away; reached within 0.5 m along the floor."""

    name = "pointnav"
    description = "Go to the point at the given distance and bearing."

    def spaces(self) -> dict[str, spaces.Space]:
        if self.options.goal_sensor == "none":
            return {}
        low, high = np.array([0.0, -np.pi]), np.array([FARTHEST, np.pi])
        return {"goal": spaces.Box(low.astype(np.float32), high.astype(np.float32))}

    def choose(
        self, start: NDArray[np.float32], place: Place | None, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], int]:
        here, plan = planar(start), None if place is None else place.plan
        if plan is not None:
            point = draw_point(plan, here[:2], self.options.difficulty, rng)
            if point is not None:
                return np.array([*point, here[2]]), -1
        distance = rng.uniform(*AHEAD_DISTANCE)
        angle = here[2] + rng.uniform(-AHEAD_ANGLE, AHEAD_ANGLE)
        return here + np.array([distance * np.cos(angle), distance * np.sin(angle), 0.0]), -1

    def observe(self, slots: NDArray[np.int64], frame: Frame) -> Rows:
        sensor = self.options.goal_sensor
        if sensor == "none":
            return {}
        viewer = self.state["start" if sensor == "start" else "robot"][slots]
        local = planar_from(viewer, self.state["goal"][slots])  # (n, 2)
        goal = np.stack([np.hypot(*local.T), np.arctan2(local[:, 1], local[:, 0])], -1)
        if sensor == "noisy":
            goal = self._blurred(slots, goal)
        goal[:, 0] = goal[:, 0].clip(0.0, FARTHEST)
        return {"goal": goal.astype(np.float32).clip(-np.float32(np.pi), FARTHEST)}

    def _blurred(self, slots: NDArray[np.int64], goal: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distances [m] and bearings [rad] (n, 2) with noise."""
        seeds, steps = self.state["seed"][slots], self.state["steps"][slots]
        pairs = zip(seeds.tolist(), steps.tolist(), strict=True)
        noise = np.stack([normals(seed, GOAL, step, 2) for seed, step in pairs])
        distance = goal[:, 0] * (1.0 + NOISE_DISTANCE * noise[:, 0])
        bearing = np.remainder(goal[:, 1] + NOISE_BEARING * noise[:, 1] + np.pi, 2 * np.pi) - np.pi
        return np.stack([distance, bearing], -1)
