"""Evaluation of a policy: success, return, SPL and more per episode, with intervals.

Every episode starts from a clean state: the slot's memory is reset, and the generators of world and
policy start from the episode's seed. So results do not depend on the slot, the number of slots or
earlier episodes, and all policies play the same episodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from mgenv.agents.policy import Policy
from mgenv.agents.statistics import Interval, bootstrap, paired_difference
from mgenv.errors import InvalidOptionError

if TYPE_CHECKING:
    from mgenv.tasks.episode import Episode

INFOS = {
    "success": "is_success",
    "spl": "spl",
    "soft_spl": "soft_spl",
    "distance_to_goal": "distance_to_goal",
    "collisions": "collisions",
    "explored_area": "explored_area",
    "explored_share": "explored_share",
    "path_length": "path_length",
    "explored_share_per_metre": "explored_share_per_metre",
}
"""Measures that are infos of an episode's last step, in those tasks that have them."""


@dataclass(frozen=True)
class Evaluation:
    """Results of E episodes of one policy.

    Attributes:
        policy: its name.
        measures: float64 (E,) each: ``success``, ``return`` (the undiscounted sum of rewards),
            ``steps``, and what the task tells at the end: ``spl`` (success weighted by path
            length, Anderson et al., arXiv 1807.06757), ``soft_spl``, ``collisions``,
            ``distance_to_goal`` [m], ``explored_share`` and others of ``INFOS``.
        seeds: int64 (E,), of each episode.
        world_ids: int64 (E,), where each took place.
        episodes: which they were, where they were given.
    """

    policy: str
    measures: dict[str, NDArray[np.float64]]
    seeds: NDArray[np.int64]
    world_ids: NDArray[np.int64]
    episodes: tuple[Episode, ...] | None = None

    @property
    def success(self) -> NDArray[np.bool_]:
        """Whether each goal was reached: (E,)."""
        return self.measures["success"].astype(bool)

    def summary(self) -> dict[str, Interval]:
        """Means over the episodes; ``steps_to_success`` only over those that reached the goal."""
        intervals = {name: bootstrap(values) for name, values in self.measures.items()}
        if self.success.any():
            intervals["steps_to_success"] = bootstrap(self.measures["steps"][self.success])
        return intervals

    def minus(self, other: Evaluation) -> dict[str, Interval]:
        """Paired differences from another policy, or another world, on the same episodes.

        Raises:
            InvalidOptionError: the episodes are others.
        """
        ours, theirs = (np.stack([one.seeds, one.world_ids]) for one in (self, other))
        if not np.array_equal(ours, theirs) or self.episodes != other.episodes:
            raise InvalidOptionError(
                f"Expected two evaluations of the same episodes; got {len(self)} of {self.policy} "
                f"and {len(other)} others of {other.policy}."
            )
        return {
            name: paired_difference(values, other.measures[name])
            for name, values in self.measures.items()
            if name in other.measures
        }

    def rows(self) -> list[dict[str, Any]]:
        """An episode a row, plain values only."""
        rows = []
        for number in range(len(self)):
            row: dict[str, Any] = {"episode": number, "seed": int(self.seeds[number])}
            row["world_id"] = int(self.world_ids[number])
            row |= {} if self.episodes is None else self.episodes[number].as_dict()
            rows.append(row | {name: float(v[number]) for name, v in self.measures.items()})
        return rows

    def __len__(self) -> int:
        return len(self.seeds)


def evaluate_policy(
    policy: Policy,
    envs: gym.vector.VectorEnv,
    episodes: int | Sequence[Episode] = 64,
    seed: int = 0,
    on_episode: Callable[[int], None] | None = None,
) -> Evaluation:
    """Play whole episodes, each once, dealt out to the slots in order.

    Beside ``act`` a policy may have ``seed(slots, seeds)`` and ``reset(slots)``, with bool (N,)
    and int (N,): episodes with these seeds start in these slots; and ``see(infos)``, which is
    shown the infos of every reset and step (only for policies that may know the truth).

    Args:
        policy: what acts.
        envs: in ``autoreset_mode`` ``"disabled"`` or ``"same_step"`` (which starts episodes that
            are then not played); reset here, not closed. Slots that share memory see what others
            did, so that their episodes depend on each other.
        episodes: which; or how many, drawn by the environments with ``seed``, ``seed`` + 1, ….
        seed: of the first episode, where they are drawn.
        on_episode: callback (episodes finished), called whenever one ends.

    Raises:
        InvalidOptionError: there are no episodes, or the environments reset in another way.
    """
    _check(envs, episodes)
    table = _Table(episodes, seed)
    play = _Play(policy, envs, table)
    while play.goes_on:
        over = play.step()
        if over and on_episode is not None:
            on_episode(table.count)
    return table.result(policy.name)


