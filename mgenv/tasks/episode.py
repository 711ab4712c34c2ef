"""The description of one episode, from which every world that knows the place can replay it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from mgenv.errors import InvalidOptionError, check_integer

DIFFICULTIES = ("easy", "medium", "hard")
EASY, HARD = 1.1, 1.5
"""Ratios of geodesic to straight distance: easy below EASY, hard above HARD."""

MAX_SEED = 2**63
"""Upper bound of seeds and world ids, exclusive."""


def difficulty_of(geodesic: float, straight: float) -> str:
    """Difficulty from the ratio of the geodesic to the straight distance.

    Example:
        >>> difficulty_of(3.0, 2.9), difficulty_of(4.0, 3.0), difficulty_of(5.0, 2.0)
        ('easy', 'medium', 'hard')
    """
    ratio = geodesic / max(straight, 1e-6)
    return DIFFICULTIES[int(ratio >= EASY) + int(ratio > HARD)]


@dataclass(frozen=True)
class Episode:
    """One episode of a task.

    Attributes:
        world_id: the world.
        start: x, y, z [m] of the camera, yaw [rad].
        goal: x, y [m], yaw [rad]; the start's where the task has no goal.
        difficulty: ``"easy"``, ``"medium"`` or ``"hard"``, see :func:`difficulty_of`.
        geodesic: distance from start to goal along the floor [m].
        straight: straight-line distance [m].
        seed: of all random draws within the episode, such as sensor noise.
        goal_frame: index of the place's frame that is the goal picture; -1 for none.
    """

    world_id: int
    start: tuple[float, float, float, float]
    goal: tuple[float, float, float]
    difficulty: str
    geodesic: float
    straight: float
    seed: int
    goal_frame: int = -1

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"start": list(self.start), "goal": list(self.goal)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Episode:
        """From :meth:`as_dict`.

        Raises:
            InvalidOptionError: a value is missing, unknown or invalid.
        """
        known = [field.name for field in fields(cls)]
        if not isinstance(values, Mapping) or set(values) != set(known):
            got = sorted(values) if isinstance(values, Mapping) else type(values).__name__
            raise InvalidOptionError(f"episode: expected {known}, got {got}")
        if values["difficulty"] not in DIFFICULTIES:
            raise InvalidOptionError(
                f"episode: expected difficulty in {DIFFICULTIES}, got {values['difficulty']!r}"
            )
        return cls(
            _whole("world_id", values["world_id"], 0),
            _numbers("start", values["start"], 4),
            _numbers("goal", values["goal"], 3),
            values["difficulty"],
            *_numbers("geodesic, straight", [values["geodesic"], values["straight"]], 2),
            seed=_whole("seed", values["seed"], 0),
            goal_frame=_whole("goal_frame", values["goal_frame"], -1),
        )


def _whole(name: str, value: Any, low: int) -> int:
    try:
        return check_integer(name, value, low, MAX_SEED)
    except InvalidOptionError as error:
        raise InvalidOptionError(
            f"episode: expected {name} an integer of {low} … 2⁶³ - 1, got {value!r}"
        ) from error


def _numbers(name: str, values: Any, count: int) -> tuple[Any, ...]:
    good = isinstance(values, (list, tuple)) and len(values) == count
    most = sys.float_info.max
    if not good or not all(isinstance(v, (int, float)) and -most <= v <= most for v in values):
        raise InvalidOptionError(
            f"episode: expected {count} finite numbers for {name}, got {values!r}"
        )
    return tuple(float(value) for value in values)
