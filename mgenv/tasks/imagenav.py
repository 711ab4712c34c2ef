"""ImageNav: go to where a picture was taken (Zhu et al., arXiv 1609.05143).

Goals are frames of the place's own memory, from a scan or an earlier episode. The latter
(``memory="fresh"``) can be replayed only by the environment that remembers the frame, so no episode
lists are made of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from mgenv.camera import ImageSize, picture_shape, planar
from mgenv.errors import InvalidOptionError
from mgenv.tasks.base import Place, Rows, Setting, TaskOptions
from mgenv.tasks.choosing import draw_picture
from mgenv.tasks.episode import Episode
from mgenv.tasks.goal import GoalTask
from mgenv.worlds.base import Frame

SUCCESS_ANGLE = np.pi / 4
"""Largest angle between the robot's and the picture's heading at success [rad]."""


class PictureTask(GoalTask):
    """A goal given by a remembered frame that is not visible from the start.

    Attributes:
        least: preferred smallest geodesic distance of goals [m].
    """

    goal_frames = True
    least: ClassVar[float]

    def __init__(
        self, num_envs: int, image_size: ImageSize, options: TaskOptions | None = None
    ) -> None:
        super().__init__(num_envs, image_size, options)
        self.state["pixels"] = np.zeros((num_envs, *picture_shape(image_size), 3), np.uint8)

    def spaces(self) -> dict[str, spaces.Space]:
        shape = (*picture_shape(self.image_size), 3)
        return {"goal_pixels": spaces.Box(0, 255, shape, np.uint8)}

    def choose(
        self, start: NDArray[np.float32], place: Place | None, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], int]:
        assert place is not None and len(place.pose) > 0, "an episode's first frame is remembered"
        index = draw_picture(place, start, self.least, rng)
        return planar(place.pose[index]), index

    def begin(self, slots: NDArray[np.int64], frame: Frame, settings: Sequence[Setting]) -> None:
        super().begin(slots, frame, settings)
        for slot, setting in zip(slots, settings, strict=True):
            assert setting.place is not None
            self.state["pixels"][slot] = setting.place.rgb[self.state["goal_frame"][slot]]

    def check(self, episode: Episode, place: Place | None) -> None:
        super().check(episode, place)
        count = 0 if place is None else len(place.pose)
        known = place is not None and 0 <= episode.goal_frame < count
        spot = planar(place.pose[episode.goal_frame]) if known and place is not None else None
        if spot is None or np.abs(spot - episode.goal)[:2].max() > 0.01:
            raise InvalidOptionError(
                f"episode: expected a goal where the place's frame {episode.goal_frame} was seen, "
                f"of {count} frames of world {episode.world_id}, got {list(episode.goal)}"
            )

    def observe(self, slots: NDArray[np.int64], frame: Frame) -> Rows:
        return {"goal_pixels": self.state["pixels"][slots]}


class ImageNav(PictureTask):
    """The goal is a remembered frame 2 m away or more; reached within 0.5 m and 45°."""

    name = "imagenav"
    description = "Go to the place that the goal picture shows."
    least = 2.0

    def reached(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        turn = self.state["goal"][slots, 2] - self.state["robot"][slots, 2]
        facing = np.abs(np.remainder(turn + np.pi, 2 * np.pi) - np.pi) <= SUCCESS_ANGLE
        return super().reached(slots) & facing
