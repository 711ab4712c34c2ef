"""``mgenv demo``: walls that hold, a world that remembers, and policies judged in it."""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from mgenv.benchmark.policy_comparison import as_json
from mgenv.cli.console import describe, make_table, positive, progress_bar
from mgenv.demo.drawing import draw_comparison, draw_walk
from mgenv.demo.learn import TWIN, LearnConfig, Learned, learn, verdict
from mgenv.demo.push import most, push_in_both
from mgenv.demo.walk import Likeness, Step, leave_and_return, likeness, path_length, walk_length
from mgenv.engine.scene.world_ids import HELD_OUT
from mgenv.output import prepare_folder, write_text
from mgenv.video import write_video
from mgenv.worlds import load_world

FPS = 10
HOLD = 3 * FPS
"""Number of frames for which the closing comparison is shown."""

SCAN_FRAMES = 128
"""Number of true frames in memory for the push."""

MEASURED = "mgenv/benchmark/results/transfer.md"


def main(argv: list[str]) -> int:
    """Push, walk, train, judge, and say where everything lies."""
    options = _parse(argv)
    folder = prepare_folder(options.output_dir)
    config = _learn_config(options, folder)
    config.check()
    console = Console()
    begin = time.monotonic()
    figures: dict[str, Any] = {"world": options.world, "seed": options.seed}
    figures["push"] = show_walls(console, folder, options)
    figures["leave_and_return"] = show_memory(console, folder, options)
    figures["pointnav"] = show_learning(console, config)
    figures["seconds"] = round(time.monotonic() - begin, 1)
    write_text(folder / "figures.json", json.dumps(figures, indent=2) + "\n")
    _say_what_next(console, folder, options, figures["seconds"])
    return 0


