"""Recording of shards: a few episodes each, committed to the dataset one after another.

A worker records a shard in a temporary folder and renames it once the shard is complete and on the
disk. The shard belongs to the dataset once it is committed (:mod:`mgenv.data.commit_shards`) and
its record exists (:mod:`mgenv.data.records`). Without a record, an interrupted shard is recorded
or committed again.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mgenv.data import lerobot
from mgenv.data.episode import Episode
from mgenv.data.filters import FilterConfig, first_fault
from mgenv.data.records import ShardSummary, check_same, flush_to_disk
from mgenv.data.sources import Source, UnfitError
from mgenv.data.statistics import add_statistics
from mgenv.data.videos import VideoWriter, to_millimetres
from mgenv.errors import DataError, MgenvError, OutputError

STAGING = ".staging"
FRAMES, SUMMARY = "frames.parquet", "summary.json"


def staged(root: Path, first: int, last: int) -> Path:
    """The folder of a whole shard that is not committed yet."""
    return root / STAGING / f"{first:09d}-{last:09d}"


def record_shard(
    root: Path, source: Source, first: int, last: int, filters: FilterConfig, colours: str
) -> ShardSummary:
    """Record the source's episodes ``first`` … ``last`` - 1 into a folder of their own."""
    final = staged(root, first, last)
    part = final.with_name(f"{final.name}.part-{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        with _Shard(part, ShardSummary(first, last), colours) as shard:
            for number in range(first, last):
                shard.record(number, source, filters)
            shard.close()
        flush_to_disk(part, part.iterdir())
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
    """A shard that is being recorded; a context at whose end no video is left open."""

    def __init__(self, folder: Path, summary: ShardSummary, colours: str) -> None:
        self.folder, self.summary, self.colours = folder, summary, colours
        self._videos: dict[str, VideoWriter] = {}
        self._open = ExitStack()
        self._tables: list[pa.Table] = []
        self._dropped: Counter[str] = Counter()

    def __enter__(self) -> _Shard:
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OutputError):  # the shard is given up for another error
            self._open.close()

    def record(self, number: int, source: Source, filters: FilterConfig) -> None:
        """Record an episode and keep it, or count why not."""
        try:
            episode = _recorded(source, number).check()
            fault = first_fault(episode, filters)
        except UnfitError as error:
            fault = error.fault
        if fault is None:
            self._keep(number, episode)
        else:
            self._dropped[fault] += 1

    def _keep(self, number: int, episode: Episode) -> None:
        summary, features = self.summary, lerobot.describe_features(episode, self.colours)
        if not summary.episodes:
            summary.features, summary.fps = features, episode.fps
            self._open_videos(episode)
        check_same(summary, features, episode.fps, f"{episode.source} {episode.name}")
        for key, frames in _pictures(episode).items():
            self._videos[key].write(frames)
        row = _episode_row(number, episode) | {"video_start": summary.frames}
        columns = _columns(episode, len(summary.episodes))
        add_statistics(summary.statistics, columns | {lerobot.IMAGE: episode.rgb})
        self._tables.append(_table(columns, features))
        summary.episodes.append(row)

    def close(self) -> None:
        """Finish all files."""
        self._open.close()
        self.summary.dropped = dict(self._dropped)
        if self._tables:
            lerobot.write_table(self.folder / FRAMES, pa.concat_tables(self._tables))
        lerobot.write_json(self.folder / SUMMARY, asdict(self.summary))

    def _open_videos(self, episode: Episode) -> None:
        size = (episode.rgb.shape[1], episode.rgb.shape[2])
        for key, layout in lerobot.video_layouts(episode, self.colours).items():
            path = self.folder / f"{key}.mp4"
            self._videos[key] = video = VideoWriter(path, size, episode.fps, layout)
            self._open.callback(video.close)


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
