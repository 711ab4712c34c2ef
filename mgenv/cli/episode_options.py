"""Arguments that decide what episodes there are, of ``mgenv evaluate`` and ``mgenv episodes``."""

from __future__ import annotations

import argparse
from typing import Any

from mgenv.cli.console import numbers, positive
from mgenv.envs.episode_list import TASK_OPTIONS


def add_episode_options(parser: argparse.ArgumentParser) -> None:
    """Task, worlds and what they are remembered by; all None where not given."""
    parser.add_argument("--difficulty", help="easy, medium, hard or any; by default the task's own")
    parser.add_argument("--goal-sensor", help="exact, noisy, start or none; exact by default")
    parser.add_argument("--odometry", help="exact or noisy; exact by default")
    parser.add_argument("--stop", action="store_true", default=None, help="stopping is an action")
    parser.add_argument(
        "--no-recall-memory", dest="recall_memory", action="store_false", default=None,
        help="Recall: memory tells nothing of the goal",
    )  # fmt: skip
    parser.add_argument("--num-worlds", type=positive, help="worlds 0 … N - 1; 16 by default")
    parser.add_argument(
        "--world-ids", type=numbers, nargs="+", metavar="ID", help="instead: 7, or 1000000-1000063"
    )
    parser.add_argument("--memory", help="scan (the default), fresh or a memory file")
    parser.add_argument("--max-episode-steps", type=positive, help="200 by default")


def task_options(options: argparse.Namespace) -> dict[str, Any]:
    """Those of ``TASK_OPTIONS`` that were given."""
    return {name: v for name in TASK_OPTIONS if (v := getattr(options, name)) is not None}


def world_ids(options: argparse.Namespace) -> tuple[int, ...] | None:
    """Those that were given."""
    return None if options.world_ids is None else tuple(sum(options.world_ids, []))


def env_options(options: argparse.Namespace) -> dict[str, Any]:
    """Settings of :class:`mgenv.agents.train.EnvConfig` that were given."""
    names = ("num_worlds", "memory", "max_episode_steps")
    given = {name: v for name in names if (v := getattr(options, name)) is not None}
    return given | ({} if options.world_ids is None else {"world_ids": world_ids(options)})
