"""nerfstudio's transforms.json, in which DL3DV and many phone apps write their scans."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mgenv.data.sources.axes import FROM_OPENGL
from mgenv.data.sources.footage import FootageSource, PosedFrame, Recording
from mgenv.data.sources.parsing import (
    matrix_of,
    natural_order,
    need_key,
    need_number,
    read_json,
    scenes_under,
)
from mgenv.data.sources.pictures import Lens
from mgenv.errors import DataError

FILE = "transforms.json"
MODELS = ("OPENCV", "PINHOLE", "RADIAL", "SIMPLE_PINHOLE", "SIMPLE_RADIAL")
REDUCED = ("_2", "_4", "_8")
"""What is added to a folder of pictures that were made smaller."""


class NerfstudioSource(FootageSource):
    """``path`` is a folder with a transforms.json, that file, or a folder of such folders::

        scene/transforms.json       fl_x, fl_y, cx, cy, w, h: of all frames or in each of them
        scene/images/frame_00001.png   as ``file_path`` says; else from images_2, _4 or _8
        scene/depth/frame_00001.png    as ``depth_file_path`` says, where there is one: 16 bits or
                                       .npy, of ``depth_unit_scale_factor`` metres (default 0.001)

    ``transform_matrix`` is camera-to-world in OpenGL's axes; the world's z is up. Frames come in
    the order of their file names. Distortion (k1, k2, p1, p2) is taken out. Scans by structure from
    motion have no scale: a unit is a metre only where the scanner measured depth.
    """

    name = "nerfstudio"

    def recordings(self) -> Iterable[Recording]:
        path = self.options.path
        path = str(Path(path).parent) if path.endswith(".json") else path
        what = f"a nerfstudio scene (a folder with {FILE})"
        scenes = scenes_under(path, lambda folder: (folder / FILE).is_file(), what)
        return [read_transforms(scene / FILE) for scene in scenes]


def read_transforms(file: Path) -> Recording:
    """The recording that a transforms.json describes.

    Raises:
        DataError: a key is missing or of the wrong kind, or the camera model is not supported.
    """
    content = read_json(file, f"nerfstudio's {FILE}")
    listed = need_key(content, "frames", list, str(file))
    entries: list[tuple[str, dict[str, Any]]] = []
    for number, own in enumerate(listed):
        where = f"{file}, frame {number}"
        if not isinstance(own, dict):
            raise DataError(f"{where}: expected an object, got {own!r}")
        need_key(own, "file_path", str, where)
        entries.append((where, {**content, **own}))
    entries.sort(key=lambda entry: natural_order(entry[1]["file_path"]))
    unit = need_number(content, "depth_unit_scale_factor", str(file), above=0, default=1e-3)
    frames = [_frame(entry, file.parent, where) for where, entry in entries]
    return Recording(file.parent.resolve().name, file, [*frames], depth_unit=unit)


def _frame(entry: dict[str, Any], folder: Path, where: str) -> PosedFrame:
    if "transform_matrix" not in entry:
        raise DataError(f"{where}: expected the key 'transform_matrix'; it is missing")
    pose = matrix_of(entry["transform_matrix"], where) @ FROM_OPENGL
    depth = None
    if entry.get("depth_file_path") is not None:
        depth = folder / need_key(entry, "depth_file_path", str, where)
    return PosedFrame(
        _picture(folder, entry["file_path"]),
        pose,
        _lens(entry, where),
        depth,
    )


def _lens(entry: dict[str, Any], where: str) -> Lens:
    model = entry.get("camera_model", "OPENCV")
    if model not in MODELS:
        raise DataError(
            f"{where}: expected a camera_model of {', '.join(MODELS)}; got {model!r}. "
            "Undistort the pictures to PINHOLE first."
        )
    fx, fy, width, height = (
        need_number(entry, key, where, above=0) for key in ("fl_x", "fl_y", "w", "h")
    )
    cx, cy = need_number(entry, "cx", where), need_number(entry, "cy", where)
    k1, k2, p1, p2, more = (
        need_number(entry, key, where, default=0.0) for key in ("k1", "k2", "p1", "p2", "k3")
    )
    if more:
        raise DataError(f"{where}: expected distortion by k1, k2, p1, p2 only; got k3 = {more}")
    return Lens.in_pixels((fx, fy), (cx, cy), (width, height), (k1, k2, p1, p2))


def _picture(folder: Path, file_path: str) -> Path:
    """The picture, or a smaller one beside: images/1.png, images_2/1.png, …"""
    inside = Path(file_path)
    if inside.parent.name:
        for reduced in ("", *REDUCED):
            beside = inside.parent.with_name(inside.parent.name + reduced) / inside.name
            if (folder / beside).exists():
                return folder / beside
    return folder / inside  # if it is missing, reading it says so
