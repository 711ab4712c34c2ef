"""``mgenv evaluate POLICY``: how good a policy is, in one world or several."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from rich.console import Console

from mgenv.agents.evaluate import Evaluation, evaluate_policy
from mgenv.agents.learned import LearnedPolicy
from mgenv.agents.policy import Policy
from mgenv.agents.random import RandomPolicy
from mgenv.agents.train import EnvConfig, make_envs, task_id
from mgenv.cli.console import make_table, positive, progress_bar
from mgenv.output import prepare_file, write_text

MEASURES = ("success", "return", "spl", "steps")


def main(argv: list[str]) -> int:
    """Print a table of success, return, SPL and steps with 95 % intervals."""
    options = _parse(argv)
    if options.json is not None:
        prepare_file(options.json)
    learned = None if options.policy == "random" else _load(options)
    for world in options.world:
        _check(_env_config(world, learned, options), learned)
    rows = [row for world in options.world for row in _judge(world, learned, options)]
    header = ("world", "policy", *MEASURES)
    cells = [(world, e.policy, *(e.summary()[name] for name in MEASURES)) for world, e in rows]
    title = f"{_task(options, learned)}, {len(rows[0][1])} episodes"
    Console().print(make_table(title, header, cells))
    if options.json is not None:
        write_text(options.json, json.dumps([as_json(*row) for row in rows], indent=2) + "\n")
    return 0


def as_json(world: str, evaluation: Evaluation) -> dict[str, Any]:
    """One row of the table as plain values."""
    summary = {name: asdict(interval) for name, interval in evaluation.summary().items()}
    return {
        "world": world,
        "policy": evaluation.policy,
        "episodes": len(evaluation),
        "world_ids": sorted(set(evaluation.world_ids.tolist())),
        **summary,
    }


def _judge(
    world: str, learned: LearnedPolicy | None, options: argparse.Namespace
) -> list[tuple[str, Evaluation]]:
    """The random policy and the learned one, on the same episodes of one world."""
    config = _env_config(world, learned, options)
    policies = [None] if learned is None else [None, learned]
    return [(world, _play(config, policy, options)) for policy in policies]


def _check(config: EnvConfig, learned: LearnedPolicy | None) -> None:
    """Prove that a policy can be judged there, before any is."""
    envs = make_envs(config)
    try:
        if learned is not None:
            learned.check(envs)
    finally:
        envs.close()


def _play(
    config: EnvConfig, learned: LearnedPolicy | None, options: argparse.Namespace
) -> Evaluation:
    """In environments of its own, so that no policy walks in what another left in memory."""
    envs = make_envs(config)
    try:
        policy = learned or RandomPolicy(envs.single_action_space, envs.num_envs, options.seed)
        return _play_in(envs, config.world, policy, options)
    finally:
        envs.close()


def _play_in(envs: Any, world: str, policy: Policy, options: argparse.Namespace) -> Evaluation:
    with progress_bar(Console(stderr=True)) as bar:
        task = bar.add_task(f"{policy.name} in {world}", total=options.episodes, note="")

        def on_episode(count: int) -> None:
            bar.update(task, completed=count)

        return evaluate_policy(policy, envs, options.episodes, options.seed, on_episode)


def _load(options: argparse.Namespace) -> LearnedPolicy:
    return LearnedPolicy.load(options.policy, options.deterministic, options.seed)


def _task(options: argparse.Namespace, learned: LearnedPolicy | None) -> str:
    return options.task or ("pointnav" if learned is None else learned.card.task)


def _env_config(
    world: str, learned: LearnedPolicy | None, options: argparse.Namespace
) -> EnvConfig:
    task = _task(options, learned)
    task_id(task)
    robot = options.robot or ("differential" if learned is None else learned.card.robot)
    return EnvConfig(
        task=task,
        robot=robot,
        world=world,
        num_envs=min(options.num_envs, options.episodes),
        num_worlds=options.num_worlds,
        world_ids=None if options.world_ids is None else tuple(options.world_ids),
        memory=options.memory,
        max_episode_steps=options.max_episode_steps,
        device=options.device,
    )


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("mgenv evaluate", description=__doc__)
    parser.add_argument("policy", help="a policy file, or 'random'")
    parser.add_argument("--world", nargs="+", default=["nano", "engine"], help="where to judge it")
    parser.add_argument("--task", help="by default the one it was trained on")
    parser.add_argument("--robot", help="by default the one it was trained on")
    parser.add_argument("--episodes", type=positive, default=64)
    parser.add_argument("--num-envs", type=positive, default=16)
    parser.add_argument("--num-worlds", type=positive, default=16)
    parser.add_argument("--world-ids", type=int, nargs="+", help="instead of --num-worlds")
    parser.add_argument("--memory", default="scan", help="scan, fresh or a memory file")
    parser.add_argument("--max-episode-steps", type=positive, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--deterministic", action="store_true", help="the likeliest action")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    return parser.parse_args(argv)
