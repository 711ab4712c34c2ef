"""What N robots see now: the observation, written slot by slot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from mgenv.camera import picture_shape, planar_from
from mgenv.tasks import FARTHEST, Task
from mgenv.worlds.base import Frame

Rows = dict[str, NDArray[Any]]
Observation = NDArray[Any] | Rows
"""Pictures alone, or several parts by name."""

MAX_DEPTH = 20.0
"""Bound of the depth in observations [m]; farther away is cut off there."""


class Observer:
    """Pixels, depth, odometry and the task's part.

    Args:
        task: whose part is observed too.
        obs_type: ``"pixels"``, ``"pixels_agent_pos"``, ``"pixels_depth"`` or
            ``"pixels_depth_agent_pos"``.

    Attributes:
        space: of one robot's observation: a Dict, or a Box where there is nothing but pixels.
        values: the last observation's parts, N rows each.
    """

    def __init__(self, task: Task, obs_type: str) -> None:
        self._task, shape = task, (*picture_shape(task.image_size), 3)
        parts: dict[str, spaces.Space] = {"pixels": spaces.Box(0, 255, shape, np.uint8)}
        if "depth" in obs_type:
            parts["depth"] = spaces.Box(0.0, MAX_DEPTH, (*shape[:2], 1), np.float32)
        if "agent_pos" in obs_type:
            high = np.array([FARTHEST, FARTHEST, 1.0, 1.0], np.float32)
            parts["agent_pos"] = spaces.Box(-high, high)
        parts |= task.spaces()
        self._plain = list(parts) == ["pixels"]
        self.space: spaces.Space = parts["pixels"] if self._plain else spaces.Dict(parts)
        self.values: Rows = {
            name: np.zeros((task.num_envs, *(part.shape or ())), part.dtype)
            for name, part in parts.items()
        }

    def see(
        self,
        slots: NDArray[np.int64],
        frame: Frame,
        start: NDArray[np.float64],
        here: NDArray[np.float64],
    ) -> None:
        """Write rows of ``slots`` (n,).

        Args:
            start: (n, 3), where their episodes began.
            here: (n, 3), where odometry says that they are.
        """
        rows: Rows = {"pixels": frame.rgb} | self._task.observe(slots, frame)
        if "depth" in self.values:
            rows["depth"] = visible_depth(frame.depth)
        if "agent_pos" in self.values:
            rows["agent_pos"] = odometry(here, start)
        for name, value in rows.items():
            self.values[name][slots] = value

    def rows(self, slots: NDArray[np.int64] | slice = slice(None)) -> Rows:
        """A copy of some rows of every part, all by default."""
        return {name: value[slots].copy() for name, value in self.values.items()}

    def observation(self, slots: NDArray[np.int64] | slice = slice(None)) -> Observation:
        """A copy of some rows, all by default, as :attr:`space` says."""
        rows = self.rows(slots)
        return rows["pixels"] if self._plain else rows

    def set_state(self, state: Rows) -> None:
        """Resume from :meth:`rows`."""
        self.values = {name: value.copy() for name, value in state.items()}

    def fork(self, from_slot: int, to_slots: Sequence[int]) -> None:
        """Copy one slot's row over others'."""
        for value in self.values.values():
            value[list(to_slots)] = value[from_slot]


def visible_depth(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Depth (n, H, W) [m] as observed, (n, H, W, 1) in [0, 20]; the bound where there is none.

    Frames have none where their depth is 0 or NaN.
    """
    bound = np.float32(MAX_DEPTH)
    return np.where(depth > 0, np.minimum(depth, bound), bound)[..., None]


def odometry(here: NDArray[np.float64], start: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ahead, left [m], sin and cos of the turn since ``start`` (n, 3), as wheels tell: (n, 4)."""
    turn = here[:, 2:] - start[:, 2:]  # (n, 1)
    place = planar_from(start, here).clip(-FARTHEST, FARTHEST)  # (n, 2)
    return np.hstack([place, np.sin(turn), np.cos(turn)])
