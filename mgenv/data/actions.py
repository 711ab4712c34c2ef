"""Actions inferred from poses, for games that do not report them: eight directions, and turns.

The velocity of a player is a share of the last velocity plus what the held keys add:

    key[t] = displacement[t] - momentum · displacement[t - 1],

along the heading. The momentum is the one under which keys change least often. Poses do not
determine everything. Pushing a wall looks like standing, sliding along a wall looks like walking
that way, and a fall overrides the keys. Such ticks are marked as unsure and keep the last sure
direction.

Legend: T ticks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mgenv.data.motions import motions_of

DIRECTIONS = (
    "none",
    "forward",
    "forward left",
    "left",
    "back left",
    "back",
    "back right",
    "right",
    "forward right",
)
MOMENTA = (0.0, *np.arange(0.5, 0.96, 0.005).round(4).tolist(), 0.90625)
"""Candidates; the last is that of Doom and its descendants."""
PHASES = (0.0, 1.0)
"""Candidates for the heading along which keys act: before a tick's turn, or after it."""
CLEARLY = 0.8
"""Factor by which keys must be nearer to eight directions for the second phase to be chosen."""
NONE = 0.35
"""Press threshold, as a fraction of the usual strength."""
FIT = 0.04
"""Tolerance of the strength of held keys in games with digital keys, as a fraction of it."""
HELD = 0.03
"""Change of a held key that is noise, as a fraction of the usual strength."""
DIGITAL = 0.5
"""Least share of fitting ticks with held keys for a game to count as digital."""
EIGHTH = math.pi / 4
BUTTON_NAMES = ("forward", "left", "turn")
"""Of the columns of :func:`infer_buttons`."""
STANDS = 1e-4
"""Largest step of a player who stands, in metres per tick."""
LEAST_TURN = 2e-3
"""Least turn, in radians per tick."""
FALLS = 5e-3
"""Least descent of a fall, in metres per tick."""


@dataclass(frozen=True)
class Actions:
    """Inferred actions.

    Attributes:
        direction: int (T,), an index into :data:`DIRECTIONS`; the last tick is 0.
        turn: int (T,), 1 left, -1 right, 0 neither; the last tick is 0.
        sure: bool (T,), whether the poses determine the direction; elsewhere the last sure one.
        momentum: share of the velocity that is kept from tick to tick.
    """

    direction: NDArray[np.int64]
    turn: NDArray[np.int64]
    sure: NDArray[np.bool_]
    momentum: float


def infer_actions(
    pose: NDArray[np.float32],
    momentum: float | None = None,
    bumped: NDArray[np.bool_] | None = None,
) -> Actions:
    """Infer the actions of a player who moved a camera along ``pose`` (T, 4, 4).

    Args:
        momentum: share of the velocity that is kept from tick to tick; estimated by default.
        bumped: bool (T,), ticks whose motion an obstacle is known to have shortened.
    """
    steps, yaw, turns, climbs = _travel(pose)
    if momentum is None:
        momentum = _find_momentum(steps, yaw, turns)
    before, after = (_keys(steps, yaw + phase * turns, momentum) for phase in PHASES)
    keys = after if _slant(after) < CLEARLY * _slant(before) else before  # (T - 1, 2)
    sure = _tells(keys, steps, climbs)
    if momentum > 0 and len(sure):
        sure[0] = False  # how fast it was before is not known
    if bumped is not None:
        sure &= ~bumped[:-1]
    direction = _carried(_octant(keys), sure)
    last = np.zeros(1, np.int64)
    return Actions(
        direction=np.concatenate([direction, last]),
        turn=np.concatenate([_sides(turns), last]),
        sure=np.concatenate([sure, [True]]),
        momentum=momentum,
    )


def infer_buttons(pose: NDArray[np.float32]) -> NDArray[np.float32]:
    """Buttons (T, 3) in {-1, 0, 1}, see :data:`BUTTON_NAMES`, from poses (T, 4, 4)."""
    actions = infer_actions(pose)
    angle = EIGHTH * (actions.direction - 1)
    walk = np.round([np.cos(angle), np.sin(angle)]) * (actions.direction > 0)
    return np.stack([*walk, actions.turn], -1).astype(np.float32)


def direction_of(forward: NDArray, left: NDArray, none: float = NONE) -> NDArray[np.int64]:
    """Direction of keys (T,) of full strength 1.

    Example:
        >>> [DIRECTIONS[i] for i in direction_of(np.array([1, 0, 0]), np.array([-1, 1, 0]))]
        ['forward right', 'left', 'none']
    """
    octant = np.round(np.arctan2(left, forward) / EIGHTH).astype(np.int64) % 8
    return np.where(np.hypot(forward, left) < none, 0, 1 + octant)


