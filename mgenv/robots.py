"""Robots: an action space and how an action becomes a camera motion.

A motion is (forward, left, up [m], yaw [rad, left +], pitch [rad, up +]), see
:mod:`mgenv.camera`. Full scale is 0.25 m and 15° a step for every robot; a diagonal is no
faster than a straight line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from mgenv.camera import MOTION_SIZE
from mgenv.errors import InvalidActionError, InvalidOptionError
from mgenv.registry import Registry

STEP_LENGTH = 0.25
"""Longest translation in a step, in metres."""

STEP_ANGLE = math.radians(15.0)
"""Largest turn in a step."""

MOUSE_DEAD_ZONE = 0.02
"""Smaller mouse movements do nothing (as in Matrix-Game 3.0)."""

TOLERANCE = 1e-5
"""Tolerance of action bounds, for rounding errors."""

FORWARD, LEFT, UP, YAW, PITCH = range(MOTION_SIZE)
SCALE = np.array([STEP_LENGTH] * 3 + [STEP_ANGLE] * 2)


class Robot(Protocol):
    """An action space and its meaning.

    Attributes:
        name: its name in ``make_robot``.
        action_space: of one robot.
        moves: named actions for discrete control, e.g. ``{"forward": …, "turn_left": …}``.
    """

    @property
    def name(self) -> str: ...

    @property
    def action_space(self) -> spaces.Space: ...

    @property
    def moves(self) -> dict[str, Any]: ...

    def motion(self, actions: Any, batch: tuple[int, ...] = ()) -> NDArray[np.float32]:
        """Camera motions (*batch, 5) of the actions.

        Args:
            actions: actions with leading axes ``batch``.
            batch: ``(num_envs,)`` for batched actions, ``()`` for one.

        Raises:
            InvalidActionError: wrong shape or type, out of range, or not finite.
        """
        ...

    def stops(self, actions: Any, batch: tuple[int, ...] = ()) -> NDArray[np.bool_]:
        """Which of the (valid) actions end the episode: bool (*batch,)."""
        ...


class NeverStopping:
    """Base of robots whose actions never end an episode."""

    def stops(self, actions: Any, batch: tuple[int, ...] = ()) -> NDArray[np.bool_]:
        """All False: bool (*batch,)."""
        return np.zeros(batch, bool)


@dataclass(frozen=True)
class AxesRobot(NeverStopping):
    """A robot whose action is one number in [-1, 1] per component of its motion.

    Attributes:
        axes: which components of the motion the action holds, in order.
        moves: named actions.

    Example:
        >>> make_robot("differential").motion([1.0, 0.0]).round(2).tolist()
        [0.25, 0.0, 0.0, 0.0, 0.0]
    """

    name: str
    axes: tuple[int, ...]
    moves: dict[str, Any]

    @property
    def action_space(self) -> spaces.Box:
        return spaces.Box(-1.0, 1.0, (len(self.axes),), np.float32)

    def motion(self, actions: Any, batch: tuple[int, ...] = ()) -> NDArray[np.float32]:
        values = check_numbers("action", actions, (*batch, len(self.axes)), -1.0, 1.0)
        full = np.zeros((*batch, MOTION_SIZE))
        full[..., self.axes] = values
        return scale(full)


@dataclass(frozen=True)
class KeyboardMouseRobot(NeverStopping):
    """W S A D and a mouse: the action set of the public Matrix-Game models.

    ``keyboard`` holds 0 or 1 for W, S, A, D; opposite keys cancel. ``mouse`` is (up, right) in
    [-1, 1], 15° a step at full scale, with a dead zone of 0.02.
    """

    name: str = "keyboard_mouse"

    @property
    def action_space(self) -> spaces.Dict:
        mouse = spaces.Box(-1.0, 1.0, (2,), np.float32)
        return spaces.Dict({"keyboard": spaces.MultiBinary(4), "mouse": mouse})

    @property
    def moves(self) -> dict[str, Any]:
        keys = {"forward": 0, "back": 1, "left": 2, "right": 3}
        moves = {name: _press(key, (0.0, 0.0)) for name, key in keys.items()}
        turns = {"turn_left": (0, -1), "turn_right": (0, 1)}
        looks = {"look_up": (1, 0), "look_down": (-1, 0)}
        return moves | {name: _press(None, mouse) for name, mouse in (turns | looks).items()}

    def motion(self, actions: Any, batch: tuple[int, ...] = ()) -> NDArray[np.float32]:
        if not isinstance(actions, Mapping) or set(actions) != {"keyboard", "mouse"}:
            got = sorted(actions) if isinstance(actions, Mapping) else type(actions).__name__
            raise InvalidActionError(f"action: expected a dict with keyboard and mouse, got {got}")
        keys = check_numbers("keyboard", actions["keyboard"], (*batch, 4), 0.0, 1.0)
        if not np.isin(keys, (0.0, 1.0)).all():
            raise InvalidActionError(f"keyboard: expected 0 or 1, got {keys.tolist()}")
        mouse = check_numbers("mouse", actions["mouse"], (*batch, 2), -1.0, 1.0)
        mouse = np.where(np.abs(mouse) < MOUSE_DEAD_ZONE, 0.0, mouse)
        full = np.zeros((*batch, MOTION_SIZE))
        full[..., FORWARD] = keys[..., 0] - keys[..., 1]
        full[..., LEFT] = keys[..., 2] - keys[..., 3]
        full[..., PITCH], full[..., YAW] = mouse[..., 0], -mouse[..., 1]
        return scale(full)


@dataclass(frozen=True)
class ChunkRobot:
    """A robot whose action is a chunk: one action of another robot per frame of a step.

    It stands still from the frame on in which it stops.

    Example:
        >>> robot = ChunkRobot(make_robot("differential"), frames=3)
        >>> robot.action_space.shape, robot.motion(np.zeros((3, 2))).shape
        ((3, 2), (3, 5))
    """

    robot: Robot
    frames: int

    @property
    def name(self) -> str:
        return self.robot.name

    @property
    def action_space(self) -> spaces.Space:
        return batch_space(self.robot.action_space, self.frames)

    @property
    def moves(self) -> dict[str, Any]:
        def hold(part: NDArray) -> NDArray:
            return np.repeat(part[None], self.frames, 0)

        return {name: _map(hold, action) for name, action in self.robot.moves.items()}

    def motion(self, actions: Any, batch: tuple[int, ...] = ()) -> NDArray[np.float32]:
        every = (*batch, self.frames)
        motions = self.robot.motion(actions, every)  # (*batch, frames, 5)
        stopped = np.logical_or.accumulate(self.robot.stops(actions, every), -1)
        return np.where(stopped[..., None], np.float32(0.0), motions)

    def stops(self, actions: Any, batch: tuple[int, ...] = ()) -> NDArray[np.bool_]:
        return np.asarray(self.robot.stops(actions, (*batch, self.frames)).any(-1))


@dataclass(frozen=True)
class StoppingRobot:
    """A robot with a stop action, which ends the episode (as in Habitat) without motion.

    Box actions get one more component, which stops where it is above 0; Dict actions get the key
    ``stop``, 0 or 1.

    Example:
        >>> robot = StoppingRobot(make_robot("differential"))
        >>> robot.stops([1.0, 0.0, 0.5]).item(), robot.motion([1.0, 0.0, 0.5]).any().item()
        (True, False)
    """

    robot: Robot

    @property
    def name(self) -> str:
        return self.robot.name

    @property
    def action_space(self) -> spaces.Space:
        inner = self.robot.action_space
        if isinstance(inner, spaces.Dict):
            return spaces.Dict({**inner.spaces, "stop": spaces.MultiBinary(1)})
        assert isinstance(inner, spaces.Box) and inner.shape is not None
        return spaces.Box(-1.0, 1.0, (inner.shape[0] + 1,), np.float32)

    @property
    def moves(self) -> dict[str, Any]:
        inner = self.robot.moves
        moves = {name: _with_stop(action, False) for name, action in inner.items()}
        return moves | {"stop": _with_stop(_map(np.zeros_like, next(iter(inner.values()))), True)}

    def motion(self, actions: Any, batch: tuple[int, ...] = ()) -> NDArray[np.float32]:
        own, stop = self._parts(actions, batch)
        return np.where(stop[..., None], np.float32(0.0), self.robot.motion(own, batch))

    def stops(self, actions: Any, batch: tuple[int, ...] = ()) -> NDArray[np.bool_]:
        return self._parts(actions, batch)[1]

    def _parts(self, actions: Any, batch: tuple[int, ...]) -> tuple[Any, NDArray[np.bool_]]:
        """The inner robot's actions, and which of them stop (*batch,)."""
        if isinstance(self.robot.action_space, spaces.Dict):
            if not isinstance(actions, Mapping) or "stop" not in actions:
                got = sorted(actions) if isinstance(actions, Mapping) else type(actions).__name__
                raise InvalidActionError(f"action: expected a dict with the key stop, got {got}")
            own = {name: value for name, value in actions.items() if name != "stop"}
            keys = check_numbers("stop", actions["stop"], (*batch, 1), 0.0, 1.0)
            return own, keys[..., 0] > 0.0
        shape = (*batch, self.action_space.shape[-1])  # type: ignore[index]
        values = check_numbers("action", actions, shape, -1.0, 1.0)
        return values[..., :-1], values[..., -1] > 0.0


