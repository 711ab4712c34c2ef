"""Pictures, depth and labels as video files, many episodes a file, and single frames out of them.

Depth and labels are stored without loss (FFV1); colours by H.264 in RGB, so that thin things keep
their hue. Frame n lies at n / fps seconds; every ``KEY_EVERY``-th can be reached on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from mgenv.errors import DataError, OutputError

KEY_EVERY = 8
"""Frames from one that can be decoded alone to the next."""

MILLIMETRES = 1000.0
FARTHEST = 65.535
"""Depth [m] that 16 bits of millimetres reach; what is farther is stored as that."""


@dataclass(frozen=True)
class Layout:
    """How a kind of picture is stored.

    Attributes:
        codec, pixels: as FFmpeg calls them. array: the pixel format of the arrays.
        options: of the codec.
    """

    codec: str
    pixels: str
    array: str
    options: dict[str, str]


_SEEKABLE = {"g": str(KEY_EVERY)}
_H264 = _SEEKABLE | {"preset": "ultrafast", "tune": "fastdecode", "bf": "0"}
"""Made for speed: at one ``crf`` files are 1.7 times those of ``veryfast``, and 4 dB better."""
_FFV1 = _SEEKABLE | {"slices": "1"}
"""Small pictures are stored in fewer bytes as one piece."""
LAYOUTS = {
    "rgb": Layout("libx264rgb", "rgb24", "rgb24", _H264 | {"crf": "12"}),
    "yuv420p": Layout("libx264", "yuv420p", "rgb24", _H264 | {"crf": "12"}),
    "depth": Layout("ffv1", "gray16le", "gray16le", _FFV1),
    "labels": Layout("ffv1", "gray", "gray", _FFV1),
}
"""``yuv420p`` is for players that know nothing else: colours have half the resolution."""


class VideoWriter:
    """Writes one file, frame after frame, in a thread beside its caller.

    Args:
        size: height and width.
        layout: a name in ``LAYOUTS``.
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: int, layout: str) -> None:
        self.path, self.layout, self.count = path, LAYOUTS[layout], 0
        try:
            self._file = av.open(str(path), "w", format="mp4")
        except OSError as error:
            raise OutputError(f"Expected to write {path}; got: {error}.") from error
        self._stream: Any = self._file.add_stream(self.layout.codec, rate=fps)
        self._stream.height, self._stream.width = size
        self._stream.pix_fmt = self.layout.pixels
        self._stream.time_base = Fraction(1, fps)
        self._stream.codec_context.thread_count = 1
        self._stream.options = dict(self.layout.options)
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def write(self, frames: NDArray) -> None:
        """Append frames (T, H, W, 3) or (T, H, W), once those before are; they must not change.

        Raises:
            OutputError: those before could not be written.
        """
        self._wait()
        self._writing = self._thread.submit(self._append, frames)

    def close(self) -> None:
        """Finish the file; whatever fails, neither file nor thread is left.

        Raises:
            OutputError: it could not be written.
        """
        try:
            self._wait()
            self._mux(None)
        finally:
            self._thread.shutdown()
            self._close_file()

    def _wait(self) -> None:
        if self._writing is not None:
            self._writing.result()

    def _close_file(self) -> None:
        try:
            self._file.close()
        except (FFmpegError, OSError) as error:
            raise OutputError(f"Expected to write {self.path}; got: {error}.") from error

    def _append(self, frames: NDArray) -> None:
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(frame), format=self.layout.array
            )
            picture.pts = self.count
            self._mux(picture)
            self.count += 1

    def _mux(self, picture: av.VideoFrame | None) -> None:
        try:
            for packet in self._stream.encode(picture):
                self._file.mux(packet)
        except (FFmpegError, OSError) as error:
            raise OutputError(f"Expected to write {self.path}; got: {error}.") from error


class VideoReader:
    """Reads single frames of a file; keeps it open.

    Raises:
        DataError: the file is missing or is no video.
    """

    def __init__(self, path: Path, fps: int, layout: str) -> None:
        self.path, self.layout, self._fps = path, LAYOUTS[layout], fps
        try:
            self._file = av.open(str(path))
            self._stream = self._file.streams.video[0]
        except (FFmpegError, OSError, IndexError) as error:
            raise DataError(f"{path}: expected a video; got: {error}") from error
        self._stream.codec_context.thread_count = 1
        self._frames: Any = None
        self._next = 0

    def read(self, indices: Sequence[int]) -> NDArray:
        """Frames (n, H, W[, 3]) in the order asked for, each decoded once.

        Raises:
            DataError: the file is damaged, or shorter than that.
        """
        found: dict[int, NDArray] = {}
        for index in sorted(set(indices)):
            found[index] = self._decode(index)
        return np.stack([found[index] for index in indices])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _decode(self, index: int) -> NDArray:
        try:
            if self._frames is None or not self._next <= index < self._next + KEY_EVERY:
                at = round(index / self._fps / self._stream.time_base)  # type: ignore[operator]
                self._file.seek(at, stream=self._stream)
                self._frames = self._file.decode(self._stream)
            for frame in self._frames:
                number = round(float(frame.pts * frame.time_base) * self._fps)
                self._next = number + 1
                if frame.is_corrupt:
                    raise DataError(
                        f"{self.path}: expected a whole video; frame {number} is damaged"
                    )
                if number == index:
                    return frame.to_ndarray(format=self.layout.array)
                if number > index:
                    break
        except (FFmpegError, OSError) as error:
            raise DataError(f"{self.path}: expected a whole video; got: {error}") from error
        self._frames = None
        raise DataError(f"{self.path}: expected frame {index}; the video does not have it")


def to_millimetres(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Depth [m] as it is stored; what is unknown is 0."""
    known = np.nan_to_num(depth, nan=0.0, posinf=FARTHEST, neginf=0.0).clip(0.0, FARTHEST)
    return (known * MILLIMETRES).round().astype(np.uint16)


def to_metres(depth: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The inverse of :func:`to_millimetres`, to half a millimetre."""
    return depth.astype(np.float32) / np.float32(MILLIMETRES)
