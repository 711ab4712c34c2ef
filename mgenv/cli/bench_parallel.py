"""``torchrun --nproc-per-node 2 -m mgenv bench parallel``: one clip on one GPU and on several."""

from __future__ import annotations

import argparse
import os
from functools import partial

from mgenv.benchmark.report import check_outputs
from mgenv.cli.bench_common import finish
from mgenv.matrix_game3.benchmark import video_parallel
from mgenv.matrix_game3.speed.fast import SPEEDS


def main(argv: list[str]) -> int:
    """Measure in all processes; the first prints a table and writes files."""
    parser = argparse.ArgumentParser("mgenv bench parallel", description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--speeds", nargs="+", choices=SPEEDS, default=["int8"])
    parser.add_argument("--json", metavar="FILE", help="write all as JSON")
    parser.add_argument("--markdown", metavar="FILE", help="write a results file")
    options = parser.parse_args(argv)
    check_outputs(options.json, options.markdown)
    first = os.environ.get("RANK", "0") == "0"
    report = video_parallel.run(
        speeds=options.speeds,
        device=options.device,
        report=partial(print, flush=True) if first else lambda text: None,
    )
    return finish(report, options) if first else 0
