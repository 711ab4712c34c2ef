"""The Task protocol: goal, reward and end of an episode, from pose, frame and bump of each slot.

A task never reads simulator state. Its state is arrays with one row per slot, so that states can be
copied and slots forked without knowing the task. Rows of objects refer to arrays that never change.

Shapes: N slots, n of them in a call, M remembered frames.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from mgenv.camera import ImageSize, planar
from mgenv.config import option, settings
from mgenv.errors import InvalidOptionError, NoFloorError
from mgenv.memory.floor_plan import FloorPlan
from mgenv.tasks.episode import Episode
from mgenv.worlds.base import Frame

FARTHEST = 1000.0
"""Upper bound of distances in observations [m]; larger ones are clipped."""

REWARD_BUMP = -0.02
"""Reward of a step that a collision shortened."""

DEFAULT_DIFFICULTY = "hard"
"""Default difficulty of PointNav's goals: blind policies seldom reach hard ones."""

Rows = dict[str, NDArray[Any]]


@settings
class TaskOptions:
    """What a user may ask of a task."""

    difficulty: str = option(
        DEFAULT_DIFFICULTY,
        "of PointNav's goals, the way along the floor over the straight line: easy (< 1.1), "
        "medium, hard (> 1.5) or any",
    )
    goal_sensor: str = option(
        "exact",
        "of PointNav: exact, noisy (5 %, 5°), start (as it was at the start of the episode) or "
        "none (no goal in the observation)",
    )
    stop: bool = option(
        False, "an action of its own ends the episode, which succeeds only at the goal"
    )
    recall_memory: bool = option(True, "Recall tells what the world's memory knows of the goal")


@dataclass(frozen=True)
class Place:
    """Remembered frames of a place, from which starts and goals are drawn.

    Attributes:
        rgb: uint8 (M, H, W, 3).
        pose: float32 (M, 4, 4).
        depth: float32 (M, H, W) [m]; None if unknown.
    """

    rgb: NDArray[np.uint8]
    pose: NDArray[np.float32]
    depth: NDArray[np.float32] | None = None

    @cached_property
    def plan(self) -> FloorPlan | None:
        """The floor that the frames show; None if they show none."""
        if self.depth is None:
            return None
        try:
            return FloorPlan.from_frames(self.depth, self.pose)
        except NoFloorError:
            return None

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Indices (K,) of frames where episodes may start: the largest set connected by floor."""
        spots = self.pose[:, :2, 3].astype(np.float64)
        best, left = np.zeros(0, np.int64), np.arange(0 if self.plan is None else len(spots))
        while self.plan is not None and len(left) > len(best):
            way = self.plan.lookup(self.plan.distances(spots[left[0]]), spots)
            joined = np.flatnonzero(np.isfinite(way))
            best = joined if len(joined) > len(best) else best
            left = np.setdiff1d(left[1:], joined)
        return best if len(best) else np.arange(len(spots))


@dataclass(frozen=True)
class Setting:
    """What an episode begins with.

    Attributes:
        place: what the task may know of the place; None if nothing is remembered.
        seed: of the task's random draws.
        episode: the episode to replay, with its goal; None to draw a goal.
        memory: all that the world remembers of the place, for tasks with ``reads_memory``.
    """

    place: Place | None
    seed: int
    episode: Episode | None = None
    memory: Place | None = None


@dataclass
class Outcome:
    """Reward terms and ends of one step of n slots.

    Attributes:
        rewards: terms by name, float64 (n,) each; their sum is the reward.
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
        name: its name in ``make_task``.
        description: one sentence for instruction-following policies.
        goal_frames: whether goals are remembered frames.
        reads_memory: whether settings must hold all that the world remembers.
        options: the user's options.
        state: arrays with one row per slot.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    goal_frames: ClassVar[bool] = False
    reads_memory: ClassVar[bool] = False

    def __init__(
        self, num_envs: int, image_size: ImageSize, options: TaskOptions | None = None
    ) -> None:
        self.num_envs, self.image_size = num_envs, image_size
        self.options = options or TaskOptions()
        self.state: Rows = {}

    def spaces(self) -> dict[str, spaces.Space]:
        """Spaces that the task adds to the observation, by key."""
        return {}

    @abstractmethod
    def begin(self, slots: NDArray[np.int64], frame: Frame, settings: Sequence[Setting]) -> None:
        """Start episodes of ``slots`` (n,) at their first ``frame``; one setting per slot."""

    @abstractmethod
    def step(
        self, slots: NDArray[np.int64], frame: Frame, stopped: NDArray[np.bool_] | None = None
    ) -> Outcome:
        """Judge one step of ``slots`` (n,) that led to ``frame``.

        Args:
            stopped: bool (n,), True where the robot ended its episode; None for none.
        """

    @abstractmethod
    def info(self, slots: NDArray[np.int64]) -> Rows:
        """Measures of the episodes so far, (n,) each; always with ``is_success``."""

    def observe(self, slots: NDArray[np.int64], frame: Frame) -> Rows:
        """The task's part of the observation, n rows per key."""
        return {}

    def goal_of(self, slot: int) -> dict[str, Any]:
        """Fields of an :class:`Episode` about the slot's goal; empty if it has none."""
        return {}

    def check(self, episode: Episode, place: Place | None) -> None:
        """Check that a given episode can be played.

        Raises:
            InvalidOptionError: it starts off the free floor, or its goal cannot be reached.
        """
        plan = None if place is None else place.plan
        if plan is None:
            return
        floor = np.where(plan.free, 0.0, np.inf).astype(np.float32)
        if not np.isfinite(plan.lookup(floor, episode.start[:2])):
            raise InvalidOptionError(
                f"episode: expected a start on the free floor of world {episode.world_id}, got "
                f"{list(episode.start[:2])}, which is inside something or was never seen"
            )

    def get_state(self) -> Rows:
        """A copy of all rows."""
        return {name: value.copy() for name, value in self.state.items()}

    def set_state(self, state: Rows) -> None:
        """Resume from :meth:`get_state`."""
        self.state = {name: value.copy() for name, value in state.items()}

    def fork(self, from_slot: int, to_slots: Sequence[int]) -> None:
        """Copy one slot's rows over others'."""
        for value in self.state.values():
            for slot in to_slots:
                value[slot] = value[from_slot]

    def _add_path(self, slots: NDArray[np.int64], frame: Frame) -> NDArray[np.float64]:
        """Update ``robot`` and path length ``walked`` [m]; returns x, y, yaw (n, 3)."""
        here = planar(frame.pose)
        moved = here - self.state["robot"][slots]
        self.state["walked"][slots] += np.hypot(moved[:, 0], moved[:, 1])
        self.state["robot"][slots] = here
        return here


def bump_reward(frame: Frame) -> NDArray[np.float64]:
    """Reward term of collisions: (n,)."""
    return REWARD_BUMP * frame.bumped.astype(np.float64)


def ended(slots: NDArray[np.int64], stopped: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Episodes that the robots ended: bool (n,)."""
    return np.zeros(len(slots), bool) if stopped is None else stopped.astype(bool)
