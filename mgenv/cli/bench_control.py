"""``mgenv bench control``: do walls hold, do doorways open, and do frames show the motion?"""

from __future__ import annotations

import argparse

from mgenv.benchmark import control
from mgenv.benchmark.report import check_outputs
from mgenv.cli.bench_common import add_common, finish, load_model
from mgenv.cli.console import positive


def main(argv: list[str]) -> int:
    """Measure and print a table of pushes, of doorways and of motions."""
    parser = argparse.ArgumentParser("mgenv bench control", description=__doc__)
    add_common(parser, worlds=64)
    parser.set_defaults(known_frames=128)
    parser.add_argument("--pushes", type=positive, default=4, help="robots a world")
    parser.add_argument("--steps", type=positive, default=40, help="of a push")
    parser.add_argument(
        "--drive-steps", type=positive, default=16, help="whose motion is recovered"
    )
    options = parser.parse_args(argv)
    check_outputs(options.json, options.markdown)
    report = control.run(
        load_model(options.world, options.device),
        worlds=options.worlds,
        first_world=options.first_world,
        known_frames=options.known_frames,
        pushes=options.pushes,
        steps=options.steps,
        drive_steps=options.drive_steps,
        sampling_steps=options.sampling_steps,
        device=options.device,
        pictures=options.pictures,
        report=print,
    )
    return finish(report, options)
