"""What makes one episode: enough to play it again, in every world that knows the place."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from mgenv.errors import InvalidOptionError

DIFFICULTIES = ("easy", "medium", "hard")
EASY, HARD = 1.1, 1.5

MAX_SEED = 2**63
"""Seeds and world ids are below it."""


def difficulty_of(geodesic: float, straight: float) -> str:
    """How much longer the way along the floor is than the straight line.

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
        world_id: where.
        start: x, y, z [m] of the camera, yaw [rad].
        goal: x, y [m], yaw [rad]; that of the start where the task has none.
        difficulty: ``"easy"``, ``"medium"`` or ``"hard"``, see :func:`difficulty_of`.
        geodesic: the way from start to goal along the floor [m].
        straight: the straight line [m].
        seed: what is random within the episode (noise of sensors) follows from it.
        goal_frame: index of the place's frame that is the goal picture, -1 where there is none.
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
        """Plain values, as JSON keeps them."""
        return asdict(self) | {"start": list(self.start), "goal": list(self.goal)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Episode:
        """From :meth:`as_dict`.

        Raises:
            InvalidOptionError: a value is missing, unknown, or not what it should be.
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
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value < MAX_SEED:
        raise InvalidOptionError(
            f"episode: expected {name} an integer of {low} … 2⁶³ - 1, got {value!r}"
        )
    return value


def _numbers(name: str, values: Any, count: int) -> tuple[Any, ...]:
    good = isinstance(values, (list, tuple)) and len(values) == count
    most = sys.float_info.max
    if not good or not all(isinstance(v, (int, float)) and -most <= v <= most for v in values):
        raise InvalidOptionError(
            f"episode: expected {count} finite numbers for {name}, got {values!r}"
        )
    return tuple(float(value) for value in values)
