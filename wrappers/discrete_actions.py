"""A number for each of the robot's moves, for algorithms that choose among actions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array
from numpy.typing import NDArray

from mgenv.envs.sb3_hint import WithSB3Hint
from mgenv.errors import InvalidActionError, InvalidOptionError, UnknownNameError
from mgenv.robots import Robot


class DiscreteActions(gym.ActionWrapper, RecordConstructorArgs):
    """Discrete actions for a single environment.

    Args:
        env: an environment of this package.
        moves: names of the moves in the order of their numbers; all of the robot's where None.

    Raises:
        UnknownNameError: the robot has no move of that name.

    Example:
        >>> import gymnasium as gym, mgenv
        >>> env = gym.make("mgenv/PointNav-v0", world="engine")
        >>> DiscreteActions(env, moves=["forward", "turn_left", "turn_right"]).action_space
        Discrete(3)
    """

    def __init__(self, env: gym.Env, moves: Sequence[str] | None = None) -> None:
        RecordConstructorArgs.__init__(self, moves=moves)
        super().__init__(env)
        self._actions = choose_moves(env.get_wrapper_attr("robot"), moves)
        self.action_space = spaces.Discrete(len(self._actions))

    def action(self, action: Any) -> Any:
        """The robot's action of move number ``action``."""
        return self._actions[int(check_numbers(action, (), len(self._actions)))]


class VectorDiscreteActions(gym.vector.VectorActionWrapper, metaclass=WithSB3Hint):
    """Discrete actions for a vector environment, see :class:`DiscreteActions`."""

    def __init__(self, env: gym.vector.VectorEnv, moves: Sequence[str] | None = None) -> None:
        super().__init__(env)
        base: Any = env.unwrapped
        self._actions = choose_moves(base.robot, moves)
        self.single_action_space = spaces.Discrete(len(self._actions))
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def actions(self, actions: Any) -> Any:
        """The robots' actions of moves number ``actions`` (N,)."""
        numbers = check_numbers(actions, (self.num_envs,), len(self._actions))
        space = self.env.single_action_space
        chosen = [self._actions[number] for number in numbers]
        return concatenate(space, chosen, create_empty_array(space, self.num_envs))


def choose_moves(robot: Robot, names: Sequence[str] | None) -> list[Any]:
    """The robot's actions of the moves called ``names``."""
    if names is not None and len(names) == 0:
        raise InvalidOptionError("moves: expected at least one, got none")
    for name in names or ():
        if name not in robot.moves:
            raise UnknownNameError(f"move of {robot.name}", name, robot.moves)
    return [robot.moves[name] for name in names or robot.moves]


def check_numbers(values: Any, shape: tuple[int, ...], count: int) -> NDArray[np.int64]:
    """``values`` as an array of ``shape`` of move numbers below ``count``.

    Raises:
        InvalidActionError: it is something else.
    """
    numbers = np.asarray(values)
    if numbers.dtype.kind not in "iu" or numbers.shape != shape:
        raise InvalidActionError(
            f"action: expected integers of shape {shape}, got {numbers.dtype} {numbers.shape}"
        )
    if ((numbers < 0) | (numbers >= count)).any():
        raise InvalidActionError(f"action: expected 0 … {count - 1}, got {numbers.tolist()}")
    return numbers.astype(np.int64)