def _travel(pose: NDArray[np.float32]) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Steps (T - 1, 2) in the world [m], headings before them, turns [rad] and climbs [m]."""
    place = pose.astype(np.float64)
    motion = motions_of(pose).astype(np.float64)[:-1]
    yaw = np.arctan2(place[:-1, 1, 2], place[:-1, 0, 2])
    return np.diff(place[:, :2, 3], axis=0), yaw, motion[:, 3], motion[:, 2]


def _keys(steps: NDArray, heading: NDArray, momentum: float) -> NDArray:
    """Velocity added by the keys, forward and left: (T - 1, 2)."""
    before = np.concatenate([np.zeros((1, 2)), steps[:-1]])
    added = steps - momentum * before
    cos, sin = np.cos(heading), np.sin(heading)
    forward = added[:, 0] * cos + added[:, 1] * sin
    return np.stack([forward, added[:, 1] * cos - added[:, 0] * sin], -1)


def _find_momentum(steps: NDArray, yaw: NDArray, turns: NDArray) -> float:
    """The momentum under which keys change least."""
    return min(
        (_restlessness(_keys(steps, yaw + phase * turns, momentum)), momentum)
        for momentum in MOMENTA
        for phase in PHASES
    )[1]


def _slant(keys: NDArray) -> float:
    """Median angle between keys and the nearest of the eight directions [rad]."""
    held = keys[np.linalg.norm(keys, axis=1) > STANDS]
    angles = np.arctan2(held[:, 1], held[:, 0])
    off = np.abs(angles - np.round(angles / EIGHTH) * EIGHTH)
    return float(np.median(off)) if len(off) else 0.0


def _restlessness(keys: NDArray) -> float:
    """The share of ticks in which keys change by more than a few hundredths of their strength."""
    changes = np.linalg.norm(np.diff(keys[1:], axis=0), axis=1)
    if not len(changes):
        return 0.0
    relative = changes / _strength(np.linalg.norm(keys, axis=1))
    return float((relative / (relative + HELD)).mean())


def _strength(sizes: NDArray) -> float:
    """Median of the sizes that are not noise."""
    held = sizes[sizes > STANDS]
    if not len(held):
        return 1.0
    held = held[held > NONE * np.median(held)]
    return float(np.median(held))


def _octant(keys: NDArray) -> NDArray[np.int64]:
    strength = _strength(np.linalg.norm(keys, axis=1))
    return direction_of(keys[:, 0] / strength, keys[:, 1] / strength)


def _tells(keys: NDArray, steps: NDArray, climbs: NDArray) -> NDArray[np.bool_]:
    """Ticks at which poses determine the keys: bool (T - 1,)."""
    fits = _fits(keys)
    sizes = np.linalg.norm(keys, axis=1)
    held = sizes > NONE * _strength(sizes)
    digital = bool(held.any()) and fits[held].mean() > DIGITAL
    sure = (fits | (not digital)) & (climbs > -FALLS)
    if not digital:
        return sure
    still = np.linalg.norm(steps, axis=1) < STANDS
    for t in range(1, len(sure)):  # who touched a wall and stands may still press
        sure[t] &= sure[t - 1] or not still[t]
    return sure


def _fits(keys: NDArray) -> NDArray[np.bool_]:
    """Whether each axis is at rest or at its strength, alone or shared with the other's."""
    good = np.ones(len(keys), bool)
    both = _strength(np.abs(keys).max(1))
    for axis in np.abs(keys).T:
        held = axis[axis > 0.5 * both]
        strength = float(np.median(held)) if len(held) > 2 else both
        levels = np.array([0.0, math.sqrt(0.5), 1.0]) * strength
        good &= np.abs(axis[:, None] - levels).min(1) < FIT * strength
    return good


def _carried(direction: NDArray[np.int64], sure: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Directions; uncertain ones are replaced by the last certain one (or the first)."""
    if not sure.any():
        return direction
    last = np.maximum.accumulate(np.where(sure, np.arange(len(sure)), -1))
    return direction[np.where(last < 0, sure.argmax(), last)]


def _sides(turns: NDArray) -> NDArray[np.int64]:
    """The side of each turn that is one."""
    return (np.sign(turns) * (np.abs(turns) > LEAST_TURN)).astype(np.int64)
