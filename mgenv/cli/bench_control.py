"""``mgenv bench control``: do walls hold, do doorways open, and do frames show the motion?"""

from __future__ import annotations

from mgenv.benchmark import control
from mgenv.cli.bench_common import quality_parser, run_quality
from mgenv.cli.console import positive


def main(argv: list[str]) -> int:
    """Measure and print a table of pushes, of doorways and of motions."""
    parser = quality_parser("control", __doc__, worlds=64)
    parser.set_defaults(known_frames=128)
    parser.add_argument("--pushes", type=positive, default=4, help="robots a world")
    parser.add_argument("--steps", type=positive, default=40, help="of a push")
    parser.add_argument(
        "--drive-steps", type=positive, default=16, help="whose motion is recovered"
    )
    return run_quality(control.run, parser, argv)
