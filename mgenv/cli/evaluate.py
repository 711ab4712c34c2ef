"""``mgenv evaluate POLICY …``: how good policies are, on the same episodes in several worlds."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from mgenv.agents.evaluate import INFOS
from mgenv.agents.registry import POLICIES, policy_file, shipped
from mgenv.agents.train import EnvConfig, task_id
from mgenv.benchmark.policy_comparison import (
    Judged,
    Setting,
    as_json,
    differences,
    display_names,
    document,
    read_card,
)
from mgenv.cli.console import make_table, positive, progress_bar
from mgenv.cli.episode_options import add_episode_options, env_options, task_options, world_ids
from mgenv.envs.episode_list import EpisodeList
from mgenv.errors import InvalidOptionError
from mgenv.output import prepare_file, write_text

__all__ = ["as_json", "main"]

SHOWN = ("success", "return", "spl", "steps", "explored_share")
"""Measures in the table, where the task has them; the JSON holds all."""
DIFFERENCES = ("success", "spl", "explored_share")
"""Measures whose differences the second table shows."""


def main(argv: list[str]) -> int:
    """Print means with 95 % intervals, and paired differences between policies."""
    options = _parse(argv)
    if options.json is not None:
        prepare_file(options.json)
    policies = display_names(list(dict.fromkeys(options.policies)))
    setting, worlds = make_setting(options), list(dict.fromkeys(options.world))
    for world in worlds:
        for policy in policies:
            setting.check(world, policy)
    judged = [
        (world, _play(setting, world, policy, short))
        for world in worlds
        for policy, short in policies.items()
    ]
    _print(setting, judged, options.measures)
    if options.json is not None:
        found = document(setting, policies, judged)
        write_text(options.json, json.dumps(found, indent=1) + "\n")
    return 0


def make_setting(options: argparse.Namespace) -> Setting:
    """What the arguments ask for; an episode file and policy files say what they do not.

    Raises:
        InvalidOptionError: policies were trained on different tasks or robots.
        EpisodeFileError: the episodes are of something else than was asked for.
    """
    learned = [name for name in options.policies if policy_file(name) is not None]
    cards = [read_card(name) for name in learned]
    task = options.task or _common("task", [card.task for card in cards])
    robot = options.robot or _common("robot", [card.robot for card in cards]) or "differential"
    env: dict[str, Any] = {"robot": robot, "num_envs": options.num_envs, "device": options.device}
    fixed: dict[str, Any] = {}
    episodes = options.episodes
    if not isinstance(episodes, int):
        episodes = EpisodeList.load(episodes)
        episodes.check(task, options.difficulty, world_ids(options), options.memory)
        task = episodes.task
        fixed, origin = dict(episodes.options), episodes.origin
        env |= {"world_ids": tuple(episodes.world_ids), "memory": origin["memory"]}
        env |= {"scan_frames": origin["scan_frames"]}
    env |= {"task": task or "pointnav"} | env_options(options)
    if options.max_episode_steps is not None:
        fixed["max_episode_steps"] = options.max_episode_steps
    task_id(env["task"])
    return Setting(
        env=EnvConfig(**env),
        options=fixed | task_options(options),
        episodes=episodes,
        list_file=None if isinstance(episodes, int) else str(options.episodes),
        seed=options.seed,
        deterministic=options.deterministic,
    )


def _common(what: str, values: Sequence[str]) -> str | None:
    """What all policies were trained on, None where there are none."""
    if len(set(values)) > 1:
        raise InvalidOptionError(f"Expected policies of one {what}; got {sorted(set(values))}.")
    return values[0] if values else None


def _play(setting: Setting, world: str, policy: str, short: str) -> Any:
    with progress_bar(Console(stderr=True)) as bar:
        task = bar.add_task(f"{short} in {world}", total=setting.count, note="")

        def on_episode(count: int) -> None:
            bar.update(task, completed=count)

        return setting.judge(world, policy, short, on_episode)


def _print(setting: Setting, judged: Sequence[Judged], measures: Sequence[str] | None) -> None:
    """A table of means, and one of paired differences where there are any."""
    console, known = Console(), judged[0][1].measures
    shown = [name for name in measures or SHOWN if name in known]
    found = [(world, one.policy, one.summary()) for world, one in judged]
    rows = [(*head, *(summary[name] for name in shown)) for *head, summary in found]
    title = f"{setting.env.task}, {setting.count} episodes"
    console.print(make_table(title, ("world", "policy", *shown), rows))
    shown = [name for name in measures or DIFFERENCES if name in known]
    pairs = differences(judged)
    cells = [(*_pair(row), *(_interval(row[name]) for name in shown)) for row in pairs]
    if cells:
        title = "differences, paired by episode"
        console.print(make_table(title, ("where or who", "difference", *shown), cells))


def _pair(row: dict[str, Any]) -> tuple[str, str]:
    """What both have in common, and what is subtracted from what."""
    if row["world"] == row["minus_world"]:
        return row["world"], f"{row['policy']} - {row['minus_policy']}"
    return row["policy"], f"{row['world']} - {row['minus_world']}"


def _interval(values: dict[str, float]) -> str:
    return f"{values['mean']:+.2f} [{values['low']:+.2f}, {values['high']:+.2f}]"


def _count_or_file(text: str) -> int | str:
    """How many episodes, or the file that holds them.

    Raises:
        argparse.ArgumentTypeError: neither a number of at least 1 nor a file.
    """
    if text.lstrip("-").isdigit():
        return positive(text)
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"expected a number or an episode file, got {text!r}")
    return text


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("mgenv evaluate", description=__doc__)
    names = ", ".join([*POLICIES, *shipped()])
    parser.add_argument("policies", nargs="+", metavar="POLICY", help=f"a file, or one of {names}")
    parser.add_argument("--world", nargs="+", default=["nano", "engine"], help="where to judge")
    parser.add_argument("--task", help="by default the one they were trained on, else pointnav")
    parser.add_argument("--robot", help="by default the one they were trained on")
    parser.add_argument(
        "--episodes", type=_count_or_file, default=64, metavar="N|FILE",
        help="how many, or a file of mgenv episodes make",
    )  # fmt: skip
    add_episode_options(parser)
    parser.add_argument("--num-envs", type=positive, default=16)
    parser.add_argument("--seed", type=int, default=0, help="of episodes and actions")
    parser.add_argument("--deterministic", action="store_true", help="the likeliest action")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--measures", nargs="+", choices=(*INFOS, "return", "steps"))
    parser.add_argument("--json", metavar="FILE", help="write all, an episode a row, there too")
    return parser.parse_args(argv)
