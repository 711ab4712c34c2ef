"""The pages that users read, and what is in them: code, commands, tables, links."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    """Code blocks of a language; ``python`` runs, ``bash`` runs, ``py`` is an excerpt of source."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def prose(page: Path) -> str:
    """The page without code blocks."""
    return re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)


def commands(page: Path) -> list[str]:
    """Lines of its ``bash`` blocks."""
    lines = [line for block in blocks(page, "bash") for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def file_name(code: str, default: str) -> str:
    """The file that a block says in its first line that it is."""
    named = re.match(r"# (\w+\.py)\n", code)
    return named[1] if named else default


def tables(page: Path) -> list[tuple[list[str], Path]]:
    """Rows whose last cell links to a results file: the other cells, and that file."""
    row = r"^\| (.*) \| \[[^]]+\]\(([^)]*benchmark/results/\S+)\) \|$"
    rows = re.findall(row, prose(page), re.M)
    return [(text.split(" | "), (page.parent / file).resolve()) for text, file in rows]


def anchors(page: Path) -> set[str]:
    """What links to headings of the page may end in."""
    heads = re.findall(r"^#+ (.*)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
