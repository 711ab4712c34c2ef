"""RealEstate10K: camera paths of houses on film, published as text files (arXiv 1805.09817)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mgenv.camera import Intrinsics
from mgenv.data.sources.axes import UPRIGHT, inverse_of
from mgenv.data.sources.footage import FootageSource, PosedFrame, Recording
from mgenv.data.sources.parsing import (
    natural_order,
    need_path,
    numbers_of,
    rate_of,
    read_text,
)
from mgenv.data.sources.pictures import IMAGE_SUFFIXES, Lens
from mgenv.errors import DataError

COLUMNS = 19
CAMERA_FILE = "a RealEstate10K camera file (.txt)"


class RealEstate10KSource(FootageSource):
    """``path`` is one camera file or a folder of them, each with its pictures beside it::

        train/0000cc6d8b108390.txt              the video's URL, then a line for each frame
        train/0000cc6d8b108390/52553000.png     (or .jpg) named by the frame's timestamp [us]

    A line is: timestamp, fx fy cx cy (normalised), k1 k2 (zeros), and the 3×4 world-to-camera
    matrix, row by row, in OpenCV's axes. The dataset has no pictures: take them from the videos.
    In a folder, files without pictures are passed over, since many of the videos are gone.

    Its worlds have y down and start at the first camera; they are turned so that z is up. Their
    scale is unknown: a unit is not a metre.
    """

    name = "realestate10k"

    def recordings(self) -> Iterable[Recording]:
        if not self.options.path:
            raise DataError(f"Expected a path to {CAMERA_FILE} or a folder of them, got none")
        path = need_path(Path(self.options.path), f"{CAMERA_FILE} or a folder of them")
        if path.is_file():
            return [read_camera_file(path)]
        files = sorted(path.glob("*.txt"), key=natural_order)
        pictured = [file for file in files if file.with_suffix("").is_dir()]
        if not pictured:
            raise DataError(
                f"{path}: expected RealEstate10K camera files with folders of pictures beside; "
                f"got {len(files)} files, none with one"
            )
        return [read_camera_file(file) for file in pictured]


def read_camera_file(file: Path) -> Recording:
    """The recording of one camera file.

    Raises:
        DataError: it is not one, or there is no folder of pictures beside it.
    """
    url, *lines = read_text(file, CAMERA_FILE).splitlines() or [""]
    if "://" not in url:
        raise DataError(f"{file}, line 1: expected the video's URL, got {url[:60]!r}")
    folder = need_path(file.with_suffix(""), f"the folder of pictures of {file.name}")
    rows = [(n, line.split()) for n, line in enumerate(lines, 2) if line.strip()]
    frames = [_frame(words, folder, f"{file}, line {number}") for number, words in rows]
    seconds = numbers_of([words[0] for _, words in rows], file) * 1e-6
    return Recording(file.stem, file, [*frames], fps=rate_of(seconds, file))


def _frame(words: list[str], folder: Path, where: str) -> PosedFrame:
    if len(words) != COLUMNS:
        raise DataError(f"{where}: expected {COLUMNS} columns, got {len(words)}")
    numbers = numbers_of(words, where)
    if numbers[5:7].any():
        raise DataError(f"{where}: expected k1 and k2 to be 0, got {words[5]} {words[6]}")
    if not (numbers[1:3] > 0).all() or not np.isfinite(numbers).all():
        raise DataError(f"{where}: expected finite numbers and focal lengths above 0")
    world_to_camera = np.vstack([numbers[7:].reshape(3, 4), [0.0, 0.0, 0.0, 1.0]])
    pose = UPRIGHT["-y"] @ inverse_of(world_to_camera)
    return PosedFrame(_picture(folder, words[0]), pose, Lens(Intrinsics(*numbers[1:5].tolist())))


def _picture(folder: Path, timestamp: str) -> Path:
    for suffix in IMAGE_SUFFIXES:
        if (folder / (timestamp + suffix)).exists():
            return folder / (timestamp + suffix)
    raise DataError(f"{folder}: expected the picture {timestamp}.png or .jpg; there is none")
