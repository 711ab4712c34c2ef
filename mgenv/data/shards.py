"""Shards: a few episodes each, recorded anywhere, then adopted into the dataset one after another.

A worker builds a shard in a folder of its own, which gets its final name only when it is whole.
Adopting gives its rows their numbers in the dataset, puts its files in their places, and last of
all writes its record, ``meta/shards/…json``: a shard belongs to the dataset if and only if its
record is there. Whatever was killed, what has no record is made again or adopted again.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mgenv.data import lerobot
from mgenv.data.episode import Episode
from mgenv.data.filters import FilterConfig, first_fault
from mgenv.data.sources import Source
from mgenv.data.videos import VideoWriter, to_millimetres
from mgenv.errors import DataError, MgenvError, OutputError

STAGING = ".staging"
RECORDS = "meta/shards"
FRAMES, SUMMARY = "frames.parquet", "summary.json"


@dataclass
class Summary:
    """What a shard holds.

    Attributes:
        first, last: the source's numbers ``first`` … ``last`` - 1 were recorded.
        episodes: of each that was kept, its row for ``meta/episodes`` but the places.
        dropped: how many were dropped, by the filter that did it.
        features, fps: as ``info.json`` has them; empty where nothing was kept.
        statistics: sums for ``stats.json``, by feature.
    """

    first: int
    last: int
    episodes: list[dict[str, Any]] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    features: dict[str, Any] = field(default_factory=dict)
    fps: int = 0
    statistics: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        """Frames that were kept."""
        return sum(row["length"] for row in self.episodes)


# -- recording ------------------------------------------------------------------------------------


def staged(root: Path, first: int, last: int) -> Path:
    """The folder of a whole shard that is not adopted yet."""
    return root / STAGING / f"{first:09d}-{last:09d}"


def record_shard(
    root: Path, source: Source, first: int, last: int, filters: FilterConfig, colours: str
) -> Summary:
    """Record the source's episodes ``first`` … ``last`` - 1 into a folder of their own."""
    final = staged(root, first, last)
    part = final.with_name(f"{final.name}.part-{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        shard = _Shard(part, Summary(first, last), colours)
        for number in range(first, last):
            shard.add(number, _recorded(source, number), filters)
        shard.close()
        if not final.exists():  # else another process was first, with the same
            part.rename(final)
    except MgenvError:
        raise
    except OSError as error:
        raise OutputError(f"Expected to write {part}; got: {error}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return shard.summary


def _recorded(source: Source, number: int) -> Episode:
    try:
        return source.record(number)
    except OSError as error:
        if isinstance(error, MgenvError):
            raise
        raise DataError(f"{source.name}: expected episode {number}; got: {error}") from error


class _Shard:
    """A shard that is being recorded."""

    def __init__(self, folder: Path, summary: Summary, colours: str) -> None:
        self.folder, self.summary, self.colours = folder, summary, colours
        self._videos: dict[str, VideoWriter] = {}
        self._tables: list[pa.Table] = []
        self._dropped: Counter[str] = Counter()

    def add(self, number: int, episode: Episode, filters: FilterConfig) -> None:
        """Keep an episode, or count why not."""
        fault = first_fault(episode.check(), filters)
        if fault is not None:
            self._dropped[fault] += 1
            return
        summary, features = self.summary, lerobot.describe_features(episode, self.colours)
        if not summary.episodes:
            summary.features, summary.fps = features, episode.fps
            self._open_videos(episode)
        check_same(summary, features, episode.fps, f"{episode.source} {episode.name}")
        for key, frames in _pictures(episode).items():
            self._videos[key].write(frames)
        row = _episode_row(number, episode) | {"video_start": summary.frames}
        columns = _columns(episode, len(summary.episodes))
        _add_statistics(summary.statistics, columns | {lerobot.IMAGE: episode.rgb})
        self._tables.append(_table(columns, features))
        summary.episodes.append(row)

    def close(self) -> None:
        """Finish all files."""
        for video in self._videos.values():
            video.close()
        self.summary.dropped = dict(self._dropped)
        if self._tables:
            lerobot.write_table(self.folder / FRAMES, pa.concat_tables(self._tables))
        lerobot.write_json(self.folder / SUMMARY, asdict(self.summary))

    def _open_videos(self, episode: Episode) -> None:
        size = (episode.rgb.shape[1], episode.rgb.shape[2])
        for key, layout in lerobot.video_layouts(episode, self.colours).items():
            self._videos[key] = VideoWriter(self.folder / f"{key}.mp4", size, episode.fps, layout)


def check_same(summary: Summary, features: dict[str, Any], fps: int, where: str) -> None:
    """Prove that an episode or shard has the features of what is there.

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


def _pictures(episode: Episode) -> dict[str, np.ndarray]:
    pictures: dict[str, np.ndarray] = {lerobot.IMAGE: episode.rgb}
    if episode.depth is not None:
        pictures[lerobot.DEPTH] = to_millimetres(episode.depth)
    if episode.segmentation is not None:
        pictures[lerobot.LABELS] = episode.segmentation
    return pictures


def _episode_row(number: int, episode: Episode) -> dict[str, Any]:
    captions = {f"caption/{level}": text for level, text in asdict(episode.captions).items()}
    names = {"source": episode.source, "recording": episode.name, "source_number": number}
    return {"length": len(episode), "task": str(episode.captions)} | names | captions


def _columns(episode: Episode, index: int) -> dict[str, np.ndarray]:
    """Columns of the frames' table, with the episode's number within the shard."""
    ticks = np.arange(len(episode))
    lens = episode.intrinsics
    lens_row = np.array([lens.fx, lens.fy, lens.cx, lens.cy], np.float32)
    return {
        lerobot.POSE: episode.pose.reshape(-1, 16),
        lerobot.LENS: np.broadcast_to(lens_row, (len(ticks), 4)),
        lerobot.MOTION: episode.motion,
        lerobot.BUMPED: episode.bumped,
        lerobot.ACTION: episode.action,
        "timestamp": (ticks / episode.fps).astype(np.float32),
        "frame_index": ticks,
        "episode_index": np.full(len(ticks), index),
        "index": ticks,
        "task_index": np.full(len(ticks), index),
    }


def _table(columns: dict[str, np.ndarray], features: dict[str, Any]) -> pa.Table:
    schema = lerobot.data_schema(features)
    arrays = []
    for column in schema:
        values = columns[column.name]
        if pa.types.is_fixed_size_list(column.type):
            flat = pa.array(np.ascontiguousarray(values, np.float32).ravel())
            arrays.append(pa.FixedSizeListArray.from_arrays(flat, values.shape[1]))
        else:
            arrays.append(pa.array(values.reshape(len(values)), column.type))
    return pa.Table.from_arrays(arrays, schema=schema)


# -- statistics -----------------------------------------------------------------------------------


def _add_statistics(sums: dict[str, dict[str, Any]], columns: dict[str, np.ndarray]) -> None:
    """Add least, most, sum, sum of squares and count of each feature; pictures in [0, 1]."""
    for name, values in columns.items():
        if name in ("episode_index", "index", "task_index"):
            continue
        new = _sums_of_pictures(values) if name == lerobot.IMAGE else _sums(values)
        sums[name] = merged(sums.get(name), {k: np.asarray(v).tolist() for k, v in new.items()})


def _sums(values: np.ndarray) -> dict[str, Any]:
    flat = values.reshape(len(values), -1).astype(np.float64)
    new = {"min": flat.min(0), "max": flat.max(0), "sum": flat.sum(0)}
    return new | {"squares": np.square(flat).sum(0), "count": float(len(flat))}


def _sums_of_pictures(pictures: np.ndarray) -> dict[str, Any]:
    """Of some eight pictures (T, H, W, 3), by counting how often each level occurs."""
    some = pictures[:: max(1, len(pictures) // 8)].reshape(-1, 3)
    counts = np.stack([np.bincount(channel, minlength=256) for channel in some.T])  # (3, 256)
    levels, there = np.arange(256) / 255.0, counts > 0
    return {
        "min": levels[there.argmax(1)],
        "max": levels[255 - there[:, ::-1].argmax(1)],
        "sum": counts @ levels,
        "squares": counts @ levels**2,
        "count": float(len(some)),
    }


def merged(sums: dict[str, Any] | None, more: dict[str, Any]) -> dict[str, Any]:
    """Sums of two parts together."""
    if sums is None:
        return more
    together = {"min": np.minimum, "max": np.maximum, "sum": np.add, "squares": np.add}
    joined = {k: f(np.array(sums[k]), np.array(more[k])).tolist() for k, f in together.items()}
    return joined | {"count": sums["count"] + more["count"]}


def statistics(sums: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What ``stats.json`` says: pictures by channel, (3, 1, 1)."""
    stats = {}
    for name, part in sums.items():
        mean = np.array(part["sum"]) / part["count"]
        variance = np.maximum(np.array(part["squares"]) / part["count"] - mean**2, 0.0)
        values = {"min": part["min"], "max": part["max"], "mean": mean, "std": np.sqrt(variance)}
        shape = (3, 1, 1) if name == lerobot.IMAGE else (-1,)
        stats[name] = {k: np.reshape(v, shape).tolist() for k, v in values.items()}
        stats[name]["count"] = [int(part["count"])]
    return stats


# -- adopting -------------------------------------------------------------------------------------


def adopted(root: Path) -> Iterator[Summary]:
    """The shards that belong to a dataset, in order.

    Raises:
        DataError: a record is damaged, or one is missing before others.
    """
    files = sorted((root / RECORDS).glob("shard-*.json"))
    for number, file in enumerate(files):
        if file.name != f"shard-{number:06d}.json":
            raise DataError(f"{root / RECORDS}: expected shard-{number:06d}.json, got {file.name}")
        try:
            yield Summary(**lerobot.read_json(file))
        except TypeError as error:
            raise DataError(f"{file}: expected a shard's record; got: {error}") from error


class Adopter:
    """Appends shards to a dataset; there is one for each dataset at a time."""

    def __init__(self, root: Path, robot: str) -> None:
        self.root, self.robot = root, robot
        self.shards = self.episodes = self.frames = 0
        self._filled: set[int] = set()
        self.next, self.dropped = 0, Counter()
        self.total = Summary(0, 0)
        self.tasks = lerobot.read_tasks(root)
        self._index = {task: number for number, task in enumerate(self.tasks)}
        for summary in adopted(root):
            self._count(summary)
        self._clear_unrecorded()

    def adopt(self, folder: Path) -> Summary:
        """Make a whole, staged shard part of the dataset."""
        summary = Summary(**lerobot.read_json(folder / SUMMARY))
        if summary.episodes:
            if self.total.features:
                check_same(self.total, summary.features, summary.fps, str(folder))
            self._place_files(folder, summary)
        record = self.root / RECORDS / f"shard-{self.shards:06d}.json"
        lerobot.write_json(record, asdict(summary))
        self._count(summary)
        self.describe()
        shutil.rmtree(folder, ignore_errors=True)
        return summary

    def _clear_unrecorded(self) -> None:
        """Remove files of shards whose adoption was cut off; they are made or adopted again."""
        for pattern in ("data/*/*", "meta/episodes/*/*", "videos/*/*/*"):
            for file in self.root.glob(pattern):
                chunk, number = (part[-3:] for part in (file.parent.name, file.stem))
                known = chunk.isdigit() and number.isdigit() and not file.name.startswith(".")
                if not known or int(chunk) * lerobot.CHUNK + int(number) not in self._filled:
                    file.unlink()

    def describe(self) -> None:
        """Write what follows from the records: ``info.json`` and ``stats.json``."""
        if self.total.features:
            args = (self.total.features, self.total.fps, self.episodes, self.frames)
            info = lerobot.describe_dataset(*args, len(self.tasks), self.robot)
            lerobot.write_json(self.root / lerobot.STATS, statistics(self.total.statistics))
            lerobot.write_json(self.root / lerobot.INFO, info)

    def _count(self, summary: Summary) -> None:
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

    def _place_files(self, folder: Path, summary: Summary) -> None:
        """Everything but the record; may be done again after it was cut off."""
        root, number = self.root, self.shards
        for row in summary.episodes:
            if row["task"] not in self._index:
                self._index[row["task"]] = len(self.tasks)
                self.tasks.append(row["task"])
        lerobot.write_tasks(root, self.tasks)
        for key in (name for name, f in summary.features.items() if f["dtype"] == "video"):
            _link(folder / f"{key}.mp4", root / lerobot.place(lerobot.VIDEO, number, key))
        table = self._numbered(lerobot.read_table(folder / FRAMES), summary)
        lerobot.write_table(root / lerobot.place(lerobot.DATA, number), table)
        rows = [self._row(summary, n) for n in range(len(summary.episodes))]
        place = root / lerobot.place(lerobot.EPISODES, number)
        lerobot.write_table(place, pa.Table.from_pylist(rows))

    def _numbered(self, table: pa.Table, summary: Summary) -> pa.Table:
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

    def _row(self, summary: Summary, n: int) -> dict[str, Any]:
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
