"""``mgenv bench data``: recorded frames a second."""

from __future__ import annotations

from mgenv.benchmark import data
from mgenv.cli.bench_common import bench_parser, finish, parse
from mgenv.cli.console import positive
from mgenv.data.sources import SOURCES


def main(argv: list[str]) -> int:
    """Measure and print a table."""
    parser = bench_parser("data", __doc__)
    parser.add_argument("--frames", type=positive, default=5000, help="to collect of each source")
    parser.add_argument("--sources", nargs="*", default=list(data.SOURCES))
    parser.add_argument("--workers", type=positive, default=2)
    options = parse(parser, argv)
    for source in options.sources:
        SOURCES.check(source.partition(":")[0])
    report = data.run(options.frames, options.sources, options.workers, print)
    return finish(report, options)
