"""``torchrun --nproc-per-node 2 -m mgenv bench parallel``: one clip on one GPU and on several."""

from __future__ import annotations

import os
from functools import partial

from mgenv.cli.bench_common import bench_parser, finish, parse
from mgenv.matrix_game3.benchmark import video_parallel
from mgenv.matrix_game3.speed.fast import SPEEDS


def main(argv: list[str]) -> int:
    """Measure in all processes; the first prints a table and writes files."""
    parser = bench_parser("parallel", __doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--speeds", nargs="+", choices=SPEEDS, default=["int8"])
    options = parse(parser, argv)
    first = os.environ.get("RANK", "0") == "0"
    report = video_parallel.run(
        speeds=options.speeds,
        device=options.device,
        report=partial(print, flush=True) if first else lambda text: None,
    )
    return finish(report, options) if first else 0
