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


class Observer:
    """Pixels, odometry and the task's part.

    Args:
        task: whose part is observed too.
        obs_type: ``"pixels_agent_pos"`` or ``"pixels"``.

    Attributes:
        space: of one robot's observation.
        values: the last observation, N rows each.
    """

    def __init__(self, task: Task, obs_type: str) -> None:
        self._task, shape = task, (*picture_shape(task.image_size), 3)
        parts: dict[str, spaces.Space] = {"pixels": spaces.Box(0, 255, shape, np.uint8)}
        if obs_type == "pixels_agent_pos":
            high = np.array([FARTHEST, FARTHEST, 1.0, 1.0], np.float32)
            parts["agent_pos"] = spaces.Box(-high, high)
        self.space = spaces.Dict(parts | task.spaces())
        self.values: Rows = {
            name: np.zeros((task.num_envs, *(part.shape or ())), part.dtype)
            for name, part in self.space.items()
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
        if "agent_pos" in self.values:
            rows["agent_pos"] = odometry(here, start)
        for name, value in rows.items():
            self.values[name][slots] = value

    def rows(self, slots: NDArray[np.int64] | slice = slice(None)) -> Rows:
        """A copy of some rows, all by default."""
        return {name: value[slots].copy() for name, value in self.values.items()}

    def set_state(self, state: Rows) -> None:
        """Resume from :meth:`rows`."""
        self.values = {name: value.copy() for name, value in state.items()}

    def fork(self, from_slot: int, to_slots: Sequence[int]) -> None:
        """Copy one slot's row over others'."""
        for value in self.values.values():
            value[list(to_slots)] = value[from_slot]


def odometry(here: NDArray[np.float64], start: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ahead, left [m], sin and cos of the turn since ``start`` (n, 3), as wheels tell: (n, 4)."""
    turn = here[:, 2:] - start[:, 2:]  # (n, 1)
    place = planar_from(start, here).clip(-FARTHEST, FARTHEST)  # (n, 2)
    return np.hstack([place, np.sin(turn), np.cos(turn)])
