"""``mgenv bench drift``: does a place stay sharp and true over thousands of steps?"""

from __future__ import annotations

import argparse

from mgenv.benchmark import drift
from mgenv.benchmark.report import check_outputs
from mgenv.cli.bench_common import add_common, finish, load_model
from mgenv.cli.console import positive


def main(argv: list[str]) -> int:
    """Measure and print a table a hundred steps."""
    parser = argparse.ArgumentParser("mgenv bench drift", description=__doc__)
    add_common(parser, worlds=16)
    parser.add_argument("--steps", type=positive, default=2000)
    parser.add_argument("--window", type=positive, default=100, help="steps a row")
    options = parser.parse_args(argv)
    check_outputs(options.json, options.markdown)
    report = drift.run(
        load_model(options.world, options.device),
        worlds=options.worlds,
        first_world=options.first_world,
        known_frames=options.known_frames,
        steps=options.steps,
        window=options.window,
        sampling_steps=options.sampling_steps,
        device=options.device,
        pictures=options.pictures,
        report=print,
    )
    return finish(report, options)
