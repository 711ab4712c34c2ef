"""Results files: figures with the hardware, commit, seeds, command and versions they came from."""

from __future__ import annotations

import itertools
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from mgenv.output import prepare_file, write_text

PACKAGES = ("torch", "numpy", "numba", "gymnasium", "stable-baselines3")
"""Whose versions a results file names."""


@dataclass(kw_only=True)
class Report:
    """One benchmark's results.

    Attributes:
        title: of the file.
        protocol: what was done, in a sentence or two.
        rows: a dictionary of plain values a row; where their keys change, a new table begins.
        seeds: that decided what was measured.
        failed: what did not work, one sentence each; empty where all did.
        notes: anything else a reader must know.
        details: plain values that only the JSON holds.
        command: that was run.
    """

    title: str
    protocol: str
    rows: list[dict[str, Any]]
    seeds: Sequence[int]
    failed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    command: str = field(default_factory=lambda: command_line())
    hardware: dict[str, str] = field(default_factory=lambda: hardware())
    commit: str = field(default_factory=lambda: commit())
    versions: dict[str, str] = field(default_factory=lambda: versions())
    date: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%d"))

    def write_json(self, path: str | Path) -> Path:
        """Write all of it as JSON.

        Raises:
            OutputError: the file cannot be written.
        """
        return write_text(path, json.dumps(asdict(self), indent=2) + "\n")

    def write_markdown(self, path: str | Path) -> Path:
        """Write all of it for readers.

        Raises:
            OutputError: the file cannot be written.
        """
        return write_text(path, self.markdown())

    def markdown(self) -> str:
        """The results file's text."""
        facts = {
            "Hardware": "; ".join(f"{name}: {value}" for name, value in self.hardware.items()),
            "Commit": self.commit,
            "Date": self.date,
            "Seeds": ", ".join(map(str, self.seeds)),
            "Command": f"`{self.command}`",
            "Versions": ", ".join(f"{name} {value}" for name, value in self.versions.items()),
        }
        parts = [f"# {self.title}", self.protocol, markdown_table(self.rows)]
        parts += [_bullets(self.notes)] if self.notes else []
        parts += ["## What failed", _bullets(self.failed or ["Nothing."])]
        parts += ["## Where it was measured", _bullets(f"{k}: {v}" for k, v in facts.items())]
        return "\n\n".join(parts) + "\n"


def check_outputs(*paths: str | Path | None) -> None:
    """Prove that results can be written, before they are measured.

    Raises:
        OutputError: one of them cannot.
    """
    for path in paths:
        if path is not None:
            prepare_file(path)


def markdown_table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as a Markdown table, or as one for each run of equal keys; three significant figures.

    Example:
        >>> print(markdown_table([{"world": "engine", "steps/s": 1234.5}]))
        | world | steps/s |
        | --- | ---: |
        | engine | 1234 |
    """
    if not rows:
        return "No rows."
    tables = [_table(list(part)) for _, part in itertools.groupby(rows, key=list)]
    return "\n\n".join(tables)


def _table(rows: list[dict[str, Any]]) -> str:
    names = list(rows[0])
    numeric = [all(_is_number(row[name]) for row in rows) for name in names]
    rule = ["---:" if right else "---" for right in numeric]
    lines = [names, rule, *[[_cell(row[name]) for name in names] for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def command_line() -> str:
    """The command as it would be typed."""
    program = Path(sys.argv[0]).name
    name = "mgenv" if program in ("mgenv", "__main__.py") else program
    return shlex.join([name, *sys.argv[1:]])


def hardware() -> dict[str, str]:
    """Processor, cores that may be used, memory and accelerators."""
    facts = {"CPU": _cpu_name(), "cores": str(len(os.sched_getaffinity(0)))}
    facts["memory"] = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        facts["GPU"] = ", ".join(names)
    facts["system"] = platform.system()
    return facts


def versions() -> dict[str, str]:
    """Of Python and the packages that matter; those not installed are left out."""
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The commit of the source tree, marked where files differ from it."""
    folder = Path(__file__).parents[2]
    try:
        revision = _git(folder, "rev-parse", "--short=12", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "not in a repository"
    return f"{revision}, with changes" if changed else revision


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}"
    return str(value)


def _bullets(lines: Any) -> str:
    return "\n".join(f"- {line}" for line in lines)
