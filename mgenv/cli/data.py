"""``mgenv data info|view DIR``: what a dataset holds, in words or in pictures."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console

from mgenv.cli.console import make_table, positive
from mgenv.data import lerobot
from mgenv.data.dataset import Dataset
from mgenv.data.pose_validation import validate_poses
from mgenv.data.records import committed
from mgenv.data.view import contact_sheet, path_plot
from mgenv.errors import InvalidOptionError
from mgenv.output import prepare_file

CHECKED_EPISODES = 16
"""Episodes whose poses ``info --check`` validates, at most, spread over the dataset."""
EXIT_INVALID = 1


def main(argv: list[str]) -> int:
    """Describe a dataset, or draw it."""
    parser = argparse.ArgumentParser("mgenv data", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    info = verbs.add_parser("info", help="what it holds")
    checks = "compare files with their checksums, and poses with pictures and depth"
    info.add_argument("--check", action="store_true", help=checks)
    info.add_argument("--verify", action="store_true", help="decode all of it")
    view = verbs.add_parser("view", help="a contact sheet and a plot of the paths, as PNG")
    view.add_argument("--episodes", type=positive, default=8)
    view.add_argument("--out", metavar="DIR", help="for the pictures; the dataset's folder else")
    for verb in (info, view):
        verb.add_argument("folder", metavar="DIR")
    options = parser.parse_args(argv)
    dataset = Dataset(options.folder, check=getattr(options, "check", False))
    try:
        return _info(dataset, options) if options.verb == "info" else _view(dataset, options)
    finally:
        dataset.close()


def _info(dataset: Dataset, options: argparse.Namespace) -> int:
    console = Console()
    info = dataset.info
    console.print(
        f"{dataset.root}: {len(dataset)} episodes, {dataset.frames} frames, "
        f"{info['fps']} a second, {info['total_tasks']} captions",
        soft_wrap=True,
        highlight=False,
    )
    rows = [
        (name, feature["dtype"], "×".join(map(str, feature["shape"])))
        for name, feature in dataset.features.items()
    ]
    console.print(make_table("features", ("name", "type", "shape"), rows))
    dropped: dict[str, int] = {}
    for summary in committed(dataset.root):
        for name, count in summary.dropped.items():
            dropped[name] = dropped.get(name, 0) + count
    rows = [(name, count) for name, count in sorted(dropped.items())] or [("none", 0)]
    console.print(make_table("episodes dropped", ("filter", "episodes"), rows))
    if len(dataset):
        console.print(f"first caption: {dataset.rows[0]['tasks'][0]}", soft_wrap=True)
    invalid = 0
    if options.check:
        console.print(_checked(dataset), soft_wrap=True)
        for valid, text in _validated_poses(dataset):
            invalid += not valid
            console.print(text, soft_wrap=True, highlight=False)
    if options.verify:
        dataset.verify()
        console.print("every frame decodes, and every pose is rigid")
    return EXIT_INVALID if invalid else 0


def _validated_poses(dataset: Dataset) -> Iterator[tuple[bool, str]]:
    """Whether poses, pictures and depth agree, with a line of text, for a sample of episodes."""
    if lerobot.DEPTH not in dataset.features:
        yield True, "poses: no depth was recorded, so poses cannot be validated"
        return
    count = min(CHECKED_EPISODES, len(dataset))
    for number in np.linspace(0, len(dataset) - 1, count).round().astype(int).tolist():
        try:
            result = validate_poses(dataset.episode(number))
        except InvalidOptionError:  # the camera stands
            yield True, f"episode {number}: the camera does not move, so poses cannot be validated"
            continue
        verdict = "agree" if result.is_valid else "do NOT agree"
        yield result.is_valid, (
            f"episode {number}: poses, pictures and depth {verdict} "
            f"(warping divides the error by {result.gain:.1f})"
        )


def _checked(dataset: Dataset) -> str:
    """Result of the checksum comparison, which :class:`Dataset` made when it was opened."""
    counts = [len(summary.files) for summary in committed(dataset.root)]
    if not sum(counts):
        return "no checksums were recorded: nothing to compare"
    return f"{sum(counts)} files of {len(counts)} shards have their checksums"


def _view(dataset: Dataset, options: argparse.Namespace) -> int:
    folder = Path(options.out or options.folder)
    console = Console()
    for name, draw in (("contact_sheet", contact_sheet), ("paths", path_plot)):
        file = prepare_file(folder / f"{name}.png")
        draw(dataset, options.episodes).save(file)
        console.print(str(file), soft_wrap=True, highlight=False)
    return 0
