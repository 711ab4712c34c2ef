"""``mgenv bench kernels``: products and attention of the public 5B network, one at a time."""

from __future__ import annotations

import argparse

from mgenv.benchmark.report import check_outputs
from mgenv.cli.bench_common import finish
from mgenv.matrix_game3.benchmark import kernels


def main(argv: list[str]) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser("mgenv bench kernels", description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--json", metavar="FILE", help="write all as JSON")
    parser.add_argument("--markdown", metavar="FILE", help="write a results file")
    options = parser.parse_args(argv)
    check_outputs(options.json, options.markdown)
    return finish(kernels.run(device=options.device, report=print), options)
