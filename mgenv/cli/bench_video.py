"""``mgenv bench video``: the public 5B network at full size, optimisation by optimisation."""

from __future__ import annotations

from mgenv.cli.bench_common import bench_parser, finish, parse
from mgenv.matrix_game3.benchmark import video


def main(argv: list[str]) -> int:
    """Measure and print a table."""
    parser = bench_parser("video", __doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rows", metavar="N", nargs="+", type=int, help="only these, from 1")
    parser.add_argument("--profile", action="store_true", help="tell the kernels of each, too")
    options = parse(parser, argv)
    wrong = [n for n in options.rows or () if not 1 <= n <= len(video.ROWS)]
    if wrong:
        parser.error(f"--rows: expected 1 … {len(video.ROWS)}, got {wrong}")
    rows = [video.ROWS[n - 1] for n in options.rows] if options.rows else video.ROWS
    report = video.run(rows=rows, device=options.device, report=print, profile=options.profile)
    return finish(report, options)