def scale(full: NDArray[np.float64]) -> NDArray[np.float32]:
    """Metres and radians from components in [-1, 1]; diagonals are no longer than STEP_LENGTH."""
    length = np.linalg.norm(full[..., :3], axis=-1, keepdims=True)
    full[..., :3] /= np.maximum(length, 1.0)
    return (full * SCALE).astype(np.float32)


def check_numbers(
    name: str, values: Any, shape: tuple[int, ...], low: float, high: float
) -> NDArray[np.float64]:
    """``values`` as a float64 array, clipped to ``[low, high]``.

    Raises:
        InvalidActionError: wrong shape or type, out of range, or not finite.
    """
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise InvalidActionError(f"{name}: expected numbers of shape {shape}; {error}") from error
    if array.dtype.kind not in "fiub":
        raise InvalidActionError(f"{name}: expected numbers, got {array.dtype}")
    if array.shape != shape:
        raise InvalidActionError(f"{name}: expected shape {shape}, got {array.shape}")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise InvalidActionError(f"{name}: expected finite numbers, got {array.tolist()}")
    if (array < low - TOLERANCE).any() or (array > high + TOLERANCE).any():
        raise InvalidActionError(f"{name}: expected [{low}, {high}], got {array.tolist()}")
    return array.clip(low, high)


