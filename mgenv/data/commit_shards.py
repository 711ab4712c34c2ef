"""Commit of recorded shards to a dataset, one after another.

A commit numbers the shard's rows, links its files into the dataset, flushes them to the disk and
writes the shard's record last. A commit that was interrupted before the record is undone and
repeated.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mgenv.data import lerobot
from mgenv.data.records import (
    ShardSummary,
    check_files,
    check_same,
    committed,
    fingerprint,
    flush_to_disk,
    read_summary,
    record_of,
)
from mgenv.data.shards import FRAMES, SUMMARY
from mgenv.data.statistics import merged, statistics
from mgenv.errors import OutputError


class ShardCommitter:
    """Appends shards to a dataset; there is one for each dataset at a time."""

    def __init__(self, root: Path, robot: str) -> None:
        self.root, self.robot = root, robot
        self.shards = self.episodes = self.frames = 0
        self._filled: set[int] = set()
        self.next, self.dropped = 0, Counter()
        self.total = ShardSummary(0, 0)
        self._index: dict[str, int] = {}
        for summary in committed(root):
            check_files(root, summary)
            self._count(summary)
        self._clear_unrecorded()

    def commit(self, folder: Path) -> ShardSummary:
        """Make a whole, staged shard part of the dataset."""
        summary = read_summary(folder / SUMMARY)
        if summary.episodes:
            if self.total.features:
                check_same(self.total, summary.features, summary.fps, str(folder))
            summary = self._placed(self._place_files(folder, summary), summary)
        record = self.root / record_of(self.shards)
        lerobot.write_json(record, asdict(summary))
        flush_to_disk(self.root, [record])
        self._count(summary)
        self.describe()
        shutil.rmtree(folder, ignore_errors=True)
        return summary

    def _clear_unrecorded(self) -> None:
        """Remove files of shards whose commit was cut off; they are made or committed again."""
        for pattern in ("data/*/*", "meta/episodes/*/*", "videos/*/*/*"):
            for file in self.root.glob(pattern):
                chunk, number = (part[-3:] for part in (file.parent.name, file.stem))
                known = chunk.isdigit() and number.isdigit() and not file.name.startswith(".")
                if not known or int(chunk) * lerobot.CHUNK + int(number) not in self._filled:
                    file.unlink()

    def describe(self) -> None:
        """Write what follows from the records: the tasks, ``info.json`` and ``stats.json``."""
        if self.total.features:
            lerobot.write_tasks(self.root, list(self._index))
            args = (self.total.features, self.total.fps, self.episodes, self.frames)
            info = lerobot.describe_dataset(*args, len(self._index), self.robot)
            lerobot.write_json(self.root / lerobot.STATS, statistics(self.total.statistics))
            lerobot.write_json(self.root / lerobot.INFO, info)

    def _number_tasks(self, summary: ShardSummary) -> None:
        """In the order of their first episodes, so that records alone tell the numbers."""
        for row in summary.episodes:
            self._index.setdefault(row["task"], len(self._index))

    def _count(self, summary: ShardSummary) -> None:
        self._number_tasks(summary)
        if summary.episodes:
            self._filled.add(self.shards)
        self.shards += 1
        self.episodes += len(summary.episodes)
        self.frames += summary.frames
        self.next = summary.last
        self.dropped.update(summary.dropped)
        if summary.episodes:
            self.total.features, self.total.fps = summary.features, summary.fps
        for name, sums in summary.statistics.items():
            own = self.total.statistics
            own[name] = merged(own.get(name), sums)

    def _placed(self, files: list[Path], summary: ShardSummary) -> ShardSummary:
        """The summary with its files, which are on the disk from then on."""
        try:
            flush_to_disk(self.root, [*files, self.root / lerobot.TASKS])
            prints = {str(file.relative_to(self.root)): fingerprint(file) for file in files}
        except OSError as error:
            raise OutputError(f"Expected to write {self.root}; got: {error}.") from error
        return replace(summary, files=prints)

    def _place_files(self, folder: Path, summary: ShardSummary) -> list[Path]:
        """Everything but the record; may be done again after it was cut off."""
        root, number = self.root, self.shards
        self._number_tasks(summary)
        lerobot.write_tasks(root, list(self._index))
        files: list[Path] = []
        for key in (name for name, f in summary.features.items() if f["dtype"] == "video"):
            files.append(root / lerobot.place(lerobot.VIDEO, number, key))
            _link(folder / f"{key}.mp4", files[-1])
        table = self._numbered(lerobot.read_table(folder / FRAMES), summary)
        rows = [self._row(summary, n) for n in range(len(summary.episodes))]
        tables = {lerobot.DATA: table, lerobot.EPISODES: pa.Table.from_pylist(rows)}
        for pattern, content in tables.items():
            files.append(root / lerobot.place(pattern, number))
            lerobot.write_table(files[-1], content)
        return files

    def _numbered(self, table: pa.Table, summary: ShardSummary) -> pa.Table:
        """The shard's frames with their numbers in the dataset."""
        own = table.column("episode_index").to_numpy()
        tasks = np.array([self._index[row["task"]] for row in summary.episodes])
        values = {
            "episode_index": own + self.episodes,
            "index": np.arange(len(own)) + self.frames,
            "task_index": tasks[own],
        }
        for name, numbers in values.items():
            at = table.schema.get_field_index(name)
            table = table.set_column(at, name, pa.array(numbers, pa.int64()))
        return table

    def _row(self, summary: ShardSummary, n: int) -> dict[str, Any]:
        """Row n of the shard in ``meta/episodes``."""
        row = summary.episodes[n]
        start = self.frames + sum(r["length"] for r in summary.episodes[:n])
        at = {
            "chunk_index": self.shards // lerobot.CHUNK,
            "file_index": self.shards % lerobot.CHUNK,
        }
        placed: dict[str, Any] = {
            "episode_index": self.episodes + n,
            "tasks": [row["task"]],
            "length": row["length"],
            "dataset_from_index": start,
            "dataset_to_index": start + row["length"],
        }
        for where in ("data", "meta/episodes"):
            placed |= {f"{where}/{name}": value for name, value in at.items()}
        for key in (name for name, f in summary.features.items() if f["dtype"] == "video"):
            placed |= {f"videos/{key}/{name}": value for name, value in at.items()}
            begin = row["video_start"]
            placed[f"videos/{key}/from_timestamp"] = begin / summary.fps
            placed[f"videos/{key}/to_timestamp"] = (begin + row["length"]) / summary.fps
        others = ("source", "recording", "source_number")
        captions = {name: text for name, text in row.items() if name.startswith("caption/")}
        return placed | {name: row[name] for name in others} | captions


def _link(file: Path, place: Path) -> None:
    """Put a file in a second place, whole or not at all."""
    beside = place.with_name(f".{place.name}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)
        try:
            os.link(file, beside)
        except OSError:  # another disk, or one without links
            shutil.copyfile(file, beside)
        os.replace(beside, place)
    except OSError as error:
        raise OutputError(f"Expected to write {place}; got: {error}.") from error
