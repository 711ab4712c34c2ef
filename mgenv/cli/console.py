"""Progress bars and tables of the commands."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table


def progress_bar(console: Console | None = None) -> Progress:
    """A progress bar with counts, times and a free text, ``note``, at the end."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    )


def make_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table whose first column is text and whose others are figures."""
    table = Table(title=title, title_justify="left")
    for column, name in enumerate(header):
        table.add_column(name, justify="left" if column == 0 else "right")
    for row in rows:
        table.add_row(*[str(cell) for cell in row])
    return table


def describe(success: float, returns: float) -> str:
    """Success and return in a few characters, nothing before the first episode's end."""
    if math.isnan(returns):
        return ""
    return f"return {returns:.2f}" + ("" if math.isnan(success) else f", success {success:.2f}")


def positive(text: str) -> int:
    """An argument that counts something.

    Raises:
        argparse.ArgumentTypeError: it is below 1.
    """
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {value}")
    return value


def numbers(text: str) -> list[int]:
    """Whole numbers: ``7``, or ``1000000-1000063`` for all from one to another.

    Raises:
        argparse.ArgumentTypeError: it is neither.

    Example:
        >>> numbers("7"), numbers("3-5")
        ([7], [3, 4, 5])
    """
    first, dash, last = text.partition("-")
    if not first.isdigit() or (dash and not last.isdigit()):
        raise argparse.ArgumentTypeError(f"expected a number or two as 3-5, got {text!r}")
    return list(range(int(first), int(last or first) + 1))
