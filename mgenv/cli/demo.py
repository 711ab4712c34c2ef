"""``mgenv demo``: a world that remembers, and a policy that learns in it."""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from mgenv.cli.console import describe, make_table, positive, progress_bar
from mgenv.cli.evaluate import as_json
from mgenv.demo.drawing import draw_comparison, draw_walk
from mgenv.demo.learn import TWIN, Learned, learn
from mgenv.demo.walk import Likeness, Step, leave_and_return, likeness, path_length, walk_length
from mgenv.engine.world_ids import HELD_OUT
from mgenv.output import prepare_folder, write_text
from mgenv.video import write_video
from mgenv.worlds import load_world

FPS = 10
HOLD = 3 * FPS
"""Frames for which the closing comparison stands still."""


def main(argv: list[str]) -> int:
    """Walk, train, and say where everything lies."""
    options = _parse(argv)
    folder = prepare_folder(options.output_dir)
    console = Console()
    begin = time.monotonic()
    figures: dict[str, Any] = {"world": options.world, "seed": options.seed}
    figures["leave_and_return"] = show_memory(console, folder, options)
    figures["pointnav"] = show_learning(console, folder, options)
    figures["seconds"] = round(time.monotonic() - begin, 1)
    write_text(folder / "figures.json", json.dumps(figures, indent=2) + "\n")
    _say_what_next(console, folder, options.world, figures["seconds"])
    return 0


def show_memory(console: Console, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Part one: leave and return, with memory and without."""
    console.print("\n[bold]1. A world that remembers[/bold]: walk away, come back, compare.")
    world = load_world(options.world, num_envs=1)
    with progress_bar(console) as bar:
        total = 2 * (walk_length(options.walk_steps) - 1)
        task = bar.add_task("walking", total=total, note="(the first run compiles the engine)")

        def walk(**kwargs: Any) -> list[Step]:
            return leave_and_return(
                world,
                options.world_id,
                options.walk_steps,
                on_step=lambda: bar.update(task, advance=1, note=""),
                **kwargs,
            )

        remembered = walk()
        forgotten = walk(forget=True, path=remembered)
    world.close()
    _film(folder / "walk.mp4", options.world, remembered, forgotten)
    rows = {"with memory": _compare(remembered), "without": _compare(forgotten)}
    title = f"start against return, {path_length(remembered):.1f} m later"
    cells = [(name, f"{like.psnr:.1f} dB", f"{like.sharpness:.2f}") for name, like in rows.items()]
    console.print(make_table(title, ("", "likeness (PSNR)", "sharpness"), cells))
    return {
        "world_id": options.world_id,
        "steps": len(remembered) - 1,
        "path_length": path_length(remembered),
        **{name: as_figures(like) for name, like in rows.items()},
    }


def as_figures(like: Likeness) -> dict[str, float | None]:
    """For JSON, which knows no infinity: the PSNR of equal pictures is None."""
    psnr = None if math.isinf(like.psnr) else like.psnr
    return {"psnr": psnr, "sharpness": like.sharpness}


def show_learning(console: Console, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Part two: PPO in generated worlds, judged there and in the engine."""
    console.print(
        f"\n[bold]2. A policy that learns in it[/bold]: PPO on PointNav, "
        f"{options.steps:,} steps in {options.num_worlds} worlds that were never trained on."
    )
    with progress_bar(console) as bar:
        training = bar.add_task("training", total=options.steps, note="")
        tasks: dict[tuple[str, str], Any] = {}

        def on_train(steps: int, success: float, returns: float) -> None:
            bar.update(training, completed=steps, note=describe(success, returns))

        def on_evaluate(world: str, policy: str, count: int) -> None:
            key = (world, policy)
            if key not in tasks:
                total = options.twin_episodes if world == TWIN else options.episodes
                tasks[key] = bar.add_task(f"{policy} in {world}", total=total, note="")
            bar.update(tasks[key], completed=count)

        learned = learn(
            options.world,
            tuple(range(HELD_OUT, HELD_OUT + options.num_worlds)),
            folder / "policy",
            options.steps,
            options.episodes,
            options.twin_episodes,
            num_envs=options.num_envs,
            max_episode_steps=options.max_episode_steps,
            seed=options.seed,
            on_train=on_train,
            on_evaluate=on_evaluate,
        )
    _print_table(console, learned)
    rows = [as_json(world, e) for world, row in learned.table.items() for e in row.values()]
    return {"steps": options.steps, "policy": str(learned.file), "evaluations": rows}


def _print_table(console: Console, learned: Learned) -> None:
    worlds = list(learned.table)
    header = ["policy"]
    header += [f"{measure}, {world}" for world in worlds for measure in ("success", "return")]
    rows = []
    for policy in learned.table[worlds[0]]:
        summaries = [learned.table[world][policy].summary() for world in worlds]
        figures = [summary[name] for summary in summaries for name in ("success", "return")]
        rows.append((policy, *figures))
    title = f"PointNav, mean and 95 % interval; {TWIN!r} is the ground truth"
    console.print(make_table(title, header, rows))


def _compare(walk: list[Step]) -> Likeness:
    return likeness(walk[0].rgb, walk[-1].rgb)


def _film(file: Path, title: str, remembered: list[Step], forgotten: list[Step]) -> None:
    with_memory, without = _compare(remembered), _compare(forgotten)
    closing = draw_comparison(
        {
            "start": remembered[0].rgb,
            f"return, with memory: {with_memory.psnr:.1f} dB": remembered[-1].rgb,
            f"return, without: {without.psnr:.1f} dB": forgotten[-1].rgb,
        }
    )
    write_video(file, [*draw_walk(remembered, title), *[closing] * HOLD], FPS)


def _say_what_next(console: Console, folder: Path, world: str, seconds: float) -> None:
    policy = folder / "policy" / "policy.safetensors"
    console.print(f"\n[bold]3. Where everything lies[/bold] ({seconds:.0f} s)")
    lines = (
        f"video    {folder / 'walk.mp4'}",
        f"figures  {folder / 'figures.json'}",
        f"policy   {policy}",
        "\nWhat to run next:",
        f"mgenv evaluate {policy} --world {' '.join(dict.fromkeys([world, TWIN]))}",
        f"mgenv train env.world={world} env.task=imagenav total_steps=100000",
        f"tensorboard --logdir {folder / 'policy' / 'tensorboard'}",
        "python examples/01_step_a_world.py",
    )
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("mgenv demo", description=__doc__)
    parser.add_argument("--world", default="nano", help="nano, engine or a checkpoint")
    parser.add_argument("--output-dir", default="runs/demo", type=Path)
    parser.add_argument("--walk-steps", type=positive, default=50, help="length of the way out")
    parser.add_argument("--world-id", type=int, default=HELD_OUT, help="where to walk")
    parser.add_argument("--steps", type=positive, default=4096, help="of training")
    parser.add_argument("--num-worlds", type=positive, default=8)
    parser.add_argument("--num-envs", type=positive, default=16)
    parser.add_argument("--episodes", type=positive, default=16, help="of each policy there")
    parser.add_argument("--twin-episodes", type=positive, default=48, help="and in the engine")
    parser.add_argument("--max-episode-steps", type=positive, default=64)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)
