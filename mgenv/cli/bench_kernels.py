"""``mgenv bench kernels``: products and attention of the public 5B network, one at a time."""

from __future__ import annotations

from mgenv.cli.bench_common import bench_parser, finish, parse
from mgenv.matrix_game3.benchmark import kernels


def main(argv: list[str]) -> int:
    """Measure and print a table."""
    parser = bench_parser("kernels", __doc__)
    parser.add_argument("--device", default="cuda")
    options = parse(parser, argv)
    return finish(kernels.run(device=options.device, report=print), options)
