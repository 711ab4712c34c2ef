"""``torchrun --nproc-per-node 2 -m mgenv bench parallel``: one clip on one GPU and on several."""

from __future__ import annotations

import argparse
import os

from mgenv.benchmark import video_parallel
from mgenv.benchmark.report import check_outputs
from mgenv.benchmark.video_parallel import Setting
from mgenv.cli.bench_common import finish
from mgenv.models.matrix_game3.clips import REUSE
from mgenv.models.quantize import KINDS


def main(argv: list[str]) -> int:
    """Measure in all processes; the first prints a table and writes files."""
    parser = argparse.ArgumentParser("mgenv bench parallel", description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--bits", choices=(*KINDS, "none"), default=Setting.eight_bits)
    parser.add_argument("--reuse", choices=REUSE, default=Setting.reuse)
    parser.add_argument("--no-graphs", action="store_true", help="decode without CUDA graphs")
    parser.add_argument("--json", metavar="FILE", help="write all as JSON")
    parser.add_argument("--markdown", metavar="FILE", help="write a results file")
    options = parser.parse_args(argv)
    check_outputs(options.json, options.markdown)
    setting = Setting(
        eight_bits="" if options.bits == "none" else options.bits,
        reuse=options.reuse,
        graphed=not options.no_graphs,
    )
    first = os.environ.get("RANK", "0") == "0"
    report = video_parallel.run(
        setting=setting, device=options.device, report=print if first else lambda text: None
    )
    return finish(report, options) if first else 0
