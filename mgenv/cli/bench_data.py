"""``mgenv bench data``: recorded frames a second."""

from __future__ import annotations

import argparse

from mgenv.benchmark import data
from mgenv.benchmark.report import check_outputs
from mgenv.cli.bench_common import finish
from mgenv.cli.console import positive
from mgenv.data.sources import check_source


def main(argv: list[str]) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser("mgenv bench data", description=__doc__)
    parser.add_argument("--frames", type=positive, default=5000, help="to collect of each source")
    parser.add_argument("--sources", nargs="*", default=list(data.SOURCES))
    parser.add_argument("--workers", type=positive, default=2)
    parser.add_argument("--json", metavar="FILE", help="write all as JSON")
    parser.add_argument("--markdown", metavar="FILE", help="write a results file")
    options = parser.parse_args(argv)
    check_outputs(options.json, options.markdown)
    for source in options.sources:
        check_source(source.partition(":")[0])
    report = data.run(options.frames, options.sources, options.workers, print)
    return finish(report, options)
