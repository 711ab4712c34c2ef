"""Records of shards, ``meta/shards/shard-….json``: the episodes and files of each shard.

A shard belongs to a dataset if and only if its record exists. The record is written last, after
every file that it names is on the disk, and holds the size and SHA-256 of each file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mgenv.data import lerobot
from mgenv.errors import DataError

RECORDS = "meta/shards"


@dataclass
class ShardSummary:
    """Summary of a shard's contents.

    Attributes:
        first, last: the source's numbers ``first`` … ``last`` - 1 were recorded.
        episodes: of each that was kept, its row for ``meta/episodes`` but the places.
        dropped: how many were dropped, by the filter that did it.
        features, fps: as ``info.json`` has them; empty where nothing was kept.
        statistics: sums for ``stats.json``, by feature.
        files: of each file, by its place in the dataset, ``bytes`` and ``sha256``; known once the
            shard is committed.
    """

    first: int
    last: int
    episodes: list[dict[str, Any]] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    features: dict[str, Any] = field(default_factory=dict)
    fps: int = 0
    statistics: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        """Frames that were kept."""
        return sum(row["length"] for row in self.episodes)


def record_of(number: int) -> str:
    """Where the record of shard ``number`` lies in a dataset."""
    return f"{RECORDS}/shard-{number:06d}.json"


def read_summary(file: Path) -> ShardSummary:
    """A summary or record.

    Raises:
        DataError: it is missing or damaged; names it.
    """
    content = lerobot.read_json(file)
    try:
        summary = ShardSummary(**content)
    except TypeError as error:
        raise DataError(f"{file}: expected a shard's record; got: {error}") from error
    for name, usual in asdict(ShardSummary(0, 0)).items():
        got, kind = getattr(summary, name), type(usual)
        if not isinstance(got, kind):
            raise DataError(f"{file}: expected {name} to be {kind.__name__}, got {got!r}")
    if not all(isinstance(known, dict) for known in summary.files.values()):
        raise DataError(f"{file}: expected files to be sizes and checksums, got {summary.files}")
    return summary


def committed(root: Path) -> Iterator[ShardSummary]:
    """The shards that belong to a dataset, in order.

    Raises:
        DataError: a record is damaged, or one is missing before others.
    """
    files = sorted((root / RECORDS).glob("shard-*.json"))
    for number, file in enumerate(files):
        if file.name != f"shard-{number:06d}.json":
            raise DataError(f"{root / RECORDS}: expected shard-{number:06d}.json, got {file.name}")
        yield read_summary(file)


def check_same(summary: ShardSummary, features: dict[str, Any], fps: int, where: str) -> None:
    """Check that an episode or shard has the features of the dataset.

    Raises:
        DataError: says which feature differs.
    """
    for name in summary.features.keys() | features.keys():
        own, other = summary.features.get(name), features.get(name)
        if own != other:
            raise DataError(
                f"{where}: expected {name} to be {own} in all of a dataset, got {other}"
            )
    if summary.fps != fps:
        raise DataError(f"{where}: expected {summary.fps} ticks a second, got {fps}")


# -- files ----------------------------------------------------------------------------------------


def fingerprint(file: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file, as records have them."""
    with open(file, "rb") as stream:
        return {
            "bytes": os.fstat(stream.fileno()).st_size,
            "sha256": hashlib.file_digest(stream, "sha256").hexdigest(),
        }


def check_files(root: Path, summary: ShardSummary, contents: bool = False) -> None:
    """Prove that a shard's files are as long as its record says, or hold the very same bytes.

    Args:
        contents: read all of them and compare checksums; else only sizes are looked at.

    Raises:
        DataError: names the first file that is missing or differs.
    """
    for place, wanted in summary.files.items():
        file = root / place
        try:
            size = file.stat().st_size
            found = fingerprint(file) if contents else {"bytes": size}
        except OSError as error:
            raise DataError(f"{file}: expected a file of the dataset; got: {error}") from error
        for name, value in found.items():
            if value != wanted.get(name):
                raise DataError(
                    f"{file}: expected {wanted.get(name)} {name}, as the record of its shard says; "
                    f"got {value}. The file is damaged or was changed."
                )


def flush_to_disk(root: Path, files: Iterable[Path]) -> None:
    """Return when files, and their names in all folders up to ``root``, are on the disk."""
    folders: set[Path] = {root}
    for file in files:
        _sync(file)
        folders |= {folder for folder in file.parents if folder.is_relative_to(root)}
    for folder in sorted(folders, reverse=True):
        _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
