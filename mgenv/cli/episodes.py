"""``mgenv episodes make|show``: fixed episodes, drawn once and played in every twin."""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np
from rich.console import Console

from mgenv.agents.train import EnvConfig, make_envs, task_id
from mgenv.cli.console import make_table, positive
from mgenv.cli.episode_options import add_episode_options, env_options, task_options
from mgenv.envs.episode_list import EpisodeList, draw_episodes, origin_of
from mgenv.output import prepare_file


def main(argv: list[str]) -> int:
    """Make a file, or show one."""
    options = _parse(argv)
    return _make(options) if options.command == "make" else _show(options)


def _make(options: argparse.Namespace) -> int:
    task_id(options.task)
    file = prepare_file(options.out)
    given = env_options(options)
    config = EnvConfig(
        task=options.task, world=options.world, num_envs=min(options.num_envs, options.count),
        scan_frames=options.scan_frames, **given,
    )  # fmt: skip
    envs = make_envs(config, autoreset_mode="disabled", **task_options(options))
    try:
        episodes = draw_episodes(envs, options.count, options.seed)
        memory = envs.unwrapped.options.memory  # type: ignore[attr-defined]
        height, width = envs.single_observation_space["pixels"].shape[:2]  # type: ignore[index]
    finally:
        envs.close()
    kept = task_options(options)
    if "max_episode_steps" in given:
        kept["max_episode_steps"] = given["max_episode_steps"]
    origin = origin_of(memory, scan_frames=config.scan_frames, image_size=[height, width])
    drawn = EpisodeList(task=options.task, options=kept, origin=origin, episodes=episodes)
    drawn.save(file)
    print(f"{file}: {_in_words(drawn)}")
    return 0


def _show(options: argparse.Namespace) -> int:
    known = EpisodeList.load(options.file)
    rows = [
        (
            number, one.world_id, one.difficulty, f"{one.geodesic:.1f}", f"{one.straight:.1f}",
            _place(one.start[:2]), _place(one.goal[:2]), one.seed,
        )
        for number, one in enumerate(known.episodes[: options.rows])
    ]  # fmt: skip
    header = ("", "world", "difficulty", "way m", "straight m", "start", "goal", "seed")
    console = Console()
    console.print(make_table(_in_words(known), header, rows))
    if len(rows) < len(known.episodes):
        console.print(f"… and {len(known.episodes) - len(rows)} more (--rows)")
    console.print(f"options {known.options}, origin {known.origin}", highlight=False)
    return 0


def _in_words(known: EpisodeList) -> str:
    """What a list holds, in a line."""
    kinds = Counter(one.difficulty for one in known.episodes)
    parts = ", ".join(f"{count} {name}" for name, count in sorted(kinds.items()))
    way = np.mean([one.geodesic for one in known.episodes])
    return (
        f"{len(known.episodes)} episodes of {known.task} in {len(known.world_ids)} worlds "
        f"({parts}; {way:.1f} m on average)"
    )


def _place(point: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.1f}" for value in point)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("mgenv episodes", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="draw episodes as the environments draw them")
    make.add_argument("--task", default="pointnav")
    add_episode_options(make)
    make.add_argument("--count", type=positive, default=256)
    make.add_argument("--seed", type=int, default=0, help="of the first; the next has one more")
    make.add_argument("--out", required=True, metavar="FILE", help="the list, as JSON")
    make.add_argument("--world", default="engine", help="what draws the frames meanwhile")
    make.add_argument("--scan-frames", type=positive, default=EnvConfig().scan_frames)
    make.add_argument("--num-envs", type=positive, default=16)
    show = commands.add_parser("show", help="what a list holds")
    show.add_argument("file")
    show.add_argument("--rows", type=positive, default=20)
    return parser.parse_args(argv)
