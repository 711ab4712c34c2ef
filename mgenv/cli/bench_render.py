"""``mgenv bench render``: worlds built and frames drawn a second."""

from __future__ import annotations

import argparse

from mgenv.benchmark import rendering
from mgenv.benchmark.report import check_outputs
from mgenv.cli.bench_common import finish
from mgenv.cli.console import positive


def main(argv: list[str]) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser("mgenv bench render", description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--worlds", type=positive, default=rendering.WORLDS, help="of each family")
    parser.add_argument("--json", metavar="FILE", help="write all as JSON")
    parser.add_argument("--markdown", metavar="FILE", help="write a results file")
    options = parser.parse_args(argv)
    check_outputs(options.json, options.markdown)
    return finish(rendering.run(options.device, options.worlds, print), options)
