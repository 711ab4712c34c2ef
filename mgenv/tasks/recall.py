"""Recall: something was seen in an earlier episode; go back to it from somewhere else.

The goal is a picture, as in ImageNav. The observation adds what the world's memory knows of it: the
direction and geodesic distance to the most similar remembered frame. A picture that memory does not
hold gets the most similar frame, or none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from mgenv.camera import ImageSize, planar, planar_from
from mgenv.memory.recognition import recognise
from mgenv.tasks.base import FARTHEST, Rows, Setting, TaskOptions
from mgenv.tasks.goal import way_to
from mgenv.tasks.imagenav import PictureTask
from mgenv.worlds.base import Frame


class Recall(PictureTask):
    """The goal is a remembered frame 3 m away or more; reached within 0.5 m along the floor."""

    name = "recall"
    description = "Go back to where the goal picture was seen before."
    reads_memory = True
    least = 3.0

    def __init__(
        self, num_envs: int, image_size: ImageSize, options: TaskOptions | None = None
    ) -> None:
        super().__init__(num_envs, image_size, options)
        self.state["match"] = np.zeros(num_envs)
        self.state["recalled"] = np.zeros((num_envs, 2))  # where memory saw it: x, y
        self.state["route"] = np.full(num_envs, None, object)

    def spaces(self) -> dict[str, spaces.Space]:
        low, high = np.array([0.0, -np.pi, 0.0]), np.array([FARTHEST, np.pi, 1.0])
        recalled = spaces.Box(low.astype(np.float32), high.astype(np.float32))
        return super().spaces() | {"recalled": recalled}

    def begin(self, slots: NDArray[np.int64], frame: Frame, settings: Sequence[Setting]) -> None:
        super().begin(slots, frame, settings)
        for slot, pose, setting in zip(slots, frame.pose, settings, strict=True):
            self._recognise(int(slot), planar(pose), setting)

    def _recognise(self, slot: int, start: NDArray[np.float64], setting: Setting) -> None:
        """Match the goal picture to remembered frames, and find the path there."""
        state, memory = self.state, setting.memory
        state["match"][slot], state["route"][slot] = 0.0, None
        if memory is None or setting.place is None or not self.options.recall_memory:
            return
        index, match = recognise(state["pixels"][slot], memory.rgb)
        if index >= 0:
            spot = planar(memory.pose[index])
            state["match"][slot], state["recalled"][slot] = match, spot[:2]
            state["route"][slot] = way_to(setting.place.plan, start, spot)[:2]

    def observe(self, slots: NDArray[np.int64], frame: Frame) -> Rows:
        told = np.stack([self._told(int(slot)) for slot in slots])  # (n, 3)
        return super().observe(slots, frame) | {"recalled": told.astype(np.float32)}

    def _told(self, slot: int) -> NDArray[np.float64]:
        """Distance [m], bearing of the path [rad], match in [0, 1]: (3,); zeros without a match."""
        state, robot = self.state, self.state["robot"][slot]
        if state["match"][slot] <= 0.0:
            return np.zeros(3)
        target = state["recalled"][slot]
        plan, field = state["route"][slot]
        far, heading = float(np.hypot(*(target - robot[:2]))), target
        if plan is not None and np.isfinite(along := float(plan.lookup(field, robot[:2]))):
            far, heading = along, plan.waypoint(field, robot[:2])
        ahead, left = planar_from(robot, heading)
        return np.array([min(far, FARTHEST), np.arctan2(left, ahead), state["match"][slot]])
