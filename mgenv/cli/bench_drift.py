"""``mgenv bench drift``: does a place stay sharp and true over thousands of steps?"""

from __future__ import annotations

from mgenv.benchmark import drift
from mgenv.cli.bench_common import quality_parser, run_quality
from mgenv.cli.console import positive


def main(argv: list[str]) -> int:
    """Measure and print a table a hundred steps."""
    parser = quality_parser("drift", __doc__, worlds=16)
    parser.add_argument("--steps", type=positive, default=2000)
    parser.add_argument("--window", type=positive, default=100, help="steps a row")
    return run_quality(drift.run, parser, argv)
