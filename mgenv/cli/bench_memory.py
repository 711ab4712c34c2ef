"""``mgenv bench memory``: is a place still what it was?"""

from __future__ import annotations

import argparse

from mgenv.benchmark import memory
from mgenv.benchmark.report import check_outputs
from mgenv.cli.bench_common import add_common, finish, load_model, whole_numbers
from mgenv.cli.console import positive


def main(argv: list[str]) -> int:
    """Measure and print both protocols."""
    parser = argparse.ArgumentParser("mgenv bench memory", description=__doc__)
    add_common(parser, worlds=32)
    parser.add_argument("--path-frames", type=positive, default=64, help="of the new path")
    parser.add_argument("--returns", type=whole_numbers, default=[50, 100, 200, 400], metavar="K,K")
    options = parser.parse_args(argv)
    check_outputs(options.json, options.markdown)
    report = memory.run(
        load_model(options.world, options.device),
        worlds=options.worlds,
        first_world=options.first_world,
        known_frames=options.known_frames,
        path_frames=options.path_frames,
        returns=options.returns,
        sampling_steps=options.sampling_steps,
        device=options.device,
        pictures=options.pictures,
        report=print,
    )
    return finish(report, options)
