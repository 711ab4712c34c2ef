"""TUM RGB-D: rooms filmed by depth cameras, posed by motion capture (Sturm et al., IROS 2012)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mgenv.data.sources.axes import transform_of
from mgenv.data.sources.footage import FootageSource, PosedFrame, Recording
from mgenv.data.sources.parsing import numbers_of, rate_of, read_rows, scenes_under
from mgenv.data.sources.pictures import Lens

FILES = ("rgb.txt", "depth.txt", "groundtruth.txt")
SIZE = (640, 480)
DEFAULT = (525.0, 525.0, 319.5, 239.5)
CALIBRATED = {
    "freiburg1": (517.3, 516.5, 318.6, 255.3),
    "freiburg2": (520.9, 521.0, 325.1, 249.7),
    "freiburg3": (535.4, 539.2, 320.1, 247.6),
}
"""fx, fy, cx, cy in pixels whose centres are whole numbers, by the camera in the folder's name."""

DEPTH_UNIT = 1 / 5000
TOLERANCE = 0.02
"""Seconds by which timestamps that belong together may differ."""


class TumSource(FootageSource):
    """``path`` is a sequence, or a folder of sequences::

        rgbd_dataset_freiburg1_room/rgb.txt           timestamp, file
        rgbd_dataset_freiburg1_room/depth.txt         timestamp, file: 16 bits, 5000 a metre
        rgbd_dataset_freiburg1_room/groundtruth.txt   timestamp, tx ty tz, qx qy qz qw

    Poses are camera-to-world in OpenCV's axes, metres, z up. Each picture takes the depth and the
    pose nearest in time, within 0.02 s; where there is no pose an episode ends. The lens follows
    from freiburg1, 2 or 3 in the folder's name. Its slight distortion is left as it is, since depth
    is registered to the pictures as they are.
    """

    name = "tum"

    def recordings(self) -> Iterable[Recording]:
        what = "a TUM RGB-D sequence (a folder with rgb.txt, depth.txt, groundtruth.txt)"
        return [read_sequence(s) for s in scenes_under(self.options.path, _is_sequence, what)]


def _is_sequence(folder: Path) -> bool:
    return any((folder / name).is_file() for name in FILES)


def read_sequence(folder: Path) -> Recording:
    """The recording of one sequence.

    Raises:
        DataError: a list is missing, or a line of it is not what it should be.
    """
    pictures, depths = (read_rows(folder / name, 2, "timestamp, file") for name in FILES[:2])
    truth = folder / "groundtruth.txt"
    rows = read_rows(truth, 8, "timestamp tx ty tz qx qy qz qw")
    poses = np.stack([numbers_of(row, truth) for row in rows])
    times = numbers_of([row[0] for row in pictures], folder / "rgb.txt")
    posed = nearest(times, poses[:, 0])
    measured = nearest(times, numbers_of([row[0] for row in depths], folder / "depth.txt"))
    lens = lens_of(folder)
    frames: list[PosedFrame | None] = []
    for (_, image), at, depth in zip(pictures, posed, measured, strict=True):
        if at is None:
            frames.append(None)
            continue
        x, y, z, w = poses[at, 4:]
        pose = transform_of(np.array([w, x, y, z]), poses[at, 1:4], f"{truth}, pose {at}")
        file = None if depth is None else folder / depths[depth][1]
        frames.append(PosedFrame(folder / image, pose, lens, file))
    name, fps = folder.resolve().name, rate_of(times, folder / "rgb.txt")
    return Recording(name, truth, frames, fps=fps, depth_unit=DEPTH_UNIT)


def nearest(times: NDArray[np.float64], others: NDArray[np.float64]) -> list[int | None]:
    """The index of the other timestamp nearest to each; None if it is not within tolerance."""
    order = np.argsort(others, kind="stable")
    ranked = others[order]
    after = np.searchsorted(ranked, times).clip(1, max(1, len(ranked) - 1))
    before = after - 1
    after = after.clip(0, len(ranked) - 1)
    best = np.where(times - ranked[before] <= ranked[after] - times, before, after)
    close = np.abs(ranked[best] - times) <= TOLERANCE
    return [int(order[b]) if near else None for b, near in zip(best, close, strict=True)]


def lens_of(folder: Path) -> Lens:
    """By the camera in the folder's name; the maker's default for others."""
    name = folder.resolve().name
    fx, fy, cx, cy = next((v for key, v in CALIBRATED.items() if key in name), DEFAULT)
    return Lens.in_pixels((fx, fy), (cx + 0.5, cy + 0.5), SIZE)
