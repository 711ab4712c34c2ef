"""Consistency of games' buttons with the motion that followed.

Walls stop a body, momentum carries it on and doors take time to open, so a missing motion says
little. A tick is evidence if the body clearly moves, on its feet, without contact, and no slower
than momentum alone would carry it. Diagonal motion is evidence only at full speed, since a slower
body may slide along a wall. Such a tick contradicts the buttons if the motion opposes a held button
or turns without one, and if the buttons of the tick before do not explain it.

Legend: T ticks; the 3 axes are forward [m], left [m] and turn [rad, left positive].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mgenv.data.actions import FALLS
from mgenv.data.episode import Episode

FORWARD, LEFT, TURN = range(3)
BUTTONS = {
    "forward": (FORWARD, 1), "move_forward": (FORWARD, 1),
    "back": (FORWARD, -1), "backward": (FORWARD, -1), "move_backward": (FORWARD, -1),
    "left": (LEFT, 1), "strafe_left": (LEFT, 1), "move_left": (LEFT, 1),
    "right": (LEFT, -1), "strafe_right": (LEFT, -1), "move_right": (LEFT, -1),
    "turn": (TURN, 1), "turn_left": (TURN, 1), "turn_right": (TURN, -1),
}  # fmt: skip
"""Known action names, each with its axis and sign."""
CLEAR = np.array([0.02, 0.02, 0.005])
"""Least motion per axis, in metres and radians per tick."""
HELD = 0.01
"""Press threshold, as a fraction of the range."""
CARRIES = 0.98
"""Share of the last tick's motion above which momentum alone does not explain a motion."""
SPEED = 0.8
"""Share of the top diagonal speed that counts as full speed; a slide reaches 0.71 of it."""
FEWEST = 4
"""Least contradicting ticks of an axis; fewer are ignored."""


def has_buttons(episode: Episode) -> bool:
    """Whether any action is a known button."""
    return any(name in BUTTONS for name in episode.action_names)


def contradiction(episode: Episode) -> float:
    """Share of evidence that contradicts the buttons, on the axis where it is largest.

    Returns:
        In [0, 1]; 0 where no button is known, or too few ticks contradict any axis.
    """
    if len(episode) < 3:
        return 0.0
    held, known = _held(episode)
    done = episode.motion[:-1, [0, 1, 3]]
    tells = _tells(episode, held, done) & known
    against = tells & (np.sign(done) != held)
    against[1:] &= np.sign(done[1:]) != held[:-1]  # buttons held before may still act
    counts = against.sum(0)
    shares = counts / np.maximum(tells.sum(0), 1)
    return float(shares[counts >= FEWEST].max(initial=0.0))


def _held(episode: Episode) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Held sides, -1, 0 or 1: (T - 1, 3), and whether each axis has buttons: (3,)."""
    held, known = np.zeros((len(episode) - 1, 3)), np.zeros(3, bool)
    for name, column in zip(episode.action_names, episode.action[:-1].T, strict=True):
        if name in BUTTONS:
            axis, sign = BUTTONS[name]
            held[:, axis] += sign * column
            known[axis] = True
    return np.sign(held) * (np.abs(held) > HELD), known


def _tells(
    episode: Episode, held: NDArray[np.float64], done: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Which motions are evidence: (T - 1, 3)."""
    before = _before(episode)
    tells = (np.abs(done) > CLEAR) & (done * np.sign(before) < 0)
    tells |= (np.abs(done) > CLEAR) & (np.abs(done) >= CARRIES * np.abs(before))
    free = ~episode.bumped[:-1]
    free[1:] &= ~episode.bumped[:-2]
    free[0] = False  # the velocity before is unknown
    tells &= free[:, None]
    walks = episode.motion[:-1, 2] > -FALLS
    walks &= _at_speed(held, done)
    tells[:, :TURN] &= walks[:, None] & (held[:, :TURN] != 0)  # lifts and belts also move a body
    return tells


def _at_speed(held: NDArray[np.float64], done: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where diagonal motion has full speed, or only one axis is held: (T - 1,)."""
    aslant = (held[:, :TURN] != 0).all(1)
    aslant[1:] |= (held[:-1, :TURN] != 0).all(1)
    speed = np.linalg.norm(done[:, :TURN], axis=1)
    top = np.percentile(speed[aslant], 90) if aslant.any() else 0.0
    return ~aslant | (speed > SPEED * top)


def _before(episode: Episode) -> NDArray[np.float64]:
    """The motion that led to each tick, along the heading there: (T - 1, 3); the first is 0."""
    pose = episode.pose.astype(np.float64)
    step = np.diff(pose[:-1, :2, 3], axis=0)  # (T - 2, 2)
    yaw = np.arctan2(pose[1:-1, 1, 2], pose[1:-1, 0, 2])
    cos, sin = np.cos(yaw), np.sin(yaw)
    before = np.zeros((len(pose) - 1, 3))
    before[1:, FORWARD] = step[:, 0] * cos + step[:, 1] * sin
    before[1:, LEFT] = step[:, 1] * cos - step[:, 0] * sin
    before[1:, TURN] = episode.motion[:-2, 3]
    return before