class _Table:
    """Episodes to play, and the results of those that have ended."""

    def __init__(self, episodes: int | Sequence[Episode], seed: int) -> None:
        self.episodes = None if isinstance(episodes, int) else tuple(episodes)
        if self.episodes is None:
            self.seeds = seed + np.arange(episodes, dtype=np.int64)  # type: ignore[call-overload]
        else:
            self.seeds = np.array([episode.seed for episode in self.episodes], np.int64)
        self._rows: dict[int, dict[str, float]] = {}

    @property
    def count(self) -> int:
        """How many are over."""
        return len(self._rows)

    def add(self, number: int, row: dict[str, float]) -> None:
        """Episode ``number`` is over."""
        self._rows[number] = row

    def result(self, policy: str) -> Evaluation:
        """All of them, in order."""
        rows = [self._rows[number] for number in range(len(self.seeds))]
        columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        world_ids = columns.pop("world_id").astype(np.int64)
        return Evaluation(policy, columns, self.seeds, world_ids, self.episodes)


class _Play:
    """Slots that play the episodes of a table; an idle slot replays its last one."""

    def __init__(self, policy: Any, envs: gym.vector.VectorEnv, table: _Table) -> None:
        self._policy, self._envs, self._table = policy, envs, table
        self._left = list(range(len(table.seeds)))[::-1]
        self._number = np.arange(envs.num_envs) % len(table.seeds)  # (N,) what each slot plays
        self._counts = np.zeros(envs.num_envs, bool)  # whether for the table
        self._returns = np.zeros(envs.num_envs)
        self._steps = np.zeros(envs.num_envs, np.int64)
        self._start(np.ones(envs.num_envs, bool))

    @property
    def goes_on(self) -> bool:
        return bool(self._counts.any())

    def step(self) -> bool:
        """Move all robots; whether an episode of the table is over."""
        actions = self._policy.act(self._observations)
        step = self._envs.step(actions)
        self._observations, rewards, terminations, truncations, infos = step
        self._show(infos)
        self._returns += rewards
        self._steps += 1
        over = np.logical_or(terminations, truncations)  # (N,)
        counted = over & self._counts
        for slot in np.flatnonzero(counted).tolist():
            self._table.add(int(self._number[slot]), self._row(infos, slot))
        self._counts &= ~over
        if over.any() and (self._left or self.goes_on):
            self._start(over)
        return bool(counted.any())

    def _start(self, slots: NDArray[np.bool_]) -> None:
        """Deal the next episodes out to ``slots`` bool (N,), and start them."""
        for slot in np.flatnonzero(slots).tolist():
            self._counts[slot] = bool(self._left)
            self._number[slot] = self._left.pop() if self._left else self._number[slot]
        seeds, episodes = self._table.seeds[self._number], self._table.episodes
        options: dict[str, Any] = {"reset_mask": slots}
        if episodes is not None:
            options["episodes"] = [episodes[number] for number in self._number]
        self._observations, infos = self._envs.reset(seed=seeds.tolist(), options=options)
        self._returns[slots], self._steps[slots] = 0.0, 0
        self._show(infos)
        for name, arguments in (("seed", (slots, seeds)), ("reset", (slots,))):
            if hasattr(self._policy, name):
                getattr(self._policy, name)(*arguments)

    def _show(self, infos: dict[str, Any]) -> None:
        if hasattr(self._policy, "see"):
            self._policy.see(infos)

    def _row(self, infos: dict[str, Any], slot: int) -> dict[str, float]:
        """Measures of a slot's finished episode."""
        last = infos.get("final_info", infos)
        row = {"return": float(self._returns[slot]), "steps": float(self._steps[slot])}
        told = {measure: name for measure, name in INFOS.items() if name in last}
        measures = {measure: float(last[name][slot]) for measure, name in told.items()}
        return measures | row | {"world_id": float(last["world_id"][slot])}


def _check(envs: gym.vector.VectorEnv, episodes: int | Sequence[Episode]) -> None:
    count = episodes if isinstance(episodes, int) else len(episodes)
    if count < 1:
        raise InvalidOptionError(f"Expected at least one episode; got {count}.")
    mode = envs.metadata.get("autoreset_mode")
    if mode not in (AutoresetMode.DISABLED, AutoresetMode.SAME_STEP):
        raise InvalidOptionError(f"Expected autoreset_mode 'disabled' or 'same_step'; got {mode}.")
