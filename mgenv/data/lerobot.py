"""LeRobotDataset v3.0: names, places and the small files that describe a dataset.

Source: the format's description and reader in LeRobot 0.4 (huggingface.co/docs/lerobot). Tables are
written by pyarrow alone; LeRobot reads them through pandas, whose index the task names are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mgenv.camera import MOTION_NAMES, MOTION_SIZE
from mgenv.data.episode import Episode
from mgenv.data.sources.parsing import need_key, need_number
from mgenv.data.videos import LAYOUTS
from mgenv.errors import DataError
from mgenv.output import write_bytes, write_text

VERSION = "v3.0"
CHUNK = 1000
"""Files a folder."""

IMAGE, DEPTH, LABELS = "observation.image", "observation.depth", "observation.segmentation"
POSE, LENS, MOTION = "observation.camera_pose", "observation.intrinsics", "observation.motion"
BUMPED, ACTION = "observation.bumped", "action"
INFO, STATS, TASKS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"

_POSE_NAMES = [f"{row}{column}" for row in "xyzw" for column in ("right", "down", "forward", "at")]
_INDICES = ("frame_index", "episode_index", "index", "task_index")


def place(pattern: str, number: int, key: str = "") -> str:
    """Where file ``number`` of a kind lies."""
    at = {"chunk_index": number // CHUNK, "file_index": number % CHUNK, "video_key": key}
    return pattern.format(**at)


def video_layouts(episode: Episode, colours: str) -> dict[str, str]:
    """The videos that an episode needs, and the layout of each."""
    layouts = {IMAGE: colours}
    if episode.depth is not None:
        layouts[DEPTH] = "depth"
    if episode.segmentation is not None:
        layouts[LABELS] = "labels"
    return layouts


def describe_features(episode: Episode, colours: str) -> dict[str, Any]:
    """The features of a dataset of episodes like this one, as in ``info.json``."""
    features = {
        key: _video_feature(episode, key, layout)
        for key, layout in video_layouts(episode, colours).items()
    }
    features[POSE] = _numbers(16, _POSE_NAMES)
    features[LENS] = _numbers(4, ["fx", "fy", "cx", "cy"])
    features[MOTION] = _numbers(MOTION_SIZE, list(MOTION_NAMES))
    features[BUMPED] = {"dtype": "bool", "shape": [1], "names": None}
    features[ACTION] = _numbers(len(episode.action_names), list(episode.action_names))
    features["timestamp"] = {"dtype": "float32", "shape": [1], "names": None}
    for name in _INDICES:
        features[name] = {"dtype": "int64", "shape": [1], "names": None}
    return features


def _numbers(count: int, names: list[str]) -> dict[str, Any]:
    return {"dtype": "float32", "shape": [count], "names": names}


def _video_feature(episode: Episode, key: str, layout: str) -> dict[str, Any]:
    height, width = episode.rgb.shape[1:3]
    channels = 3 if key == IMAGE else 1
    info: dict[str, Any] = {
        "video.height": height,
        "video.width": width,
        "video.codec": "ffv1" if LAYOUTS[layout].codec == "ffv1" else "h264",
        "video.pix_fmt": "gbrp" if layout == "rgb" else LAYOUTS[layout].pixels,
        "video.is_depth_map": key == DEPTH,
        "video.fps": episode.fps,
        "video.channels": channels,
        "has_audio": False,
    }
    if key == DEPTH:
        info["unit"] = "mm"
    if key == LABELS:
        info["labels"] = list(episode.labels)
    names = ["height", "width", "channels"]
    return {"dtype": "video", "shape": [height, width, channels], "names": names, "info": info}


def data_schema(features: dict[str, Any]) -> pa.Schema:
    """Columns of the tables of frames."""
    kinds = {"float32": pa.float32(), "int64": pa.int64(), "bool": pa.bool_()}
    columns = []
    for name, feature in features.items():
        if feature["dtype"] != "video":
            kind, (size,) = kinds[feature["dtype"]], feature["shape"]
            columns.append((name, kind if size == 1 else pa.list_(kind, size)))
    return pa.schema(columns)


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table whole or not at all."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="snappy")
    write_bytes(path, sink.getvalue().to_pybytes())


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a table.

    Raises:
        DataError: it is missing or damaged; names the file.
    """
    try:
        with pq.ParquetFile(path) as file:  # a third of the time of pq.read_table
            return file.read(columns=columns, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: expected a Parquet table; got: {error}") from error


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole or not at all."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        DataError: it is missing or damaged; names the file.
    """
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected JSON; got: {error}") from error


def read_info(root: Path) -> dict[str, Any]:
    """What ``info.json`` says, if it describes a dataset of cameras' walks.

    Raises:
        DataError: it is missing or damaged, of another version, or lacks something.
    """
    file = root / INFO
    if not file.is_file():
        raise DataError(
            f"{file}: expected a LeRobotDataset {VERSION}, as `mgenv collect` writes it; there is "
            "no such file"
        )
    info = read_json(file)
    version = info.get("codebase_version") if isinstance(info, dict) else None
    if version != VERSION:
        raise DataError(f"{file}: expected codebase_version {VERSION!r}, got {version!r}")
    for key in ("total_episodes", "total_frames", "total_tasks"):
        need_number(info, key, str(file), above=-1)
    need_number(info, "fps", str(file), above=0)
    features = need_key(info, "features", dict, str(file))
    for name in (IMAGE, POSE, LENS, MOTION, BUMPED, ACTION):
        feature = need_key(features, name, dict, f"{file}, features")
        for key, kind in (("dtype", str), ("shape", list)):
            need_key(feature, key, kind, f"{file}, {name}")
    need_key(features[ACTION], "names", list, f"{file}, {ACTION}")
    return info


def write_tasks(root: Path, tasks: list[str]) -> None:
    """The table of tasks; its pandas index holds their texts."""
    index = "__index_level_0__"
    kinds = [(index, "unicode", "object"), ("task_index", "int64", "int64")]
    columns = [
        {"name": None if name == index else name, "field_name": name, "pandas_type": kind,
         "numpy_type": numpy_kind, "metadata": None}
        for name, kind, numpy_kind in kinds
    ]  # fmt: skip
    pandas = {"index_columns": [index], "column_indexes": [], "columns": columns}
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), index: tasks})
    write_table(
        root / TASKS, table.replace_schema_metadata({b"pandas": json.dumps(pandas).encode()})
    )


def read_tasks(root: Path) -> list[str]:
    """Texts of the tasks, by index; none where there is no table yet."""
    if not (root / TASKS).exists():
        return []
    table = read_table(root / TASKS)
    if "__index_level_0__" not in table.column_names:
        raise DataError(f"{root / TASKS}: expected texts of tasks, got {table.column_names}")
    return table.column("__index_level_0__").to_pylist()


def describe_dataset(
    features: dict[str, Any], fps: int, episodes: int, frames: int, tasks: int, robot: str
) -> dict[str, Any]:
    """What ``meta/info.json`` says."""
    return {
        "codebase_version": VERSION,
        "robot_type": robot,
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": tasks,
        "chunks_size": CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": fps,
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA,
        "video_path": VIDEO,
        "features": features,
    }
