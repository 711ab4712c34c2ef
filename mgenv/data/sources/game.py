"""Unmodified games as sources: a game process, an agent that plays it, and what comes of them.

A game knows how to start, act and show; the agent knows only what a game shows; the source runs
both and knows neither's insides; datasets are written elsewhere (:mod:`mgenv.data.record`). A new
game is one class with the methods of :class:`Game`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mgenv.camera import Intrinsics
from mgenv.data.episode import Captions, Episode
from mgenv.data.motions import motions_of
from mgenv.data.sources.agent import WanderingAgent
from mgenv.data.sources.base import SourceOptions
from mgenv.data.sources.game_interface import Action, Observation
from mgenv.errors import ClosedError, DataError

ACTION_NAMES = ("forward", "left", "turn", "use")
LONGEST_STRIDE = 1.5
"""Metres a tick; whatever moves the camera further is a teleporter, not a walk."""
ATTEMPTS = 4
"""Most ticks to play, in multiples of the length of an episode."""


class Game(Protocol):
    """A game that can be played tick by tick.

    Attributes:
        intrinsics: of the pictures.
        labels: names of what segmentation tells apart.
        fps: ticks a second.
        levels: how many there are; None where there is no end.
    """

    intrinsics: Intrinsics
    labels: tuple[str, ...]
    fps: int
    levels: int | None

    def start(self, level: int, seed: int) -> Observation:
        """Begin ``level`` anew; the same level, seed and actions show the same, in any process.

        Raises:
            DataError: a file of the game is missing or damaged, or the game does not start.
        """
        ...

    def act(self, action: Action) -> Observation:
        """Play one tick."""
        ...

    def describe(self, level: int) -> str:
        """The level in words."""
        ...

    def close(self) -> None:
        """End the process."""
        ...


class Agent(Protocol):
    """Plays a game by what it shows."""

    def act(self, observation: Observation) -> Action:
        """What to do next."""
        ...


class GameSource:
    """Records an agent playing a game; a :class:`mgenv.data.sources.base.Source`."""

    count = None

    def __init__(
        self,
        name: str,
        game: Game,
        options: SourceOptions,
        make_agent: Callable[[np.random.Generator], Agent] = WanderingAgent,
    ) -> None:
        self.name = name
        self._game = game
        self._options = options
        self._make_agent = make_agent
        self._closed = False

    def record(self, number: int) -> Episode:
        """Episode ``number``: levels take turns, and every number is another walk.

        Raises:
            DataError: the game cannot be started, or ends before anything is seen.
            ClosedError: after :meth:`close`.
        """
        if self._closed:
            raise ClosedError(f"{self.name}: record after close")
        rng = np.random.default_rng([self._options.seed, number])
        levels = self._game.levels
        level = number if levels is None else number % levels
        first = self._game.start(level, int(rng.integers(2**31)))
        seen, asked = _play(self._game, self._make_agent(rng), first, self._options.episode_frames)
        if len(seen) < 2:
            raise DataError(f"{self.name} {number:06d}: expected a walk, but level {level} ended")
        return self._episode(seen, asked, level, number).check()

    def close(self) -> None:
        """End the game."""
        self._closed = True
        self._game.close()

    def _episode(
        self, seen: list[Observation], asked: list[Action], level: int, number: int
    ) -> Episode:
        pose = np.stack([o.pose for o in seen]).astype(np.float32)  # (T, 4, 4)
        motion = motions_of(pose)  # (T, 5)
        action = np.array([[a.forward, a.left, a.turn, a.use] for a in asked], np.float32)
        action[-1] = 0
        segmentation = _stacked([o.segmentation for o in seen])
        return Episode(
            rgb=np.stack([o.rgb for o in seen]),
            pose=pose,
            motion=motion,
            action=action,
            action_names=ACTION_NAMES,
            bumped=_bumps(seen, action, motion),
            depth=_stacked([o.depth for o in seen]),
            segmentation=segmentation,
            labels=self._game.labels if segmentation is not None else (),
            intrinsics=self._game.intrinsics,
            fps=self._game.fps,
            captions=Captions(scene=self._game.describe(level)),
            source=self.name,
            name=f"{number:06d}",
        )


def _play(
    game: Game, agent: Agent, first: Observation, frames: int
) -> tuple[list[Observation], list[Action]]:
    """``frames`` observations without a jump between them (fewer if the level ends), and actions.

    A jump begins the recording anew; the longest is kept.
    """
    seen: list[Observation] = [first]
    asked: list[Action] = [agent.act(first)]
    longest = (seen, asked)
    for _ in range(ATTEMPTS * frames):
        if len(longest[0]) == frames or first.over:
            break
        now = game.act(asked[-1])
        if now.over:
            break
        if np.linalg.norm(now.pose[:3, 3] - seen[-1].pose[:3, 3]) > LONGEST_STRIDE:
            seen, asked = [], []
        seen.append(now)
        asked.append(agent.act(now))
        if len(seen) >= len(longest[0]):
            longest = (seen, asked)
    return longest


def _stacked(pictures: list) -> NDArray | None:
    return None if any(p is None for p in pictures) else np.stack(pictures)


def _bumps(
    seen: list[Observation], action: NDArray[np.float32], motion: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Bumps (T,) at the tick whose motion they shortened.

    Where the game does not tell: whether the camera hardly moved when it was asked to.
    """
    bumped = np.zeros(len(seen), bool)
    if all(o.bumped is not None for o in seen[1:]):
        bumped[:-1] = [bool(o.bumped) for o in seen[1:]]
        return bumped
    asked, moved = np.linalg.norm(action[:, :2], axis=1), np.linalg.norm(motion[:, :2], axis=1)
    usual = np.median(moved[asked > 0]) if (asked > 0).any() else 0.0
    bumped[:-1] = ((asked > 0) & (moved < 0.25 * usual))[:-1]
    return bumped
