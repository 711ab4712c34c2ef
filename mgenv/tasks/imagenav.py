"""ImageNav: go to where a picture was taken (Zhu et al., arXiv 1609.05143).

Goals are frames of the place's own memory, from a scan or an earlier episode.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from mgenv.camera import ImageSize, picture_shape, planar
from mgenv.tasks.base import Place
from mgenv.tasks.goal import SUCCESS_RADIUS, GoalTask, draw_goal
from mgenv.worlds.base import Frame

SUCCESS_ANGLE = np.pi / 4
"""The robot must face where the picture looks, to this angle [rad]."""


class ImageNav(GoalTask):
    """The goal is a remembered frame taken 1–5 m away; reached within 0.5 m and 45°."""

    name = "imagenav"
    description = "Go to the place that the goal picture shows."
    goal_frames = True

    def __init__(self, num_envs: int, image_size: ImageSize) -> None:
        super().__init__(num_envs, image_size)
        self.state["pixels"] = np.zeros((num_envs, *picture_shape(image_size), 3), np.uint8)

    def spaces(self) -> dict[str, spaces.Space]:
        shape = (*picture_shape(self.image_size), 3)
        return {"goal_pixels": spaces.Box(0, 255, shape, np.uint8)}

    def choose(
        self, slot: int, start: NDArray[np.float64], place: Place | None, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        assert place is not None and len(place.pose) > 0, "an episode's first frame is remembered"
        index = draw_goal(place, start, rng)
        self.state["pixels"][slot] = place.rgb[index]
        return planar(place.pose[index])

    def reached(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        turn = self.state["goal"][slots, 2] - self.state["robot"][slots, 2]
        facing = np.abs(np.remainder(turn + np.pi, 2 * np.pi) - np.pi) <= SUCCESS_ANGLE
        return (self.distance(slots) <= SUCCESS_RADIUS) & facing

    def observe(self, slots: NDArray[np.int64], frame: Frame) -> dict[str, NDArray[Any]]:
        return {"goal_pixels": self.state["pixels"][slots]}
