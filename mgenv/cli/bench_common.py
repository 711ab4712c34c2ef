"""Parser, model and output of the benchmark commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from mgenv.benchmark.report import Report, check_outputs, markdown_table
from mgenv.cli.console import positive
from mgenv.engine.scene.world_ids import HELD_OUT, is_held_out
from mgenv.models.checkpoint import load_checkpoint
from mgenv.models.world_model import WorldModel
from mgenv.worlds import checkpoint_path


def bench_parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """A parser with the arguments of every benchmark."""
    parser = argparse.ArgumentParser(f"mgenv bench {name}", description=description)
    parser.add_argument("--json", metavar="FILE", help="write all as JSON")
    parser.add_argument("--markdown", metavar="FILE", help="write a results file")
    return parser


def parse(parser: argparse.ArgumentParser, argv: list[str]) -> argparse.Namespace:
    """Parse arguments and check that the results can be written."""
    options = parser.parse_args(argv)
    check_outputs(options.json, options.markdown)
    return options


def quality_parser(name: str, description: str | None, worlds: int) -> argparse.ArgumentParser:
    """A parser with the arguments of every quality benchmark."""
    parser = bench_parser(name, description)
    parser.add_argument("--world", default="nano", help="a shipped checkpoint's name, or a file")
    parser.add_argument("--worlds", type=positive, default=worlds, help="held-out worlds")
    parser.add_argument("--first-world", type=held_out_id, default=HELD_OUT, help="first of them")
    parser.add_argument("--known-frames", type=positive, default=256, help="true frames in memory")
    parser.add_argument("--sampling-steps", type=positive, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--pictures", metavar="DIR", help="write sample strips")
    return parser


def run_quality(
    run: Callable[..., Report], parser: argparse.ArgumentParser, argv: list[str]
) -> int:
    """Run a quality benchmark, whose keyword arguments are the parser's, and print its table."""
    options = parse(parser, argv)
    settings = {k: v for k, v in vars(options).items() if k not in ("world", "json", "markdown")}
    return finish(run(load_model(options.world, options.device), **settings, report=print), options)


def load_model(world: str, device: str) -> WorldModel:
    """A checkpoint by name or file."""
    return load_checkpoint(checkpoint_path(world), device)


def finish(report: Report, options: argparse.Namespace) -> int:
    """Print the table and what failed, and write the files that were asked for."""
    print(markdown_table(report.rows))
    for reason in report.failed:
        print(f"failed: {reason}", file=sys.stderr)
    write_files(report, options)
    return 1 if report.failed else 0


def write_files(report: Report, options: argparse.Namespace) -> None:
    """Write the files that were asked for."""
    if options.json is not None:
        report.write_json(options.json)
    if options.markdown is not None:
        report.write_markdown(options.markdown)


def held_out_id(text: str) -> int:
    """A world id that no training ever sees.

    Raises:
        argparse.ArgumentTypeError: below those.
    """
    if not text.isdigit() or not is_held_out(int(text)):
        raise argparse.ArgumentTypeError(
            f"expected a world id held out from training, from {HELD_OUT} up, got {text!r}"
        )
    return int(text)


def whole_numbers(text: str) -> list[int]:
    """``50,100`` to a list.

    Raises:
        argparse.ArgumentTypeError: not whole numbers from 2 up.
    """
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected whole numbers, got {text!r}") from error
    if min(numbers) < 2:
        raise argparse.ArgumentTypeError(f"expected numbers from 2 up, got {text!r}")
    return numbers
