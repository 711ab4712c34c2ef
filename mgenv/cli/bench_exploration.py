"""``mgenv bench exploration``: how much of a world does the exploring agent get to see?"""

from __future__ import annotations

from mgenv.benchmark import exploration
from mgenv.cli.bench_common import bench_parser, finish, held_out_id, parse
from mgenv.cli.console import positive
from mgenv.engine.scene.scenes import HELD_OUT


def main(argv: list[str]) -> int:
    """Walk and print a row an agent."""
    parser = bench_parser("exploration", __doc__)
    parser.add_argument("--worlds", type=positive, default=64, help="held-out worlds")
    parser.add_argument("--first-world", type=held_out_id, default=HELD_OUT, help="first of them")
    parser.add_argument("--frames", type=positive, default=256, help="of each walk")
    parser.add_argument("--seed", type=int, default=0)
    options = parse(parser, argv)
    report = exploration.run(
        worlds=options.worlds,
        frames=options.frames,
        first_world=options.first_world,
        seed=options.seed,
        report=print,
    )
    return finish(report, options)
