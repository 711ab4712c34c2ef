"""What a task is: goal, reward and end, all from pose, frame and bump of each slot.

A task never asks a simulator. What it keeps of each slot's episode lies in arrays with one row a
slot, so that states are copied and slots forked without knowing the task.

Shapes: N slots, n of them in a call, M remembered frames.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from mgenv.camera import ImageSize
from mgenv.worlds.base import Frame

FARTHEST = 1000.0
"""Bound of the distances in observations [m]; farther away is cut off there."""

REWARD_BUMP = -0.02
"""For a step that a wall or an object shortened."""


@dataclass(frozen=True)
class Place:
    """Remembered frames of a place: where episodes start and what goals are taken from.

    Attributes:
        rgb: uint8 (M, H, W, 3).
        pose: float32 (M, 4, 4).
    """

    rgb: NDArray[np.uint8]
    pose: NDArray[np.float32]


@dataclass
class Outcome:
    """What a step was worth, one row for each of the n slots that made it.

    Attributes:
        rewards: float64 (n,) each; their sum is the reward.
        terminated: bool (n,).
    """

    rewards: dict[str, NDArray[np.float64]]
    terminated: NDArray[np.bool_]

    @property
    def reward(self) -> NDArray[np.float64]:
        """Sum of the terms: (n,)."""
        return np.sum(list(self.rewards.values()), axis=0)


class Task(ABC):
    """Goal, reward and end of episodes in N slots.

    Attributes:
        name: what ``make_task`` calls it.
        description: one sentence for instruction-following policies.
        goal_frames: whether goals are remembered frames, wherever these come from.
        state: arrays with one row a slot.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    goal_frames: ClassVar[bool] = False

    def __init__(self, num_envs: int, image_size: ImageSize) -> None:
        self.num_envs, self.image_size = num_envs, image_size
        self.state: dict[str, NDArray[Any]] = {}

    def spaces(self) -> dict[str, spaces.Space]:
        """What the task adds to the observation."""
        return {}

    @abstractmethod
    def begin(
        self,
        slots: NDArray[np.int64],
        frame: Frame,
        places: Sequence[Place | None],
        generators: Sequence[np.random.Generator],
    ) -> None:
        """Start episodes.

        Args:
            slots: (n,).
            frame: what they see first.
            places: what each may know of its place; None where nothing is remembered.
            generators: one a slot.
        """

    @abstractmethod
    def step(self, slots: NDArray[np.int64], frame: Frame) -> Outcome:
        """Judge one step of ``slots`` (n,) that led to ``frame``."""

    @abstractmethod
    def info(self, slots: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """How the episodes stand, (n,) each; ``is_success`` is always there."""

    def observe(self, slots: NDArray[np.int64], frame: Frame) -> dict[str, NDArray[Any]]:
        """The task's part of the observation, n rows each."""
        return {}

    def get_state(self) -> dict[str, NDArray[Any]]:
        """A copy of all rows."""
        return {name: value.copy() for name, value in self.state.items()}

    def set_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Resume from :meth:`get_state`."""
        self.state = {name: value.copy() for name, value in state.items()}

    def fork(self, from_slot: int, to_slots: Sequence[int]) -> None:
        """Copy one slot's rows over others'."""
        for value in self.state.values():
            value[list(to_slots)] = value[from_slot]


def bump_reward(frame: Frame) -> NDArray[np.float64]:
    """(n,)."""
    return REWARD_BUMP * frame.bumped.astype(np.float64)
