"""``mgenv bench render``: worlds built and frames drawn a second."""

from __future__ import annotations

from mgenv.benchmark import rendering
from mgenv.cli.bench_common import bench_parser, finish, parse
from mgenv.cli.console import positive


def main(argv: list[str]) -> int:
    """Measure and print a table."""
    parser = bench_parser("render", __doc__)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--worlds", type=positive, default=rendering.WORLDS, help="of each family")
    options = parse(parser, argv)
    return finish(rendering.run(options.device, options.worlds, print), options)
