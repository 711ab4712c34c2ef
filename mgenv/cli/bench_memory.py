"""``mgenv bench memory``: is a place still what it was?"""

from __future__ import annotations

from mgenv.benchmark import memory
from mgenv.cli.bench_common import quality_parser, run_quality, whole_numbers
from mgenv.cli.console import positive


def main(argv: list[str]) -> int:
    """Measure and print both protocols."""
    parser = quality_parser("memory", __doc__, worlds=32)
    parser.add_argument("--path-frames", type=positive, default=64, help="of the new path")
    parser.add_argument("--returns", type=whole_numbers, default=[50, 100, 200, 400], metavar="K,K")
    return run_quality(memory.run, parser, argv)
