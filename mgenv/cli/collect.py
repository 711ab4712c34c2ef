"""``mgenv collect key=value …``: record a dataset from worlds, games or footage."""

from __future__ import annotations

import time

from rich.console import Console

from mgenv.cli.config import load_config, print_help
from mgenv.cli.console import progress_bar
from mgenv.data.record import CollectConfig, Progress, collect


def main(argv: list[str]) -> int:
    """Record until there are as many frames as asked for, and say what was dropped.

    Args:
        argv: options of :class:`mgenv.data.record.CollectConfig` as ``key=value``.
    """
    if "-h" in argv or "--help" in argv:
        return print_help("collect", CollectConfig)
    config = load_config(CollectConfig, argv)
    console = Console()
    began: list[float | int] = []
    with progress_bar(console) as bar:
        task = bar.add_task("recording", total=config.frames or None, note="")

        def report(progress: Progress) -> None:
            if not began:
                began[:] = [time.monotonic(), progress.frames]
            new, spent = progress.frames - began[1], time.monotonic() - began[0]
            rate = f"{new / spent:.0f} frames/s, " if new else ""
            note = f"{rate}{sum(progress.dropped.values())} episodes dropped"
            bar.update(task, completed=progress.frames, note=note)

        progress = collect(config, report)
    dropped = ", ".join(f"{name} {count}" for name, count in sorted(progress.dropped.items()))
    console.print(f"{progress.episodes} episodes of {progress.frames} frames in all")
    console.print(f"dropped: {dropped or 'none'}")
    console.print(f"look:    mgenv data view {config.out}", soft_wrap=True, highlight=False)
    return 0
