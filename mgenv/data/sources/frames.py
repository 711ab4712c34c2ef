"""The user's own footage: pictures or a video, with poses in one JSON file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mgenv.camera import Intrinsics
from mgenv.data.sources.axes import FROM_OPENGL, UPRIGHT
from mgenv.data.sources.footage import FootageSource, PosedFrame, Recording
from mgenv.data.sources.parsing import (
    matrix_of,
    natural_order,
    need_key,
    need_number,
    read_json,
    scenes_under,
)
from mgenv.data.sources.pictures import IMAGE_SUFFIXES, Lens
from mgenv.errors import DataError

FILE = "poses.json"
VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi")
CONVENTIONS = {"opencv": np.eye(4), "opengl": FROM_OPENGL}


class FramesSource(FootageSource):
    """``path`` is a folder with poses.json and its footage, or a folder of such folders::

        recording/poses.json
        recording/images/0001.png, …   (or in the folder itself) in the order of their names; or
        recording/walk.mp4             one video

    poses.json holds::

        {"intrinsics": {"fx": 0.8, "fy": 1.1, "cx": 0.5, "cy": 0.5},
         "convention": "opencv",
         "poses": [[[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], …],
         "fps": 10, "up": "z"}

    ``intrinsics`` are normalised by width and height, or in pixels if "width" and "height" are
    given too; pixels are counted from the picture's corner, so that centres lie at +0.5. ``poses``
    are camera-to-world in metres, one a frame, null where unknown (an episode ends there).
    ``convention`` names the camera's axes: "opencv" (x right, y down, z forward) or "opengl" (x
    right, y up, z back). ``up`` (default "z") is the world's axis that points up: "z", "y" or "-y".
    ``fps`` is 10 if not given.
    """

    name = "frames"

    def recordings(self) -> Iterable[Recording]:
        what = f"a recording (a folder with {FILE} and pictures or a video)"
        path = Path(self.options.path)
        root = str(path.parent) if path.is_file() else self.options.path
        scenes = scenes_under(root, lambda folder: (folder / FILE).is_file(), what)
        return [read_recording(scene) for scene in scenes]


@dataclass(frozen=True)
class VideoRecording(Recording):
    """Footage whose frames all lie in one video."""

    def pictures(self, indices: Sequence[int]) -> Iterator[Image.Image]:
        """Decode from the start, which is exact for any codec."""
        video = next(frame.image for frame in self.frames if frame is not None)
        wanted, end = set(indices), indices[-1] + 1
        count = 0
        for picture in islice(_decoded(video), end):
            if count in wanted:
                yield picture
            count += 1
        if count < end:
            raise DataError(
                f"{video}: expected {len(self.frames)} frames, as {FILE} has poses; "
                f"it ends after {count}"
            )


def read_recording(folder: Path) -> Recording:
    """The recording of one folder.

    Raises:
        DataError: a key is missing or wrong, or the number of pictures is not that of the poses.
    """
    file = folder / FILE
    content = read_json(file, "poses and intrinsics")
    poses = need_key(content, "poses", list, str(file))
    camera = _choice(content, "convention", CONVENTIONS, file)
    world = _choice({"up": "z", **content}, "up", UPRIGHT, file)
    lens = _lens(need_key(content, "intrinsics", dict, str(file)), f"{file}, intrinsics")
    images = _images(folder)
    video = len(images) == 1 and images[0].suffix.lower() in VIDEO_SUFFIXES
    if video:
        images = images * len(poses)  # every frame lies in the one file
    if len(images) != len(poses):
        raise DataError(
            f"{file}: expected a pose for each of {len(images)} pictures, got {len(poses)} poses"
        )
    frames: list[PosedFrame | None] = []
    for number, (image, pose) in enumerate(zip(images, poses, strict=True)):
        if pose is None:
            frames.append(None)
            continue
        matrix = world @ matrix_of(pose, f"{file}, pose {number}") @ camera
        frames.append(PosedFrame(image, matrix, lens))
    fps = round(need_number(content, "fps", str(file), above=0, default=10))
    kind = VideoRecording if video else Recording
    return kind(folder.resolve().name, file, frames, fps=max(1, fps))


def _choice(content: dict[str, Any], key: str, known: dict[str, Any], file: Path) -> Any:
    value = need_key(content, key, str, str(file))
    if value not in known:
        raise DataError(f"{file}: expected {key!r} to be one of {', '.join(known)}; got {value!r}")
    return known[value]


def _lens(given: dict[str, Any], where: str) -> Lens:
    fx, fy = need_number(given, "fx", where, above=0), need_number(given, "fy", where, above=0)
    cx, cy = need_number(given, "cx", where), need_number(given, "cy", where)
    if "width" not in given and "height" not in given:
        return Lens(Intrinsics(fx, fy, cx, cy))
    size = need_number(given, "width", where, above=0), need_number(given, "height", where, above=0)
    return Lens.in_pixels((fx, fy), (cx, cy), size)


def _images(folder: Path) -> list[Path]:
    """All pictures, else the one video."""
    places = [place for place in (folder / "images", folder) if place.is_dir()]
    for place in places:
        files = sorted(place.iterdir(), key=natural_order)
        pictures = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
        if pictures:
            return pictures
    videos = [file for file in folder.iterdir() if file.suffix.lower() in VIDEO_SUFFIXES]
    if len(videos) == 1:
        return videos
    raise DataError(f"{folder}: expected pictures or one video, got {len(videos)} videos")


def _decoded(video: Path) -> Iterator[Image.Image]:
    try:
        import av  # heavy, and only videos need it
        from av.error import FFmpegError
    except ImportError as error:
        raise DataError(f"{video}: reading it needs av: pip install 'mgenv[data]'") from error
    try:
        with av.open(str(video)) as container:
            if not container.streams.video:
                raise DataError(f"{video}: expected a video; it has no pictures")
            for frame in container.decode(container.streams.video[0]):
                yield frame.to_image()
    except FFmpegError as error:
        raise DataError(f"{video}: expected a whole video; it is damaged ({error})") from error
