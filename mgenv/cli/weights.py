"""``mgenv weights convert|verify|prune``: public weights made safe, compared, and made faster."""

from __future__ import annotations

import argparse
import json
import math

from rich.console import Console

from mgenv.cli.console import make_table
from mgenv.output import prepare_file, write_text

EXIT_OVER_LIMIT = 1

PRUNE_HELP = """\
Cut channels out of an autoencoder's decoder and, with --data, train what is left on what
the whole decoder makes of the same latents. Its pictures' PSNR against the whole decoder's
is told on videos that are not trained on.

To use the file: name it MG-LightVAE_v2.safetensors in a folder of the public weights, and
ask for world_options={"vae": "light_v2"}. (MG-LightVAE.safetensors is "light".) A file that
is there is never overwritten: move the public one away first."""


def main(argv: list[str]) -> int:
    """Convert a folder of weights, verify one of golden tensors, or prune an autoencoder.

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
    pruning = verbs.add_parser(
        "prune",
        help="a narrower decoder, fine-tuned against the whole one",
        description=PRUNE_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_prune(pruning)
    options = parser.parse_args(argv)
    return {"convert": _convert, "verify": _verify, "prune": _prune}[options.verb](options)


def _add_prune(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("source", metavar="VAE_FILE", help="safetensors, or a .pth of tensors")
    add("--out", required=True, metavar="FILE.safetensors", help="to write; not there yet")
    add("--rate", type=float, default=0.75, help="share of the width to cut (0.75)")
    add("--data", metavar="DATASET", help="of mgenv collect, to fine-tune on")
    add("--steps", type=int, default=1000, help="of fine-tuning (1000)")
    add("--size", type=_size, metavar="HxW", help="of its videos; the pictures' own, cut to fit")
    add("--frames", type=int, default=5, help="of a video, 1 + 4n (5)")
    add("--batch", type=int, default=1, help="videos a step (1)")
    add("--lr", type=float, default=1e-3, help="learning rate at the start (0.001)")
    add("--device", default="cpu", help="cuda or cpu, in float32 (cpu)")
    add("--seed", type=int, default=0, help="of which videos come when (0)")


def _size(text: str) -> tuple[int, int]:
    height, cross, width = text.partition("x")
    if not (height.isdecimal() and cross and width.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected a size like 704x1280, got {text!r}")
    return int(height), int(width)


def _convert(options: argparse.Namespace) -> int:
    from mgenv.matrix_game3.checkpoint.convert import convert

    written = convert(options.folder)
    console = Console()
    for file in written or ["nothing to convert"]:
        console.print(str(file), soft_wrap=True, highlight=False)
    return 0


def _verify(options: argparse.Namespace) -> int:
    from mgenv.matrix_game3.checkpoint.verify import verify

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


def _prune(options: argparse.Namespace) -> int:
    from mgenv.training.pruning.prune_decoder import PruneConfig, prune_decoder

    console = Console()

    def report(done: int, psnr: float) -> None:
        console.print(f"step {done:>6}: {psnr:.2f} dB against the whole decoder", highlight=False)

    settings = {name: value for name, value in vars(options).items() if name != "verb"}
    settings["learning_rate"] = settings.pop("lr")
    made = prune_decoder(PruneConfig(**settings), report)
    widths = f"{made.whole.decoder_widths} to {made.pruned.decoder_widths}"
    console.print(f"widths {widths}", soft_wrap=True, highlight=False)
    console.print(str(made.path), soft_wrap=True, highlight=False)
    return 0
