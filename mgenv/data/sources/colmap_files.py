"""COLMAP's cameras and images files, in text and in binary."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mgenv.data.sources.axes import inverse_of, transform_of
from mgenv.data.sources.parsing import number_of, numbers_of, read_text
from mgenv.data.sources.pictures import Lens
from mgenv.errors import DataError

MODELS = {  # by their number in binary files: name, focal lengths, numbers of distortion
    0: ("SIMPLE_PINHOLE", 1, 0),
    1: ("PINHOLE", 2, 0),
    2: ("SIMPLE_RADIAL", 1, 1),
    3: ("RADIAL", 1, 2),
    4: ("OPENCV", 2, 4),
}
STRAIGHT = 1e-6
"""Distortion up to which a lens counts as having none."""

POINT_BYTES = 24
"""x, y (double) and the id (int64) of each point that an image sees."""


@dataclass(frozen=True)
class View:
    """One registered image: its file's name, (4, 4) camera-to-world, and its camera's id."""

    image: str
    pose: NDArray[np.float64]
    camera: int


def read_model(folder: Path) -> tuple[dict[int, Lens], list[View], Path]:
    """Lenses by camera id, views as listed, and the file of the views.

    Raises:
        DataError: neither text nor binary files are there, they are damaged, a camera's model is
            not supported, or its lens distorts.
    """
    if (folder / "cameras.bin").is_file():
        cameras, views = folder / "cameras.bin", folder / "images.bin"
        return _binary_cameras(_Bytes(cameras)), _binary_views(_Bytes(views)), views
    cameras, views = folder / "cameras.txt", folder / "images.txt"
    return _text_cameras(cameras), _text_views(views), views


def _lens(model: str, width: float, height: float, values: NDArray, where: str) -> Lens:
    known = {name: (focals, bends) for name, focals, bends in MODELS.values()}
    if model not in known:
        raise DataError(
            f"{where}: expected a camera model of {', '.join(known)}; got {model}. "
            "Run colmap image_undistorter first."
        )
    focals, bends = known[model]
    if len(values) != focals + 2 + bends:
        raise DataError(f"{where}: expected {focals + 2 + bends} parameters, got {len(values)}")
    if not (np.isfinite(values).all() and (values[:focals] > 0).all() and min(width, height) > 0):
        raise DataError(f"{where}: expected sizes and focal lengths above 0, got {values.tolist()}")
    if np.abs(values[focals + 2 :]).max(initial=0) > STRAIGHT:
        raise DataError(
            f"{where}: expected pictures without distortion, got {model} with "
            f"{values[focals + 2 :].tolist()}. Run colmap image_undistorter first."
        )
    fx, fy = values[0], values[focals - 1]
    return Lens.in_pixels((fx, fy), (values[focals], values[focals + 1]), (width, height))


def _text_cameras(file: Path) -> dict[int, Lens]:
    """Lines of CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]."""
    lenses = {}
    for number, line in enumerate(read_text(file, "COLMAP's cameras").splitlines(), 1):
        words, where = line.split(), f"{file}, line {number}"
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 5:
            raise DataError(f"{where}: expected id, model, width, height, parameters; got {line!r}")
        width, height = numbers_of(words[2:4], where)
        values = numbers_of(words[4:], where)
        lenses[number_of(words[0], where)] = _lens(words[1], width, height, values, where)
    return lenses


def _text_views(file: Path) -> list[View]:
    """Pairs of lines: IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME; and its points."""
    lines = enumerate(read_text(file, "COLMAP's images").splitlines(), 1)
    lines = [(number, line) for number, line in lines if not line.startswith("#")]
    views = []
    for number, line in lines[::2]:
        words, where = line.split(maxsplit=9), f"{file}, line {number}"
        if not words:
            continue
        if len(words) != 10:
            raise DataError(f"{where}: expected 10 columns, got {len(words)}")
        values = numbers_of(words[1:8], where)
        views.append(_view(words[9].strip(), values, number_of(words[8], where), where))
    return views


def _view(image: str, values: NDArray[np.float64], camera: int, where: str) -> View:
    world_to_camera = transform_of(values[:4], values[4:], where)
    return View(image, inverse_of(world_to_camera), camera)


class _Bytes:
    """A binary file, read from front to back."""

    def __init__(self, file: Path) -> None:
        try:
            self._content = file.read_bytes()
        except OSError as error:
            raise DataError(f"{file}: expected a COLMAP file; it cannot be read") from error
        self.file, self._at = file, 0

    def take(self, layout: str) -> tuple:
        """Little-endian numbers."""
        start = self._skip(struct.calcsize("<" + layout))
        return struct.unpack_from("<" + layout, self._content, start)

    def word(self) -> str:
        """Text up to a zero byte."""
        end = self._content.find(b"\0", self._at)
        start = self._skip((end if end >= 0 else len(self._content)) + 1 - self._at)
        return self._content[start:end].decode("utf-8", "replace")

    def points(self, count: int) -> None:
        """Pass over what an image sees."""
        self._skip(count * POINT_BYTES)

    def _skip(self, size: int) -> int:
        start, self._at = self._at, self._at + size
        if self._at > len(self._content):
            raise DataError(
                f"{self.file}: expected at least {self._at} bytes, got {len(self._content)}"
            )
        return start


def _binary_cameras(file: _Bytes) -> dict[int, Lens]:
    lenses = {}
    for _ in range(file.take("Q")[0]):
        camera, model, width, height = file.take("iiQQ")
        where = f"{file.file}, camera {camera}"
        name, focals, bends = MODELS.get(model, (f"number {model}", 0, 0))
        values = np.array(file.take(f"{focals + 2 + bends}d"))
        lenses[camera] = _lens(name, width, height, values, where)
    return lenses


def _binary_views(file: _Bytes) -> list[View]:
    views = []
    for _ in range(file.take("Q")[0]):
        image, *values = file.take("i7d")
        camera, name = file.take("i")[0], file.word()
        views.append(_view(name, np.array(values), camera, f"{file.file}, image {image}"))
        file.points(file.take("Q")[0])
    return views
