"""Baselines that ignore images.

A policy that has learned to use images must score above all of these.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mgenv.agents.drive import Drive, towards
from mgenv.agents.noise import SlotGenerators
from mgenv.errors import InvalidOptionError
from mgenv.robots import STEP_ANGLE, STEP_LENGTH
from mgenv.tasks.goal import SUCCESS_RADIUS

LEG = 16
"""Mean number of steps between random turns, without goal and odometry."""

STUCK = 0.4
"""A robot is stuck if it moved less than this fraction of the requested distance."""

TURN_AWAY = (np.pi / 4, 3 * np.pi / 4)
"""Range of the angle by which a stuck robot turns [rad], to either side."""

STEPS_AWAY = (4, 12)
"""Range of the number of steps that it then goes ahead, before it follows its goal again."""


class SpinPolicy:
    """Turns on the spot, to the left."""

    name = "spin"

    def __init__(self, envs: gym.vector.VectorEnv, seed: int = 0) -> None:
        self._drive, self._ones = Drive(envs), np.ones(envs.num_envs)

    def act(self, observations: Any) -> Any:
        """Actions (N, …)."""
        return self._drive(0.0 * self._ones, self._ones)


class StraightPolicy:
    """Always goes straight ahead."""

    name = "straight"

    def __init__(self, envs: gym.vector.VectorEnv, seed: int = 0) -> None:
        self._drive, self._ones = Drive(envs), np.ones(envs.num_envs)

    def act(self, observations: Any) -> Any:
        """Actions (N, …)."""
        return self._drive(self._ones, 0.0 * self._ones)


class BlindPolicy:
    """Turns to the goal and goes ahead; ignores images.

    Where the observation holds no ``goal`` (ImageNav, Recall, Explore) it goes straight ahead and
    turns by any angle once in ``LEG`` steps. Where the robot can stop, it does so near the goal.

    Args:
        envs: where it acts.
        seed: of its turns.
    """

    name = "blind"

    def __init__(self, envs: gym.vector.VectorEnv, seed: int = 0) -> None:
        count = envs.num_envs
        self._drive, self._noise = Drive(envs), SlotGenerators(seed)
        self._turn = np.zeros(count)  # [rad] still to be turned on the spot
        self._away = np.zeros(count, np.int64)  # steps to go ahead then

    def seed(self, slots: ArrayLike, seeds: ArrayLike) -> None:
        """Episodes with ``seeds`` int (N,) start in ``slots`` bool (N,)."""
        self._noise.seed(slots, seeds)

    def reset(self, slots: NDArray[np.bool_]) -> None:
        """Forget what was done in ``slots`` bool (N,)."""
        self._turn[slots], self._away[slots] = 0.0, 0

    def act(self, observations: Any) -> Any:
        """Actions (N, …)."""
        goal = self._goal(observations)
        self._change_course(observations, goal is not None)
        near = np.zeros(len(self._turn), bool)
        forward, turn = np.ones(len(near)), np.zeros(len(near))
        if goal is not None:
            distance, bearing = goal.astype(np.float64).T
            near = distance <= SUCCESS_RADIUS
            forward, turn = towards(distance, bearing)
        return self._drive(*self._detour(forward, turn), near)

    def _goal(self, observations: Any) -> NDArray[Any] | None:
        """Distance [m] and bearing [rad] of the goals (N, 2); None if not observed."""
        return observations.get("goal") if isinstance(observations, dict) else None

    def _change_course(self, observations: Any, has_goal: bool) -> None:
        """Start random turns where there is no goal."""
        if has_goal:
            return
        for slot in range(len(self._turn)):
            draw, angle = self._noise[slot].random(2)
            if draw < 1 / LEG and self._turn[slot] == 0:
                self._turn[slot] = (2 * angle - 1) * np.pi

    def _detour(
        self, forward: NDArray[np.float64], turn: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Override the speeds of robots that turn on the spot or move away from an obstacle."""
        turning = self._turn != 0
        away = ~turning & (self._away > 0)
        part = np.clip(self._turn, -STEP_ANGLE, STEP_ANGLE)
        self._turn -= part
        self._away -= away
        forward = np.where(turning, 0.0, np.where(away, 1.0, forward))
        return forward, np.where(turning, part / STEP_ANGLE, np.where(away, 0.0, turn))


class BlindOdometryPolicy(BlindPolicy):
    """As :class:`BlindPolicy`, but turns away for some steps when odometry shows that it is stuck.

    Without a goal it goes straight ahead until it is stuck.

    Raises:
        InvalidOptionError: the observation holds no ``agent_pos``.
    """

    name = "blind+odometry"

    def __init__(self, envs: gym.vector.VectorEnv, seed: int = 0) -> None:
        super().__init__(envs, seed)
        expect_part(self.name, "agent_pos", envs)
        self._asked = np.zeros(envs.num_envs)  # [m] ahead, in the last step
        self._place = np.zeros((envs.num_envs, 2))

    def reset(self, slots: NDArray[np.bool_]) -> None:
        super().reset(slots)
        self._asked[slots] = 0.0

    def _change_course(self, observations: Any, has_goal: bool) -> None:
        place = observations["agent_pos"][:, :2].astype(np.float64)
        came = np.hypot(*(place - self._place).T)
        for slot in np.flatnonzero((self._asked > 0) & (came < STUCK * self._asked)).tolist():
            side, angle, steps = self._noise[slot].random(3)
            low, high = TURN_AWAY
            self._turn[slot] = (low + angle * (high - low)) * (1 if side < 0.5 else -1)
            self._away[slot] = STEPS_AWAY[0] + int(steps * (STEPS_AWAY[1] - STEPS_AWAY[0] + 1))
        self._place = place

    def _detour(
        self, forward: NDArray[np.float64], turn: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        forward, turn = super()._detour(forward, turn)
        self._asked = forward * STEP_LENGTH
        return forward, turn


def expect_part(policy: str, part: str, envs: gym.vector.VectorEnv) -> None:
    """Check that observations contain ``part``.

    Raises:
        InvalidOptionError: they do not.
    """
    parts = getattr(envs.single_observation_space, "spaces", None) or {}
    if part not in parts:
        raise InvalidOptionError(
            f"{policy}: expected observations with {part}, got {envs.single_observation_space}"
        )
