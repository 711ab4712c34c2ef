"""Filters that drop unusable episodes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mgenv.camera import MOTION_NAMES
from mgenv.config import option, settings
from mgenv.data.buttons import contradiction, has_buttons
from mgenv.data.episode import Episode

SLACK = np.array([0.05, 0.05, 0.05 + 0.16, 0.05, 0.05], np.float32)
"""How much of a motion [m, m, m, rad, rad] nobody need have asked for. Steps lift and lower a level
robot by up to 0.156 m a tick, and whoever asks for height too."""


@settings
class FilterConfig:
    """Thresholds above which an episode is dropped, and counted."""

    stuck: float = option(0.5, "share of ticks at which a move was asked for and nothing happened")
    static: float = option(0.8, "share of ticks at which the picture stays the same")
    dark: float = option(0.5, "share of pictures whose mean is below darkness")
    darkness: float = option(10.0, "mean of a dark picture, of 255")
    jump: float = option(1.0, "distance from one tick to the next [m]")
    turn: float = option(1.2, "rotation from one tick to the next [rad]")
    disagree: float = option(
        0.1, "share of ticks at which action and motion differ or, in games, contradict each other"
    )


def first_fault(episode: Episode, config: FilterConfig) -> str | None:
    """The name of the first filter that drops an episode, or None."""
    for name, wrong in FILTERS.items():
        if wrong(episode, config):
            return name
    return None


def is_broken(episode: Episode, config: FilterConfig) -> bool:
    """Poses jump farther than anything walks or turns in a tick."""
    motion = np.abs(episode.motion[:-1])
    far = np.linalg.norm(motion[:, :3], axis=1) > config.jump
    return bool((far | (motion[:, 3:] > config.turn).any(1)).any())


def is_dark(episode: Episode, config: FilterConfig) -> bool:
    """Too little light in too many pictures."""
    light = episode.rgb.reshape(len(episode), -1).mean(1)
    return bool((light < config.darkness).mean() > config.dark)


def is_stuck(episode: Episode, config: FilterConfig) -> bool:
    """A move was asked for at too many ticks, and nothing happened."""
    asked, done = (_moves(part[:-1]) for part in (episode.action, episode.motion))
    return bool((asked & ~done).mean() > config.stuck) if len(episode) > 1 else False


def is_static(episode: Episode, config: FilterConfig) -> bool:
    """The picture hardly ever changes."""
    if len(episode) < 2:
        return True
    change = np.abs(np.diff(episode.rgb.astype(np.int16), axis=0)).reshape(len(episode) - 1, -1)
    return bool((change.mean(1) < 0.25).mean() > config.static)


def disagrees(episode: Episode, config: FilterConfig) -> bool:
    """Action and motion differ at too many ticks, though nothing was in the way.

    Actions that are motions, the engine's and those of robots, must be what happens up to
    ``SLACK``; games' buttons (:mod:`mgenv.data.buttons`) must not be contradicted by it. Others are
    not compared.
    """
    if episode.action_names != MOTION_NAMES:
        return has_buttons(episode) and contradiction(episode) > config.disagree
    free = ~episode.bumped[:-1]
    off = np.abs(episode.action[:-1] - episode.motion[:-1]) > SLACK
    return bool((off.any(1) & free).mean() > config.disagree) if len(free) else False


FILTERS: dict[str, Callable[[Episode, FilterConfig], bool]] = {
    "pose jumps": is_broken,
    "too dark": is_dark,
    "stuck": is_stuck,
    "static": is_static,
    "action and pose disagree": disagrees,
}
"""In the order in which they are asked."""


def _moves(steps: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.any(np.abs(steps) > 0.01, axis=1)
