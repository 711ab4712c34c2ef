"""Train PPO on PointNav in generated worlds; evaluate it and baselines there and in the engine.

Every policy meets the same fixed episodes, in worlds in which the demo's PPO was not trained. The
generated world, which is slower, plays the first ones of the list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from mgenv.agents.evaluate import Evaluation
from mgenv.agents.sb3 import PPOConfig
from mgenv.agents.statistics import Interval
from mgenv.agents.train import EnvConfig, TrainConfig, make_envs, train_policy
from mgenv.benchmark.policy_comparison import Setting, display_names
from mgenv.envs.episode_list import EpisodeList, draw_episodes, origin_of

TWIN = "engine"
"""The ground truth that the generated worlds imitate."""

BLIND, CEILING = "blind", "planner"
BASELINES = ("random", BLIND, "blind+odometry")
"""Policies that ignore images."""

ROLLOUT = 512
"""Environment steps between updates, over all slots."""

EPISODE_SEED = 1000


@dataclass(frozen=True, kw_only=True)
class LearnConfig:
    """What is trained and judged.

    Attributes:
        world: where to train: a generated world.
        train_ids, judge_ids: worlds in which PPO is trained, and those of the episodes.
        shipped: a policy's name or file.
        steps: of training, over all slots.
        episodes, twin_episodes: of each policy in ``world`` and in the engine.
    """

    world: str
    train_ids: tuple[int, ...]
    judge_ids: tuple[int, ...]
    output_dir: Path
    shipped: str
    steps: int
    episodes: int
    twin_episodes: int
    num_envs: int = 16
    max_episode_steps: int = 64
    seed: int = 0
    env: EnvConfig = field(init=False)

    def __post_init__(self) -> None:
        env = EnvConfig(
            task="pointnav",
            memory="scan",
            world=self.world,
            num_envs=self.num_envs,
            world_ids=self.judge_ids,
            obs_type="pixels_depth_agent_pos",
            max_episode_steps=self.max_episode_steps,
        )
        object.__setattr__(self, "env", env)

    @property
    def places(self) -> dict[str, int]:
        """Worlds where policies are judged, and on how many episodes."""
        return {self.world: self.episodes, TWIN: self.twin_episodes}

    @property
    def shipped_name(self) -> str:
        """What the shipped policy is called in tables."""
        return display_names([self.shipped])[self.shipped]

    @property
    def trained_name(self) -> str:
        """What the demo's PPO is called there."""
        return f"PPO, {self.steps:,} steps"

    def check(self) -> None:
        """Check that the shipped policy can act here, before any work.

        Raises:
            MgenvError: it cannot.
        """
        for place in self.places:
            Setting(env=self.env, episodes=1).check(place, self.shipped)


@dataclass(frozen=True)
class Learned:
    """Results of training and evaluation.

    Attributes:
        file: the policy.
        difficulty: of the episodes.
        table: the evaluations by world, then policy; the planner's in the engine alone.
    """

    file: Path
    difficulty: str
    table: dict[str, dict[str, Evaluation]]

    def against_blind(self, policy: str) -> dict[str, dict[str, Interval]]:
        """By world: how much better than the blind policy, paired by episode."""
        return {world: row[policy].minus(row[BLIND]) for world, row in self.table.items()}


def learn(
    config: LearnConfig,
    on_train: Callable[[int, float, float], None] | None = None,
    on_evaluate: Callable[[str, str, int], None] | None = None,
) -> Learned:
    """Train, then judge all policies.

    Args:
        on_train: callback (steps, success rate, mean return).
        on_evaluate: callback (world, policy, episodes done), first with 0.
    """
    file = _train(config, on_train)
    policies = {name: name for name in BASELINES}
    policies |= {config.trained_name: str(file), config.shipped_name: config.shipped}
    episodes = draw(config)
    table: dict[str, dict[str, Evaluation]] = {}
    for place, count in config.places.items():
        setting = Setting(env=config.env, episodes=_first(episodes, count), seed=config.seed)
        table[place] = {}
        for name, policy in (policies | ({CEILING: CEILING} if place == TWIN else {})).items():
            tell = partial(on_evaluate, place, name) if on_evaluate else None
            if tell is not None:
                tell(0)
            table[place][name] = setting.judge(place, policy, name, tell)
    kinds = sorted({one.difficulty for one in episodes.episodes})
    return Learned(file, ", ".join(kinds), table)


def draw(config: LearnConfig) -> EpisodeList:
    """The episodes, as the engine's environments draw them; those of all twins are the same."""
    count = max(config.places.values())
    envs = make_envs(replace(config.env, world=TWIN), autoreset_mode="disabled")
    try:
        drawn = draw_episodes(envs, count, EPISODE_SEED)
    finally:
        envs.close()
    return EpisodeList(
        task=config.env.task, options={}, origin=origin_of(config.env.memory), episodes=drawn
    )


def verdict(difference: Interval) -> str:
    """What a paired difference from the blind policy says.

    Example:
        >>> verdict(Interval(0.1, -0.1, 0.3))
        'not told apart from blind'
    """
    if difference.low > 0:
        return "better than blind"
    return "worse than blind" if difference.high < 0 else "not told apart from blind"


def _train(config: LearnConfig, on_train: Callable[[int, float, float], None] | None) -> Path:
    train = TrainConfig(
        env=replace(config.env, world_ids=config.train_ids),
        ppo=PPOConfig(rollout_steps=max(ROLLOUT // config.num_envs, 1)),
        total_steps=config.steps,
        seed=config.seed,
        output_dir=str(config.output_dir),
        save_every=0,
    )
    return train_policy(train, on_train)[1]


def _first(episodes: EpisodeList, count: int) -> EpisodeList:
    return replace(episodes, episodes=episodes.episodes[:count])