def make_robot(robot: str | Robot | type[Robot]) -> Robot:
    """A robot by name, as ``package.module:Class``, a class or an object.

    Raises:
        UnknownNameError: no such name.
        InvalidOptionError: the object lacks a part of the protocol.
    """
    found = ROBOTS.resolve(robot)
    made = found() if isinstance(found, type) else found
    for name in ("name", "action_space", "motion", "stops"):
        if not hasattr(made, name):
            raise InvalidOptionError(f"robot: expected a name or one with {name}; got {robot!r}")
    return made


def _press(key: int | None, mouse: tuple[float, float]) -> dict[str, NDArray]:
    keyboard = np.zeros(4, np.int8)
    if key is not None:
        keyboard[key] = 1
    return {"keyboard": keyboard, "mouse": np.array(mouse, np.float32)}


def _map(change: Callable[[NDArray], NDArray], action: Any) -> Any:
    """Apply ``change`` to an array action, or to each part of a dict action."""
    if isinstance(action, Mapping):
        return {name: change(part) for name, part in action.items()}
    return change(action)


def _with_stop(action: Any, stop: bool) -> Any:
    if isinstance(action, Mapping):
        return {**action, "stop": np.array([stop], np.int8)}
    return np.append(action, np.float32(1.0 if stop else -1.0))


def _axes_robot(name: str, *axes: int) -> AxesRobot:
    """A robot of the given axes; its moves are full deflections, named by direction."""
    directions = {
        FORWARD: ("forward", "back"),
        LEFT: ("left", "right"),
        UP: ("up", "down"),
        YAW: ("turn_left", "turn_right"),
        PITCH: ("look_up", "look_down"),
    }
    moves = {}
    for index, axis in enumerate(axes):
        for sign, direction in zip((1.0, -1.0), directions[axis], strict=True):
            action = np.zeros(len(axes), np.float32)
            action[index] = sign
            moves[direction] = action
    return AxesRobot(name, axes, moves)


ROBOTS = Registry(
    "robot",
    "mgenv.robots",
    {
        "differential": _axes_robot("differential", FORWARD, YAW),
        "holonomic": _axes_robot("holonomic", FORWARD, LEFT, YAW),
        "fpv": _axes_robot("fpv", FORWARD, LEFT, YAW, PITCH),
        "drone": _axes_robot("drone", FORWARD, LEFT, UP, YAW),
        "keyboard_mouse": KeyboardMouseRobot(),
    },
)
"""Robots by name; packages add theirs by entry points ``mgenv.robots``."""
