"""``mgenv bench exploration``: how much of a world does the exploring agent get to see?"""

from __future__ import annotations

import argparse

from mgenv.benchmark import exploration
from mgenv.benchmark.report import check_outputs
from mgenv.cli.bench_common import finish, held_out_id
from mgenv.cli.console import positive
from mgenv.engine.scene.scenes import HELD_OUT


def main(argv: list[str]) -> int:
    """Walk and print a row an agent."""
    parser = argparse.ArgumentParser("mgenv bench exploration", description=__doc__)
    parser.add_argument("--worlds", type=positive, default=64, help="held-out worlds")
    parser.add_argument("--first-world", type=held_out_id, default=HELD_OUT, help="first of them")
    parser.add_argument("--frames", type=positive, default=256, help="of each walk")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", metavar="FILE", help="write all as JSON")
    parser.add_argument("--markdown", metavar="FILE", help="write a results file")
    options = parser.parse_args(argv)
    check_outputs(options.json, options.markdown)
    report = exploration.run(
        worlds=options.worlds,
        frames=options.frames,
        first_world=options.first_world,
        seed=options.seed,
        report=print,
    )
    return finish(report, options)
