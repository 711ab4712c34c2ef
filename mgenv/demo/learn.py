"""Train PPO on PointNav inside generated worlds and judge it there and in the engine twin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import gymnasium as gym

from mgenv.agents.evaluate import Evaluation, evaluate_policy
from mgenv.agents.policy import Policy
from mgenv.agents.random import RandomPolicy
from mgenv.agents.sb3 import PPOConfig
from mgenv.agents.train import EnvConfig, TrainConfig, make_envs, train_policy, untrained_policy

TWIN = "engine"
"""The ground truth that the generated worlds imitate."""

Maker = Callable[[gym.vector.VectorEnv], Policy]

ROLLOUT = 512
"""Environment steps between updates, over all slots."""

EPISODE_SEED = 1000
"""Judged episodes differ from those of training."""


@dataclass(frozen=True)
class Learned:
    """What training came to.

    Attributes:
        file: the policy.
        table: the evaluations by world, then policy: random, before and after training.
    """

    file: Path
    table: dict[str, dict[str, Evaluation]]


def learn(
    world: str,
    world_ids: tuple[int, ...],
    output_dir: Path,
    total_steps: int,
    episodes: int,
    twin_episodes: int,
    num_envs: int = 16,
    max_episode_steps: int = 64,
    seed: int = 0,
    on_train: Callable[[int, float, float], None] | None = None,
    on_evaluate: Callable[[str, str, int], None] | None = None,
) -> Learned:
    """Judge the random and the untrained policy, train, judge again.

    Args:
        world: where to train: a generated world.
        world_ids: which ones.
        output_dir: for the policy and TensorBoard.
        total_steps: environment steps of training.
        episodes: of each policy in ``world``, the same starts and goals for all.
        twin_episodes: of each policy in the engine, which is faster.
        on_train: told steps, success and return.
        on_evaluate: told world, policy and episodes done.
    """
    env = EnvConfig(
        task="pointnav",
        world=world,
        num_envs=num_envs,
        world_ids=world_ids,
        max_episode_steps=max_episode_steps,
    )
    config = TrainConfig(
        env=env,
        ppo=PPOConfig(rollout_steps=max(ROLLOUT // num_envs, 1)),
        total_steps=total_steps,
        seed=seed,
        output_dir=str(output_dir),
        save_every=0,
    )
    trained, file = train_policy(config, on_train)
    makers: dict[str, Maker] = {
        "random": lambda envs: RandomPolicy(envs.single_action_space, envs.num_envs, seed),
        "PPO before": lambda envs: untrained_policy(config, envs),
        "PPO after": lambda envs: trained,
    }
    table: dict[str, dict[str, Evaluation]] = {}
    for place in dict.fromkeys([world, TWIN]):
        table[place] = {}
        for name, maker in makers.items():
            tell = partial(on_evaluate, place, name) if on_evaluate else None
            twin = replace(env, world=place)
            count = twin_episodes if place == TWIN else episodes
            table[place][name] = _judge(twin, maker, name, count, tell)
    return Learned(file, table)


def _judge(
    env: EnvConfig,
    maker: Maker,
    name: str,
    episodes: int,
    on_episode: Callable[[int], None] | None,
) -> Evaluation:
    """In environments of its own, so that no policy walks in what another left in memory."""
    envs = make_envs(env)
    try:
        policy = maker(envs)
        policy.name = name
        return evaluate_policy(policy, envs, episodes, EPISODE_SEED, on_episode)
    finally:
        envs.close()
