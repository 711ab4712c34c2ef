"""Parsers of text, numbers and matrices in foreign files; errors name the file."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgenv.errors import DataError


def natural_order(path: Path | str) -> list[tuple[int, str]]:
    """A sort key by which frame 10 follows frame 9, padded or not."""
    parts = re.findall(r"\d+|\D+", str(path))
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def need_path(path: Path, what: str) -> Path:
    """``path``, if it exists.

    Raises:
        DataError: names it and what it was to be.
    """
    if not path.exists():
        raise DataError(f"{path}: expected {what}; there is no such file or folder")
    return path


def scenes_under(path: str, is_scene: Callable[[Path], object], what: str) -> list[Path]:
    """The folder ``path`` if it is a scene, else the scenes that lie in it, in natural order.

    Raises:
        DataError: there is none.
    """
    if not path:
        raise DataError(f"Expected a path to {what}, got none")
    root = need_path(Path(path), what)
    if is_scene(root):
        return [root]
    inside = sorted(root.iterdir(), key=natural_order) if root.is_dir() else []
    scenes = [folder for folder in inside if folder.is_dir() and is_scene(folder)]
    if not scenes:
        raise DataError(f"{root}: expected {what}, or a folder of such folders; found neither")
    return scenes


def read_text(path: Path, what: str) -> str:
    """The text of a file in UTF-8."""
    try:
        return need_path(path, what).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: expected {what}; it cannot be read ({error})") from error


def read_rows(path: Path, columns: int, what: str) -> list[list[str]]:
    """The words of each line that is neither empty nor a comment (#).

    Raises:
        DataError: a line has another number of ``columns``, or there are no lines.
    """
    rows = []
    for number, line in enumerate(read_text(path, what).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        rows.append(line.split())
        if len(rows[-1]) != columns:
            raise DataError(
                f"{path}, line {number}: expected {columns} columns ({what}), got {len(rows[-1])}"
            )
    if not rows:
        raise DataError(f"{path}: expected {what}; it has no lines")
    return rows


def numbers_of(words: Sequence[str], where: object) -> NDArray[np.float64]:
    """Words as numbers, infinite ones too."""
    try:
        return np.array([float(word) for word in words])
    except ValueError as error:
        raise DataError(f"{where}: expected numbers, got {' '.join(words)!r}") from error


def number_of(word: str, where: object) -> int:
    """A word as a whole number, such as an id."""
    try:
        return int(word)
    except ValueError as error:
        raise DataError(f"{where}: expected a whole number, got {word!r}") from error


def read_matrix(path: Path, what: str) -> NDArray[np.float64]:
    """Four lines of four numbers: (4, 4)."""
    rows = read_rows(path, 4, what)
    if len(rows) != 4:
        raise DataError(f"{path}: expected 4 lines ({what}), got {len(rows)}")
    return np.stack([numbers_of(row, path) for row in rows])


def read_json(path: Path, what: str) -> dict[str, Any]:
    """A JSON file whose outermost is an object."""
    text = read_text(path, what)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected {what}; it is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a JSON object, got {type(content).__name__}")
    return content


def need_key(content: dict[str, Any], key: str, kind: type | tuple[type, ...], where: str) -> Any:
    """``content[key]``, if it is there and of that kind."""
    if key not in content:
        raise DataError(f"{where}: expected the key {key!r}; it is missing")
    value = content[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        names = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise DataError(f"{where}: expected {key!r} to be {names}, got {value!r}")
    return value


def need_number(
    content: dict[str, Any], key: str, where: str, above: float = -math.inf, default: Any = None
) -> float:
    """``content[key]``, if it is a finite number above a limit; ``default`` where it is missing."""
    if default is not None and key not in content:
        return float(default)
    try:
        value = float(need_key(content, key, (int, float), where))
    except OverflowError:
        value = math.inf
    if not math.isfinite(value) or value <= above:
        limit = f" above {above:g}" if above > -math.inf else ""
        raise DataError(f"{where}: expected {key!r} to be a finite number{limit}, got {value}")
    return value


def matrix_of(value: object, where: str) -> NDArray[np.float64]:
    """Nested lists as a (4, 4) matrix."""
    try:
        matrix = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{where}: expected a 4×4 matrix of numbers ({error})") from error
    if matrix.shape != (4, 4):
        raise DataError(f"{where}: expected a 4×4 matrix, got shape {matrix.shape}")
    return matrix


def rate_of(seconds: NDArray[np.float64], where: Path) -> int:
    """Frames a second, from the usual time between them."""
    if len(seconds) < 2:
        return 1
    between = float(np.median(np.diff(seconds)))
    if not between > 0:
        raise DataError(f"{where}: expected timestamps that grow from line to line")
    return max(1, round(1 / between))
