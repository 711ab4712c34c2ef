"""Explore: see as much of the place as possible.

The ground plan is divided into cells; a cell is seen when a surface or a piece of floor less than
5 m away lies in it. What was seen is counted from the frame's own depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgenv.camera import DEFAULT_INTRINSICS, ImageSize, picture_shape
from mgenv.tasks.base import Outcome, Place, Task, bump_reward
from mgenv.worlds.base import Frame

CELL = 0.5
"""Side of a cell of the ground plan [m]."""

CELLS = 128
"""Cells along a side of the plan, which wraps round after 64 m."""

RANGE = 5.0
"""Surfaces farther away than this do not count as seen [m]."""

REWARD_AREA = 0.1
"""For each square metre seen for the first time in the episode."""

SUCCESS_AREA = 50.0
"""An episode that saw more than this is a success [m²]; it goes on all the same."""

STRIDE = 4
"""Every fourth pixel of every fourth row is looked at."""


class Explore(Task):
    """Reward for area seen for the first time in the episode."""

    name = "explore"
    description = "Explore: see as much of this place as possible."

    def __init__(self, num_envs: int, image_size: ImageSize) -> None:
        super().__init__(num_envs, image_size)
        self.state = {"seen": np.zeros((num_envs, CELLS, CELLS), bool)}
        self._rays = DEFAULT_INTRINSICS.rays(*picture_shape(image_size))[
            STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE
        ].numpy()  # (h, w, 3)

    def begin(
        self,
        slots: NDArray[np.int64],
        frame: Frame,
        places: Sequence[Place | None],
        generators: Sequence[np.random.Generator],
    ) -> None:
        self.state["seen"][slots] = False
        self._mark(slots, frame)

    def step(self, slots: NDArray[np.int64], frame: Frame) -> Outcome:
        before = self._area(slots)
        self._mark(slots, frame)
        gained = self._area(slots) - before
        rewards = {"reward_area": REWARD_AREA * gained, "reward_bump": bump_reward(frame)}
        return Outcome(rewards, np.zeros(len(slots), bool))

    def info(self, slots: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        area = self._area(slots)
        return {"is_success": area > SUCCESS_AREA, "explored_area": area}

    def _area(self, slots: NDArray[np.int64]) -> NDArray[np.float64]:
        """Seen in the episode [m²]: (n,)."""
        return self.state["seen"][slots].sum((1, 2)) * CELL**2

    def _mark(self, slots: NDArray[np.int64], frame: Frame) -> None:
        half = STRIDE // 2
        depth = frame.depth[:, half::STRIDE, half::STRIDE].astype(np.float64)  # (n, h, w)
        pose = frame.pose.astype(np.float64)
        rays = np.einsum("nij,hwj->nhwi", pose[:, :2, :3], self._rays)  # (n, h, w, 2)
        points = rays * depth[..., None] + pose[:, None, None, :2, 3]
        cells = np.floor(points / CELL).astype(np.int64) % CELLS
        rows = np.broadcast_to(slots[:, None, None], depth.shape)
        near = (depth > 0) & (depth < RANGE)
        self.state["seen"][rows[near], cells[..., 0][near], cells[..., 1][near]] = True