def show_walls(console: Console, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Part one: one straight push in both twins."""
    console.print(
        "\n[bold]1. Walls[/bold]: push a robot straight ahead from the same scanned pose in both "
        "twins (the first run compiles the engine)."
    )
    world = load_world(options.world, num_envs=1)
    pushes = push_in_both(
        world, options.world_id, options.push_steps, SCAN_FRAMES, folder / "push.png", options.seed
    )
    world.close()
    title = f"{options.push_steps} steps, {most(options.push_steps):.1f} m if nothing stops it"
    rows = [(name, f"{push.way:.2f} m", str(push)) for name, push in pushes.items()]
    console.print(make_table(title, ("", "came", "first stopped by"), rows))
    said = {name: asdict(push) for name, push in pushes.items()}
    return {"world_id": options.world_id, "steps": options.push_steps, **said}


def show_memory(console: Console, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Part two: leave and return, with memory and without."""
    console.print("\n[bold]2. A world that remembers[/bold]: walk away, come back, compare.")
    world = load_world(options.world, num_envs=1)
    with progress_bar(console) as bar:
        total = 2 * (walk_length(options.walk_steps) - 1)
        task = bar.add_task("walking", total=total, note="")

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
    """JSON has no infinity, so the PSNR of equal images is None."""
    psnr = None if math.isinf(like.psnr) else like.psnr
    return {"psnr": psnr, "sharpness": like.sharpness}


def show_learning(console: Console, config: LearnConfig) -> dict[str, Any]:
    """Part three: PPO in generated worlds and other policies, judged there and in the engine."""
    console.print(
        f"\n[bold]3. Policies[/bold]: train PPO on PointNav for {config.steps:,} steps in "
        f"{len(config.train_ids)} generated worlds; judge all policies in "
        f"{len(config.judge_ids)} others, on the same episodes."
    )
    with progress_bar(console) as bar:
        training = bar.add_task("training", total=config.steps, note="")
        tasks: dict[tuple[str, str], Any] = {}

        def on_train(steps: int, success: float, returns: float) -> None:
            bar.update(training, completed=steps, note=describe(success, returns))

        def on_evaluate(world: str, policy: str, count: int) -> None:
            key = (world, policy)
            if key not in tasks:
                total = config.places[world]
                tasks[key] = bar.add_task(f"{policy} in {world}", total=total, note="")
            bar.update(tasks[key], completed=count)

        learned = learn(config, on_train, on_evaluate)
    _print_table(console, config, learned)
    rows = [as_json(world, e) for world, row in learned.table.items() for e in row.values()]
    return {
        "steps": config.steps,
        "policy": str(learned.file),
        "max_episode_steps": config.max_episode_steps,
        "difficulty": learned.difficulty,
        "evaluations": rows,
        "against_blind": _print_differences(console, config, learned),
    }


def _print_table(console: Console, config: LearnConfig, learned: Learned) -> None:
    worlds = list(learned.table)
    header = [f"{measure}, {world}" for world in worlds for measure in ("success", "SPL")]
    rows = []
    for policy in learned.table[TWIN]:
        cells: list[object] = []
        for world in worlds:
            evaluation = learned.table[world].get(policy)
            summary = {} if evaluation is None else evaluation.summary()
            cells += [summary.get(name, "") for name in ("success", "spl")]
        rows.append((policy, *cells))
    counts = ", ".join(f"{count} episodes in {world}" for world, count in config.places.items())
    title = (
        f"PointNav ({learned.difficulty}), mean and 95 % interval: {counts}, "
        f"at most {config.max_episode_steps} steps each"
    )
    console.print(make_table(title, ["policy", *header], rows))
    console.print(
        "'blind' turns to the goal and goes ahead, 'blind+odometry' turns away where it is stuck; "
        f"neither looks. 'planner' knows the true map: the ceiling. {TWIN!r} is the ground truth.\n"
        f"So few episodes leave wide intervals; {MEASURED} has more."
    )


def _print_differences(console: Console, config: LearnConfig, learned: Learned) -> dict[str, Any]:
    """Paired differences of the learned policies from the blind policy."""
    said: dict[str, Any] = {}
    for policy in (config.trained_name, config.shipped_name):
        for world, differences in learned.against_blind(policy).items():
            found = differences["success"]
            console.print(
                f"{policy} - blind in {world}: success {found.mean:+.2f} "
                f"({found.low:+.2f} to {found.high:+.2f}): {verdict(found)}.",
                highlight=False,
            )
            chosen = {name: asdict(differences[name]) for name in ("success", "spl")}
            said.setdefault(policy, {})[world] = chosen | {"verdict": verdict(found)}
    return said


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


def _say_what_next(
    console: Console, folder: Path, options: argparse.Namespace, seconds: float
) -> None:
    policy, world = folder / "policy" / "policy.safetensors", options.world
    console.print(f"\n[bold]4. Where everything lies[/bold] ({seconds:.0f} s)")
    worlds = " ".join(dict.fromkeys([world, TWIN]))
    lines = (
        f"push     {folder / 'push.png'}",
        f"video    {folder / 'walk.mp4'}",
        f"figures  {folder / 'figures.json'}",
        f"policy   {policy}",
        "\nWhat to run next:",
        f"mgenv evaluate {policy} {options.policy} blind --world {worlds}",
        f"mgenv train env.world={world} env.task=imagenav total_steps=100000",
        f"tensorboard --logdir {folder / 'policy' / 'tensorboard'}",
        "python examples/01_step_a_world.py",
    )
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)


def _learn_config(options: argparse.Namespace, folder: Path) -> LearnConfig:
    """PPO is trained in the worlds after those of the episodes."""
    middle, last = HELD_OUT + options.num_worlds, HELD_OUT + 2 * options.num_worlds
    return LearnConfig(
        world=options.world,
        train_ids=tuple(range(middle, last)),
        judge_ids=tuple(range(HELD_OUT, middle)),
        output_dir=folder / "policy",
        shipped=options.policy,
        steps=options.steps,
        episodes=options.episodes,
        twin_episodes=options.twin_episodes,
        num_envs=options.num_envs,
        max_episode_steps=options.max_episode_steps,
        seed=options.seed,
    )


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("mgenv demo", description=__doc__)
    parser.add_argument("--world", default="nano", help="nano, engine or a checkpoint")
    parser.add_argument("--policy", default="pointnav-nano", help="the shipped one: name or file")
    parser.add_argument("--output-dir", default="runs/demo", type=Path)
    parser.add_argument("--push-steps", type=positive, default=24, help="of the push")
    parser.add_argument("--walk-steps", type=positive, default=50, help="length of the way out")
    parser.add_argument("--world-id", type=int, default=HELD_OUT, help="where to push and walk")
    parser.add_argument("--steps", type=positive, default=3072, help="of training")
    parser.add_argument("--num-worlds", type=positive, default=8, help="to train in, and to judge")
    parser.add_argument("--num-envs", type=positive, default=16)
    parser.add_argument("--episodes", type=positive, default=12, help="of each policy there")
    parser.add_argument("--twin-episodes", type=positive, default=48, help="and in the engine")
    parser.add_argument("--max-episode-steps", type=positive, default=64)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)
