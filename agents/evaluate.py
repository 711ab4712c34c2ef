"""How good a policy is: success, return, SPL and steps, with bootstrap intervals.

Every slot plays the same number of episodes and the seeds decide which, so two policies that are
judged with the same seed meet the same starts and goals, and quick failures are not counted twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import ArrayLike, NDArray

from mgenv.agents.policy import Policy
from mgenv.errors import InvalidOptionError


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True)
class Evaluation:
    """What some episodes of one policy came to, each array of length E.

    Attributes:
        policy: its name.
        success: bool, whether the goal was reached.
        returns: undiscounted sums of rewards.
        spl: success weighted by path length (Anderson et al., arXiv 1807.06757).
        steps: episode lengths.
        world_ids: where each episode took place.
    """

    policy: str
    success: NDArray[np.bool_]
    returns: NDArray[np.float64]
    spl: NDArray[np.float64]
    steps: NDArray[np.int64]
    world_ids: NDArray[np.int64]

    def summary(self) -> dict[str, Interval]:
        """Means over the episodes; ``steps_to_success`` only over those that reached the goal."""
        measures = {
            "success": bootstrap(self.success),
            "return": bootstrap(self.returns),
            "spl": bootstrap(self.spl),
            "steps": bootstrap(self.steps),
        }
        if self.success.any():
            measures["steps_to_success"] = bootstrap(self.steps[self.success])
        return measures

    def __len__(self) -> int:
        return len(self.success)


def bootstrap(values: ArrayLike, resamples: int = 2000, seed: int = 0) -> Interval:
    """The mean and its 95 % percentile bootstrap interval (Efron, 1979).

    Args:
        values: (E,) one an episode.

    Raises:
        ValueError: there are none.

    Example:
        >>> bootstrap([1.0, 1.0, 1.0])
        Interval(mean=1.0, low=1.0, high=1.0)
    """
    sample = np.asarray(values, np.float64)
    if sample.ndim != 1 or not len(sample):
        raise ValueError(f"Expected at least one value in one row; got shape {sample.shape}.")
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(sample), size=(resamples, len(sample)))
    low, high = np.quantile(sample[picks].mean(-1), [0.025, 0.975])
    return Interval(float(sample.mean()), float(low), float(high))


def evaluate_policy(
    policy: Policy,
    envs: gym.vector.VectorEnv,
    episodes: int = 64,
    seed: int = 0,
    on_episode: Callable[[int], None] | None = None,
) -> Evaluation:
    """Play whole episodes.

    Args:
        policy: what acts.
        envs: in ``autoreset_mode="same_step"``; reset here, not closed.
        episodes: at least this many: rounded up so that each slot plays as many as the next.
        seed: slot i is seeded with ``seed + i``.
        on_episode: told how many episodes are over, whenever one is.

    Raises:
        InvalidOptionError: ``episodes`` is below 1 or the environments reset in another way.
    """
    _check(envs, episodes)
    quota = -(-episodes // envs.num_envs)
    tally = _Tally(envs.num_envs, quota)
    observations, _ = envs.reset(seed=seed)
    while not tally.complete:
        observations, rewards, terminations, truncations, infos = envs.step(
            policy.act(observations)
        )
        over = np.logical_or(terminations, truncations)  # (N,)
        tally.add(rewards, over, infos.get("final_info", {}))
        if on_episode is not None and over.any():
            on_episode(tally.count)
    return tally.result(policy.name)


class _Tally:
    """Collects each slot's first ``quota`` episodes."""

    def __init__(self, num_envs: int, quota: int) -> None:
        self.quota = quota
        self.episodes: list[list[tuple[float, ...]]] = [[] for _ in range(num_envs)]
        self.returns = np.zeros(num_envs)
        self.steps = np.zeros(num_envs, np.int64)

    @property
    def count(self) -> int:
        return sum(len(rows) for rows in self.episodes)

    @property
    def complete(self) -> bool:
        return all(len(rows) >= self.quota for rows in self.episodes)

    def add(self, rewards: Any, over: NDArray[np.bool_], final: dict[str, Any]) -> None:
        self.returns += rewards
        self.steps += 1
        for slot in np.flatnonzero(over).tolist():
            if len(self.episodes[slot]) < self.quota:
                measures = [float(_value(final, name, slot)) for name in ("is_success", "spl")]
                place = float(_value(final, "world_id", slot))
                row = (*measures, self.returns[slot], float(self.steps[slot]), place)
                self.episodes[slot].append(row)
            self.returns[slot], self.steps[slot] = 0.0, 0

    def result(self, name: str) -> Evaluation:
        table = np.array([row for rows in self.episodes for row in rows])  # (E, 5)
        success, spl, returns, steps, places = table.T
        return Evaluation(
            policy=name,
            success=success.astype(bool),
            returns=returns,
            spl=spl,
            steps=steps.astype(np.int64),
            world_ids=places.astype(np.int64),
        )


def _value(final: dict[str, Any], name: str, slot: int) -> Any:
    """A slot's last info, 0 where the task has no such measure (exploring has no success)."""
    known = name in final and final[f"_{name}"][slot]
    return final[name][slot] if known else 0.0


def _check(envs: gym.vector.VectorEnv, episodes: int) -> None:
    if episodes < 1:
        raise InvalidOptionError(f"Expected at least one episode; got {episodes}.")
    mode = envs.metadata.get("autoreset_mode")
    if mode != AutoresetMode.SAME_STEP:
        raise InvalidOptionError(f"Expected autoreset_mode='same_step'; got {mode!r}.")
