"""ScanNet: rooms scanned with a tablet, as its reader exports them (arXiv 1702.04405)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from mgenv.data.sources.footage import FootageSource, PosedFrame, Recording
from mgenv.data.sources.parsing import natural_order, need_path, read_matrix, scenes_under
from mgenv.data.sources.pictures import IMAGE_SUFFIXES, Lens, read_picture
from mgenv.errors import DataError


class ScannetSource(FootageSource):
    """``path`` is an exported scene, or a folder of them::

        scene0000_00/color/0.jpg, 1.jpg, …
        scene0000_00/depth/0.png, …              16 bits, millimetres; may be absent
        scene0000_00/pose/0.txt, …               4×4 camera-to-world, OpenCV's axes, z up, metres
        scene0000_00/intrinsic/intrinsic_color.txt   4×4, in pixels of the color pictures
        scene0000_00/intrinsic/intrinsic_depth.txt   the same of depth; may be absent

    A pose of infinite numbers says that tracking was lost: an episode ends there.
    """

    name = "scannet"

    def recordings(self) -> Iterable[Recording]:
        what = "an exported ScanNet scene (a folder with color, pose and intrinsic)"
        return [read_scene(s) for s in scenes_under(self.options.path, _is_scene, what)]


def _is_scene(folder: Path) -> bool:
    return (folder / "color").is_dir() or (folder / "pose").is_dir()


def read_scene(folder: Path) -> Recording:
    """The recording of one scene.

    Raises:
        DataError: a file is missing, or holds something else.
    """
    color = need_path(folder / "color", "ScanNet's color pictures")
    need_path(folder / "pose", "ScanNet's poses")
    pictures = sorted(
        (p for p in color.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES), key=natural_order
    )
    if not pictures:
        raise DataError(f"{color}: expected pictures named 0.jpg, 1.jpg, …; found none")
    lens = _lens(folder / "intrinsic" / "intrinsic_color.txt", read_picture(pictures[0]).size)
    depth = folder / "depth" if (folder / "depth").is_dir() else None
    frames = [_frame(picture, folder / "pose", depth, lens) for picture in pictures]
    depth_lens = None if depth is None else _depth_lens(folder, depth)
    return Recording(folder.resolve().name, folder / "pose", frames, depth_lens=depth_lens)


def _frame(picture: Path, poses: Path, depth: Path | None, lens: Lens) -> PosedFrame | None:
    pose = read_matrix(poses / f"{picture.stem}.txt", "a 4×4 camera-to-world matrix")
    if not np.isfinite(pose).all():
        return None
    return PosedFrame(picture, pose, lens, None if depth is None else depth / f"{picture.stem}.png")


def _depth_lens(folder: Path, depth: Path) -> Lens | None:
    file = folder / "intrinsic" / "intrinsic_depth.txt"
    maps = sorted(depth.glob("*.png"), key=natural_order)
    if not file.exists() or not maps:
        return None
    try:
        with Image.open(maps[0]) as first:
            return _lens(file, first.size)
    except OSError as error:
        raise DataError(f"{maps[0]}: expected a whole depth map; it is damaged") from error


def _lens(file: Path, size: tuple[int, int]) -> Lens:
    """Its pixels' centres are whole numbers."""
    matrix = read_matrix(file, "a 4×4 matrix of intrinsics")
    focal = (matrix[0, 0], matrix[1, 1])
    if not (np.isfinite(matrix).all() and min(focal) > 0):
        raise DataError(f"{file}: expected focal lengths above 0, got {focal}")
    return Lens.in_pixels(focal, (matrix[0, 2] + 0.5, matrix[1, 2] + 0.5), size)
