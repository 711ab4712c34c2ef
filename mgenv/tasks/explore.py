"""Explore: see as much of the place as possible.

The ground plan is divided into cells. A cell is seen when the frame's depth shows a surface or
floor in it less than 5 m away.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mgenv.camera import DEFAULT_INTRINSICS, ImageSize, picture_shape, planar
from mgenv.memory.floor_plan import FloorPlan
from mgenv.tasks.base import Outcome, Rows, Setting, Task, TaskOptions, bump_reward, ended
from mgenv.worlds.base import Frame

CELL = 0.5
"""Side of a cell of the ground plan [m]."""

CELLS = 128
"""Cells along a side of the plan, which repeats every 64 m."""

RANGE = 5.0
"""Distance from which on surfaces do not count as seen [m]."""

REWARD_AREA = 0.1
"""Reward per square metre seen for the first time in the episode."""

SUCCESS_AREA = 50.0
"""Seen area above which an episode is a success [m²]; the episode goes on."""

STRIDE = 4
"""Pixels from one sampled pixel to the next, in both directions."""


class Explore(Task):
    """Reward for area seen for the first time in the episode."""

    name = "explore"
    description = "Explore: see as much of this place as possible."

    def __init__(
        self, num_envs: int, image_size: ImageSize, options: TaskOptions | None = None
    ) -> None:
        super().__init__(num_envs, image_size, options)
        self.state = {
            "seen": np.zeros((num_envs, CELLS, CELLS), bool),
            "floor": np.full(num_envs, None, object),  # cells (K,) and their reachable floor (K,)
            "robot": np.zeros((num_envs, 3)),  # x, y, yaw
            "walked": np.zeros(num_envs),
        }
        self._rays = DEFAULT_INTRINSICS.rays(*picture_shape(image_size))[
            STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE
        ].numpy()  # (h, w, 3)

    def begin(self, slots: NDArray[np.int64], frame: Frame, settings: Sequence[Setting]) -> None:
        state, starts = self.state, planar(frame.pose)
        state["seen"][slots], state["walked"][slots], state["robot"][slots] = False, 0.0, starts
        for slot, start, setting in zip(slots, starts, settings, strict=True):
            plan = None if setting.place is None else setting.place.plan
            state["floor"][slot] = None if plan is None else reachable(plan, start[:2])
        self._mark(slots, frame)

    def step(
        self, slots: NDArray[np.int64], frame: Frame, stopped: NDArray[np.bool_] | None = None
    ) -> Outcome:
        before = self._area(slots)
        self._add_path(slots, frame)
        self._mark(slots, frame)
        gained = self._area(slots) - before
        rewards = {"reward_area": REWARD_AREA * gained, "reward_bump": bump_reward(frame)}
        return Outcome(rewards, ended(slots, stopped))

    def info(self, slots: NDArray[np.int64]) -> Rows:
        """``explored_share`` is the share of reachable floor; 0 where no floor is known."""
        area, walked = self._area(slots), self.state["walked"][slots]
        share = np.array([self._share(int(slot)) for slot in slots])
        return {
            "is_success": area > SUCCESS_AREA,
            "explored_area": area,
            "explored_share": share,
            "path_length": walked,
            "explored_share_per_metre": share / np.maximum(walked, 1.0),
        }

    def _area(self, slots: NDArray[np.int64]) -> NDArray[np.float64]:
        """Area seen in the episode [m²]: (n,)."""
        return self.state["seen"][slots].sum((1, 2)) * CELL**2

    def _share(self, slot: int) -> float:
        """Share of the reachable floor that was seen in the episode."""
        floor = self.state["floor"][slot]
        if floor is None:
            return 0.0
        cells, sizes = floor
        return float(sizes[self.state["seen"][slot].reshape(-1)[cells]].sum() / sizes.sum())

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


def reachable(
    plan: FloorPlan, start: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Ground-plan cells (K,) with floor that can be reached from ``start`` (2,).

    Returns:
        Flat cell indices (K,) and the reachable floor-plan cells in each (K,); None if there are
        none.
    """
    way = plan.distances(start)[plan.free]
    spots = np.floor(plan.cells()[np.isfinite(way)] / CELL).astype(np.int64) % CELLS  # (F, 2)
    if not len(spots):
        return None
    return np.unique(spots[:, 0] * CELLS + spots[:, 1], return_counts=True)
