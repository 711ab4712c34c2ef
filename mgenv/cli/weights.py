"""``mgenv weights convert|verify DIR``: public weights, made safe and compared with references."""

from __future__ import annotations

import argparse
import json
import math

from rich.console import Console

from mgenv.cli.console import make_table
from mgenv.output import prepare_file, write_text

EXIT_OVER_LIMIT = 1


def main(argv: list[str]) -> int:
    """Convert a folder of weights, or verify one of golden tensors.

    Returns:
        0, or 1 where an error is over its limit.
    """
    parser = argparse.ArgumentParser("mgenv weights", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    converting = verbs.add_parser("convert", help="every .pth of a folder to safetensors, once")
    converting.add_argument("folder", metavar="DIR")
    verifying = verbs.add_parser("verify", help="relative errors against golden tensors")
    verifying.add_argument("folder", metavar="FOLDER")
    verifying.add_argument("--json", metavar="FILE", help="where the errors are written")
    verifying.add_argument("--device", default="cpu", help="to compute on, in float32")
    options = parser.parse_args(argv)
    return _convert(options) if options.verb == "convert" else _verify(options)


def _convert(options: argparse.Namespace) -> int:
    from mgenv.models.matrix_game3.convert import convert

    written = convert(options.folder)
    console = Console()
    for file in written or ["nothing to convert"]:
        console.print(str(file), soft_wrap=True, highlight=False)
    return 0


def _verify(options: argparse.Namespace) -> int:
    from mgenv.models.matrix_game3.verify import verify

    file = prepare_file(options.json) if options.json else None
    results = verify(options.folder, options.device)
    if file:
        errors = {n: r.error if math.isfinite(r.error) else None for n, r in results.items()}
        write_text(file, json.dumps({"relative_error": errors}, indent=1) + "\n")
    rows = [
        (name, f"{result.error:.2e}", f"{result.limit:.1e}", "" if result.passes else "over")
        for name, result in results.items()
    ]
    Console().print(make_table("relative errors", ("tensor", "error", "limit", ""), rows))
    return 0 if all(result.passes for result in results.values()) else EXIT_OVER_LIMIT
