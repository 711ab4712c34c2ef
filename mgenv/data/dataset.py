"""Reading a dataset: whole episodes, or shuffled windows with memory candidates.

Pictures are decoded when they are asked for, and only those.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mgenv.camera import Intrinsics
from mgenv.data import lerobot
from mgenv.data.episode import Captions, Episode
from mgenv.data.open_files import OpenFiles
from mgenv.data.records import RECORDS, check_files, committed
from mgenv.data.videos import VideoReader, to_metres
from mgenv.errors import DataError, InvalidOptionError

READER_BYTES, READER_FRAMES = 5 << 18, 12
"""Memory that an open video takes, measured: so many bytes, and so many of its frames."""


_CAPTIONS = [f"caption/{level}" for level in Captions.__dataclass_fields__]
_ROW = {"episode_index", "length", "tasks", "dataset_from_index", "source", "recording"}
_ROW |= {"data/chunk_index", "data/file_index", *_CAPTIONS}
"""Required columns of an episode."""


@dataclass
class Window:
    """Consecutive ticks of an episode, with memory candidates from the same episode.

    Attributes:
        episode: its number. start: the first tick.
        rgb: uint8 (L, H, W, 3); depth: float32 (L, H, W) [m] or None.
        pose: float32 (L, 4, 4); action: float32 (L, A); motion: float32 (L, 5).
        memory: int64 (M,) ticks outside the window. memory_pose: float32 (M, 4, 4).
        caption: of the episode.
    """

    episode: int
    start: int
    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32] | None
    pose: NDArray[np.float32]
    action: NDArray[np.float32]
    motion: NDArray[np.float32]
    memory: NDArray[np.int64]
    memory_pose: NDArray[np.float32]
    caption: str


class Dataset:
    """A LeRobotDataset v3.0 with camera poses, as ``mgenv collect`` writes it.

    Args:
        root: its folder.
        check: read all files and compare them with their checksums; sizes are always compared.
        memory: bytes that open files may take; about 512 MiB by default. Shuffled windows of more
            shards than fit are slower to read.

    Raises:
        DataError: it is missing, damaged, of another version, or its files do not agree.
    """

    def __init__(self, root: str | Path, check: bool = False, memory: int | None = None) -> None:
        self.root = Path(root).expanduser()
        self.info = lerobot.read_info(self.root)
        self._check_records(check)
        self.rows = self._read_episodes()
        self._open = OpenFiles(memory)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def frames(self) -> int:
        """Frames of all episodes."""
        return self.info["total_frames"]

    @property
    def features(self) -> dict[str, Any]:
        """As ``info.json`` has them."""
        return self.info["features"]

    def length(self, episode: int) -> int:
        """Ticks of an episode."""
        return self.rows[self._checked(episode)]["length"]

    # -- reading ---------------------------------------------------------------------------------

    def episode(self, episode: int) -> Episode:
        """A whole episode."""
        row, ticks = self.rows[self._checked(episode)], range(self.length(episode))
        table = self.columns(episode)
        lens = table[lerobot.LENS][0].tolist()
        labels = self.features.get(lerobot.LABELS, {}).get("info", {}).get("labels", [])
        return Episode(
            rgb=self.pictures(episode, ticks),
            depth=self.depth(episode, ticks),
            segmentation=self._decoded(lerobot.LABELS, "labels", episode, ticks),
            labels=tuple(labels),
            pose=table[lerobot.POSE].reshape(-1, 4, 4),
            motion=table[lerobot.MOTION],
            action=table[lerobot.ACTION].reshape(row["length"], -1),
            action_names=tuple(self.features[lerobot.ACTION]["names"]),
            bumped=table[lerobot.BUMPED],
            intrinsics=Intrinsics(fx=lens[0], fy=lens[1], cx=lens[2], cy=lens[3]),
            fps=self.info["fps"],
            captions=Captions(*(row[name] for name in _CAPTIONS)),
            source=row["source"],
            name=row["recording"],
        )

    def pictures(self, episode: int, ticks: Sequence[int]) -> NDArray[np.uint8]:
        """Colours at some ticks: uint8 (n, H, W, 3)."""
        frames = self._decoded(lerobot.IMAGE, "rgb", episode, ticks)
        assert frames is not None
        return frames

    def depth(self, episode: int, ticks: Sequence[int]) -> NDArray[np.float32] | None:
        """Depth [m] at some ticks: float32 (n, H, W), or None where none was recorded."""
        frames = self._decoded(lerobot.DEPTH, "depth", episode, ticks)
        return None if frames is None else to_metres(frames)

    def columns(self, episode: int) -> dict[str, NDArray]:
        """Columns other than pictures, by feature: (T,) or (T, n)."""
        row = self.rows[self._checked(episode)]
        file = row["data/chunk_index"] * lerobot.CHUNK + row["data/file_index"]
        table = self._open.get(("data", file), lambda: self._load_table(file)).columns
        start = row["dataset_from_index"] - int(table["index"][0])
        part = {name: values[start : start + row["length"]] for name, values in table.items()}
        ticks = np.arange(row["length"]) if start >= 0 else np.empty(0)
        if not np.array_equal(part["frame_index"], ticks) or set(part["episode_index"]) != {
            episode
        }:
            path = self.root / lerobot.place(lerobot.DATA, file)
            raise DataError(f"{path}: expected {row['length']} ticks of episode {episode}")
        return part

    def windows(
        self,
        length: int,
        memory: int = 0,
        stride: int = 1,
        seed: int = 0,
        epochs: int | None = 1,
        depth: bool = True,
    ) -> Iterator[Window]:
        """Windows of ``length`` ticks, shuffled over all shards; each once an epoch.

        Args:
            memory: how many other ticks of the episode come with each, in no order.
            stride: ticks from the start of a window to that of the next.
            epochs: how often; None for ever.
            depth: whether it is wanted; if not, it is not decoded.

        Raises:
            InvalidOptionError: no episode is that long, or a number means nothing.
        """
        for name, value, least in (
            ("length", length, 1),
            ("memory", memory, 0),
            ("stride", stride, 1),
        ):
            if value < least:
                raise InvalidOptionError(f"{name}: expected at least {least}, got {value}")
        starts = [
            (episode, start)
            for episode, row in enumerate(self.rows)
            for start in range(0, row["length"] - length + 1, stride)
        ]
        if not starts:
            raise InvalidOptionError(f"length: expected at most the longest episode, got {length}")
        return self._windows(starts, (length, memory, depth), np.random.default_rng(seed), epochs)

    def verify(self) -> None:
        """Decode everything and compare it with what the tables say.

        Raises:
            DataError: names the first file that does not hold what it should.
        """
        tasks = lerobot.read_tasks(self.root)
        for number in range(len(self)):
            named = {tasks[n] for n in set(self.columns(number)["task_index"]) if n < len(tasks)}
            if named != set(self.rows[number]["tasks"]):
                raise DataError(
                    f"{self.root / lerobot.TASKS}: expected the task of episode {number}, "
                    f"{self.rows[number]['tasks']}; got {named or 'none'}"
                )
            try:
                self.episode(number).check()
            except InvalidOptionError as error:
                raise DataError(f"{self.root}: episode {number}: {error}") from error

    def close(self) -> None:
        """Close all files."""
        self._open.close()

    # -- helpers ---------------------------------------------------------------------------------

    def _windows(
        self,
        starts: list[tuple[int, int]],
        wanted: tuple[int, int, bool],
        generator: np.random.Generator,
        epochs: int | None,
    ) -> Iterator[Window]:
        for _ in itertools.count() if epochs is None else range(epochs):
            for index in generator.permutation(len(starts)):
                episode, start = starts[index]
                yield self._window(episode, start, *wanted, generator)

    def _window(
        self,
        episode: int,
        start: int,
        length: int,
        memory: int,
        depth: bool,
        generator: np.random.Generator,
    ) -> Window:
        ticks, table = range(start, start + length), self.columns(episode)
        others = np.setdiff1d(np.arange(self.length(episode)), ticks)
        chosen = generator.permutation(others)[:memory]
        pose = table[lerobot.POSE].reshape(-1, 4, 4)
        part = slice(start, start + length)
        return Window(
            episode=episode,
            start=start,
            rgb=self.pictures(episode, ticks),
            depth=self.depth(episode, ticks) if depth else None,
            pose=pose[part],
            action=table[lerobot.ACTION].reshape(len(pose), -1)[part],
            motion=table[lerobot.MOTION][part],
            memory=chosen,
            memory_pose=pose[chosen],
            caption=self.rows[episode]["tasks"][0],
        )

    def _check_records(self, contents: bool) -> None:
        """Prove that all shards are recorded, and their files as they were; others have none."""
        recorded, total = 0, self.info["total_episodes"]
        for summary in committed(self.root):
            check_files(self.root, summary, contents)
            recorded += len(summary.episodes)
        if 0 < recorded < total:
            raise DataError(
                f"{self.root / RECORDS}: expected records of {total} episodes, got {recorded}"
            )

    def _read_episodes(self) -> list[dict[str, Any]]:
        """Rows of ``meta/episodes`` that ``info.json`` counts; their numbers must be theirs."""
        rows: list[dict[str, Any]] = []
        for file in sorted((self.root / "meta/episodes").glob("*/*.parquet")):
            table = lerobot.read_table(file)
            missing = _ROW - set(table.column_names)
            if missing:
                raise DataError(f"{file}: expected the columns {sorted(missing)}")
            rows += table.to_pylist()
        rows = rows[: self.info["total_episodes"]]
        numbers = [row["episode_index"] for row in rows]
        frames = sum(row["length"] for row in rows)
        if (
            numbers != list(range(self.info["total_episodes"]))
            or frames != self.info["total_frames"]
        ):
            raise DataError(
                f"{self.root / 'meta/episodes'}: expected {self.info['total_episodes']} episodes "
                f"of {self.info['total_frames']} frames, got {len(rows)} of {frames}"
            )
        return rows

    def _checked(self, episode: int) -> int:
        if not 0 <= episode < len(self.rows):
            raise InvalidOptionError(f"episode: expected 0 … {len(self) - 1}, got {episode}")
        return episode

    def _decoded(
        self, key: str, layout: str, episode: int, ticks: Sequence[int]
    ) -> NDArray[Any] | None:
        if key not in self.features:
            return None
        row = self.rows[self._checked(episode)]
        wrong = [tick for tick in ticks if not 0 <= tick < row["length"]]
        if wrong:
            raise InvalidOptionError(f"ticks: expected 0 … {row['length'] - 1}, got {wrong}")
        file = row[f"videos/{key}/chunk_index"] * lerobot.CHUNK + row[f"videos/{key}/file_index"]
        path = self.root / lerobot.place(lerobot.VIDEO, file, key)
        fps = self.info["fps"]
        height, width, channels = self.features[key]["shape"]
        frame = height * width * max(channels, 2)
        video = self._open.get((key, file), lambda: _Video(VideoReader(path, fps, layout), frame))
        start = round(row[f"videos/{key}/from_timestamp"] * fps)
        return video.reader.read([start + tick for tick in ticks])

    def _load_table(self, file: int) -> _Table:
        path = self.root / lerobot.place(lerobot.DATA, file)
        table, schema = lerobot.read_table(path), lerobot.data_schema(self.features)
        missing = set(schema.names) - set(table.column_names)
        if missing or table.num_rows == 0:
            raise DataError(f"{path}: expected rows with the columns {sorted(missing)}")
        try:
            table = table.select(schema.names).cast(schema)
        except (pa.ArrowException, ValueError) as error:
            raise DataError(f"{path}: expected the kinds of info.json; got: {error}") from error
        return _Table({name: _array(table.column(name)) for name in table.column_names})


class _Table:
    """Columns in memory, as :class:`mgenv.data.open_files.Openable`."""

    descriptors = 0

    def __init__(self, columns: dict[str, NDArray]) -> None:
        self.columns = columns
        self.nbytes = sum(column.nbytes for column in columns.values())

    def close(self) -> None:
        """Nothing to close."""


class _Video:
    """A video with frames of so many bytes, as :class:`mgenv.data.open_files.Openable`."""

    descriptors = 1

    def __init__(self, reader: VideoReader, frame: int) -> None:
        self.reader, self.nbytes = reader, READER_BYTES + READER_FRAMES * frame

    def close(self) -> None:
        self.reader.close()


def _array(column: Any) -> NDArray:
    """(T,) or (T, n) from a column."""
    joined = column.combine_chunks()
    if hasattr(joined.type, "list_size"):
        return joined.flatten().to_numpy().reshape(len(joined), joined.type.list_size)
    return joined.to_numpy(zero_copy_only=False)
