"""``mgenv bench tasks``: what each task is worth to policies that do not look."""

from __future__ import annotations

from mgenv.agents.registry import POLICIES
from mgenv.benchmark import tasks
from mgenv.cli.bench_common import bench_parser, finish, held_out_id, parse, write_files
from mgenv.cli.console import positive
from mgenv.engine.scene.world_ids import HELD_OUT


def main(argv: list[str]) -> int:
    """Measure and print a table."""
    parser = bench_parser("tasks", __doc__)
    parser.add_argument("policies", nargs="*", metavar="POLICY", help="names or files, beside …")
    parser.add_argument("--baselines", nargs="*", default=list(POLICIES), choices=list(POLICIES))
    parser.add_argument("--tasks", nargs="+", default=list(tasks.CASES), metavar="TASK")
    parser.add_argument("--world", nargs="+", default=["nano", "engine"])
    parser.add_argument("--episodes", type=positive, default=256, help="of each task")
    parser.add_argument("--worlds", type=positive, default=64, help="held-out worlds")
    parser.add_argument("--first-world", type=held_out_id, default=HELD_OUT, help="first of them")
    parser.add_argument("--lists", metavar="DIR", help="episode lists, written where not there")
    parser.add_argument("--max-episode-steps", type=positive, default=200)
    parser.add_argument("--num-envs", type=positive, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    options = parse(parser, argv)
    config = tasks.TasksConfig(
        policies=[*options.baselines, *options.policies],
        cases=options.tasks,
        worlds=options.world,
        episodes=options.episodes,
        world_count=options.worlds,
        first_world=options.first_world,
        seed=options.seed,
        num_envs=options.num_envs,
        max_episode_steps=options.max_episode_steps,
        lists=options.lists,
        device=options.device,
    )
    return finish(tasks.run(config, print, lambda result: write_files(result, options)), options)
