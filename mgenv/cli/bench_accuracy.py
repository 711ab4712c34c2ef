"""``mgenv bench accuracy FOLDER``: what each fast path of the public network costs."""

from __future__ import annotations

import argparse

from mgenv.benchmark.report import check_outputs
from mgenv.cli.bench_common import finish
from mgenv.cli.console import positive
from mgenv.matrix_game3.benchmark import accuracy


def main(argv: list[str]) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser("mgenv bench accuracy", description=__doc__)
    parser.add_argument("folder", help="of golden tensors, as mgenv weights verify takes it")
    parser.add_argument("--noises", type=positive, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", metavar="FILE", help="write all as JSON")
    parser.add_argument("--markdown", metavar="FILE", help="write a results file")
    options = parser.parse_args(argv)
    check_outputs(options.json, options.markdown)
    report = accuracy.run(options.folder, noises=options.noises, device=options.device)
    return finish(report, options)
