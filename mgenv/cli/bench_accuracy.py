"""``mgenv bench accuracy FOLDER``: what each fast path of the public network costs."""

from __future__ import annotations

from mgenv.cli.bench_common import bench_parser, finish, parse
from mgenv.cli.console import positive
from mgenv.matrix_game3.benchmark import accuracy


def main(argv: list[str]) -> int:
    """Measure and print a table."""
    parser = bench_parser("accuracy", __doc__)
    parser.add_argument("folder", help="of golden tensors, as mgenv weights verify takes it")
    parser.add_argument("--noises", type=positive, default=5)
    parser.add_argument("--device", default="cpu")
    options = parse(parser, argv)
    report = accuracy.run(options.folder, noises=options.noises, device=options.device)
    return finish(report, options)
