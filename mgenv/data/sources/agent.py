"""A wandering agent for games: runs, glances, pauses and returns.

It sees a game's depth if there is one, and where the camera is: it turns away from what is near,
notices when it is stuck, and now and then turns round and goes back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from mgenv.data.sources.game_interface import Action, Observation

NEAR = 2.0
"""Metres ahead at which it begins to turn away."""
STUCK_TICKS = 6
STILL = 0.02
"""Metres a tick below which it does not get on."""


@dataclass(frozen=True)
class Habit:
    """A thing to do for a while: an action with a share of the time and its range of ticks."""

    share: float
    ticks: tuple[int, int]
    forward: float = 0.0
    left: float = 0.0
    turn: float = 0.0


HABITS = (
    Habit(0.34, (12, 45), forward=1),
    Habit(0.16, (6, 20), forward=1, turn=1),
    Habit(0.10, (8, 25), forward=1, left=1),
    Habit(0.08, (8, 25), left=1),
    Habit(0.06, (8, 20), left=1, turn=-1),  # around a thing, looking at it
    Habit(0.14, (5, 20), turn=1),
    Habit(0.05, (3, 12)),
    Habit(0.04, (6, 18), forward=-1),
    Habit(0.03, (6, 14), forward=-1, left=1),
)


class WanderingAgent:
    """Draws what to do from its generator and what it sees; one agent, one walk."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._pace = float(rng.uniform(0.2, 0.55))
        """Of full turning speed, at which this one turns."""
        self._action = Action()
        self._left = int(rng.integers(1, 6))
        self._last: np.ndarray | None = None
        self._still = 0
        self._evades = False
        self._plan: list[tuple[int, Action]] = []

    def act(self, observation: Observation) -> Action:
        """What to do next."""
        self._feel(observation)
        if self._still >= STUCK_TICKS:
            self._plan, self._left, self._still = self._free_itself(observation), 0, 0
        elif not self._evades and self._action.forward > 0 and self._near(observation):
            self._begin(int(self._rng.integers(4, 14)), self._turn_away(observation))
            self._plan, self._evades = [], True
        if self._left <= 0:
            self._begin(*(self._plan.pop(0) if self._plan else self._choose()))
        self._left -= 1
        return self._action

    def _begin(self, ticks: int, action: Action) -> None:
        self._left, self._action, self._evades = ticks, action, False

    def _feel(self, observation: Observation) -> None:
        """Count the ticks in which walking led nowhere."""
        here = np.asarray(observation.pose)[:3, 3]
        walks = self._action.forward != 0 or self._action.left != 0
        still = self._last is not None and np.linalg.norm(here - self._last) < STILL
        self._still = self._still + 1 if walks and still else 0
        self._last = here

    def _near(self, observation: Observation) -> bool:
        return _clear(observation)[1] < NEAR

    def _turn_away(self, observation: Observation) -> Action:
        left, _, right = _clear(observation)
        side = 1.0 if left > right else -1.0 if right > left else self._side()
        return Action(forward=float(self._rng.random() < 0.3), turn=side * self._turning(1.3))

    def _free_itself(self, observation: Observation) -> list[tuple[int, Action]]:
        """Perhaps it is a door: use it, wait, and walk on; else step back and turn away."""
        turn = self._turn_away(observation).turn
        if self._rng.random() < 0.5:
            wait, walk = int(self._rng.integers(12, 22)), int(self._rng.integers(15, 30))
            return [(2, Action(use=True)), (wait, Action()), (walk, Action(forward=1.0))]
        back = Action(forward=-1.0, left=self._side() if self._rng.random() < 0.3 else 0.0)
        ticks = int(math.pi / 6 / self._pace * self._rng.uniform(10, 24))
        return [(int(self._rng.integers(4, 10)), back), (ticks, Action(turn=turn))]

    def _choose(self) -> tuple[int, Action]:
        draw = self._rng.random()
        if draw < 0.06:
            return self._glance()
        if draw < 0.09:
            return self._go_back()
        shares = np.array([habit.share for habit in HABITS])
        habit = HABITS[int(self._rng.choice(len(HABITS), p=shares / shares.sum()))]
        side, turn = self._side(), self._turning()
        ticks = int(self._rng.integers(habit.ticks[0], habit.ticks[1] + 1))
        return ticks, Action(habit.forward, habit.left * side, habit.turn * side * turn)

    def _glance(self) -> tuple[int, Action]:
        """Look aside while walking on, and back again."""
        ticks, aside = int(self._rng.integers(4, 10)), self._side() * self._turning(1.5)
        look = Action(forward=1.0, turn=aside)
        self._plan = [(int(self._rng.integers(2, 8)), Action(forward=1.0))]
        self._plan.append((ticks, replace(look, turn=-aside)))
        return ticks, look

    def _go_back(self) -> tuple[int, Action]:
        """Turn round, at a pace of about 12 ticks, and walk where it came from."""
        self._plan = [(int(self._rng.integers(25, 60)), Action(forward=1.0))]
        return int(self._rng.integers(10, 25)), Action(turn=self._side() * self._turning(2.0))

    def _side(self) -> float:
        return 1.0 if self._rng.random() < 0.5 else -1.0

    def _turning(self, haste: float = 1.0) -> float:
        return min(1.0, self._pace * haste * float(self._rng.uniform(0.6, 1.4)))


def _clear(observation: Observation) -> tuple[float, float, float]:
    """How far it is to the left, ahead and to the right [m]; far where depth says nothing."""
    if observation.depth is None:
        return math.inf, math.inf, math.inf
    height, width = observation.depth.shape
    band = observation.depth[int(0.45 * height) : int(0.6 * height)]
    band = np.where(band > 0, band, 100.0)  # (h, W)
    third = width // 3
    return (
        float(np.median(band[:, :third])),
        float(np.percentile(band[:, third:-third], 25)),
        float(np.median(band[:, -third:])),
    )
