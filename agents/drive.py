"""Converts forward and turn speeds of scripted policies into actions of any robot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from mgenv.errors import InvalidOptionError
from mgenv.robots import STEP_ANGLE, STEP_LENGTH

STOP = "stop"
"""Name of the move that ends an episode; not all robots have it."""


class Drive:
    """Turns speeds into a robot's actions.

    Args:
        envs: whose robot acts.

    Attributes:
        stops: whether the robot has a move that ends the episode.

    Raises:
        InvalidOptionError: the actions are not the robot's own (a wrapper changed them).
    """

    def __init__(self, envs: gym.vector.VectorEnv) -> None:
        base: Any = envs.unwrapped
        if envs.single_action_space != base.single_action_space:
            raise InvalidOptionError(
                f"Expected the robot's own actions, {base.single_action_space}; "
                f"got {envs.single_action_space}."
            )
        self._moves = base.robot.moves
        self.stops = STOP in self._moves

    def __call__(
        self,
        forward: NDArray[np.float64],
        turn: NDArray[np.float64],
        stop: NDArray[np.bool_] | None = None,
    ) -> Any:
        """Actions (N, …).

        Args:
            forward: (N,) in [-1, 1], 1 for full speed ahead.
            turn: (N,) in [-1, 1], 1 for full speed to the left.
            stop: bool (N,), who ends the episode, where the robot can; nobody where None.
        """
        actions = _mix(self._moves["forward"], self._moves["turn_left"], forward, turn)
        if stop is None or not self.stops:
            return actions
        return _put(actions, self._moves[STOP], stop)


def towards(
    distance: NDArray[np.float64], bearing: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Forward and turn speeds, (N,) each, towards a point at ``distance`` [m], ``bearing`` [rad].

    Turns on the spot while the bearing exceeds the turn of two steps.
    """
    ahead = np.abs(bearing) <= 2 * STEP_ANGLE
    forward = np.where(ahead, np.clip(distance / STEP_LENGTH, 0.0, 1.0), 0.0)
    return forward, np.clip(bearing / STEP_ANGLE, -1.0, 1.0)


def _mix(ahead: Any, left: Any, forward: NDArray[Any], turn: NDArray[Any]) -> Any:
    """Mix ``forward`` of one action and ``turn`` of another; press threshold of keys: 0.25.

    Components that are equal in both actions (such as "no stop") are copied.
    """
    if isinstance(ahead, Mapping):
        return {name: _mix(ahead[name], left[name], forward, turn) for name in ahead}
    parts = np.multiply.outer(forward, ahead) + np.multiply.outer(turn, left)  # (N, …)
    parts = np.where(ahead == left, ahead, parts)
    return (np.abs(parts) >= 0.25 if ahead.dtype.kind in "iu" else parts).astype(ahead.dtype)


def _put(actions: Any, move: Any, where: NDArray[np.bool_]) -> Any:
    if isinstance(actions, Mapping):
        return {name: _put(actions[name], move[name], where) for name in actions}
    actions[where] = move
    return actions
