"""``mgenv bench speed``: environment steps per second and peak memory."""

from __future__ import annotations

import argparse
from itertools import product

from rich.console import Console

from mgenv.benchmark.speed import Setting, run
from mgenv.cli.bench_common import bench_parser, finish, parse
from mgenv.cli.console import positive, progress_bar


def main(argv: list[str]) -> int:
    """Measure every combination of the arguments and print a table.

    Returns:
        0, or 1 where a combination could not be measured.
    """
    options = _parse(argv)
    settings = _settings(options)
    with progress_bar(Console(stderr=True)) as bar:
        task = bar.add_task("measuring", total=len(settings), note="")
        report = run(
            settings, lambda row: bar.update(task, advance=1, note=f"{row['steps/s']:.0f} steps/s")
        )
    return finish(report, options)


def _settings(options: argparse.Namespace) -> list[Setting]:
    settings = []
    for world, num_envs, steps in product(options.world, options.num_envs, options.sampling_steps):
        if world == "engine" and steps != options.sampling_steps[0]:
            continue  # the engine samples nothing
        settings.append(
            Setting(
                world=world,
                num_envs=num_envs,
                sampling_steps=steps,
                device=options.device,
                steps=options.steps,
                warmup=options.warmup,
                seed=options.seed,
                threads=options.threads,
                reproducible=options.reproducible,
            )
        )
    return settings


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = bench_parser("speed", __doc__)
    parser.add_argument("--world", nargs="+", default=["nano", "engine"])
    parser.add_argument("--num-envs", type=positive, nargs="+", default=[1, 4, 16, 32])
    parser.add_argument("--sampling-steps", type=positive, nargs="+", default=[1, 2, 4])
    parser.add_argument("--steps", type=positive, default=100, help="vector steps that are timed")
    parser.add_argument("--warmup", type=int, default=10, help="vector steps before them")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=positive, help="of torch; its own choice by default")
    parser.add_argument(
        "--reproducible", action="store_true", help="the same bits in any number of slots"
    )
    parser.add_argument("--seed", type=int, default=0)
    return parse(parser, argv)
