"""Panoramas of 360° into clips of a camera that turns on the spot: real places, exact motion."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from mgenv.camera import CAMERA_HEIGHT, DEFAULT_INTRINSICS, Pose
from mgenv.data.episode import Episode
from mgenv.data.sources.base import SourceOptions
from mgenv.data.sources.captioning import make_captioner
from mgenv.data.sources.hdr_images import read_exr, read_radiance, tone_mapped
from mgenv.data.sources.parsing import natural_order, need_path
from mgenv.data.sources.pictures import as_bytes, bilinear, block_mean, read_picture
from mgenv.errors import ClosedError, DataError, InvalidOptionError

SUFFIXES = (".exr", ".hdr", ".jpg", ".jpeg", ".png")
SUPERSAMPLES = 2
DETAIL = 8
"""Panorama pixels around the horizon for one along a clip's side: about one a sample."""

MAX_TURN = math.radians(15.0)
"""Yaw a tick."""

MAX_TILT = math.radians(25.0)
"""Pitch above and below the horizon."""


class PanoramaSource:
    """``path`` is an equirectangular picture or a folder of them, 360° × 180°.

    JPEG and PNG are taken as they are; Radiance (.hdr) and OpenEXR (.exr, needs ``mgenv[hdr]``) are
    tone-mapped. The middle column looks along +x and the upper half is the sky. The camera stays
    while yaw and pitch follow smooth paths; depth is unknown, and None. There is no last episode:
    the number decides the picture and the path, whatever was recorded before.
    """

    name = "panorama"

    def __init__(self, options: SourceOptions) -> None:
        if not options.path:
            raise DataError("Expected a path to a panorama or a folder of panoramas, got none")
        path = need_path(Path(options.path), "a panorama or a folder of panoramas")
        files = sorted(path.iterdir(), key=natural_order) if path.is_dir() else [path]
        self._files = [file for file in files if file.suffix.lower() in SUFFIXES]
        if not self._files:
            raise DataError(f"{path}: expected panoramas ({', '.join(SUFFIXES)}); found none")
        self.options = options
        self.count: int | None = None
        self._caption = make_captioner(options.captions)
        self._closed = False
        self._held: tuple[Path, NDArray[np.float32]] | None = None

    def record(self, number: int) -> Episode:
        """Episode ``number``, from 0.

        Raises:
            DataError: the picture is damaged or not 360° × 180°.
        """
        if self._closed:
            raise ClosedError(f"The source {self.name!r} is closed")
        if number < 0:
            raise InvalidOptionError(f"Expected an episode number from 0, got {number}")
        rng = np.random.default_rng([self.options.seed, number])
        file = self._files[rng.integers(len(self._files))]
        yaw, pitch = turning(rng, self.options.episode_frames)
        place = torch.tensor([0.0, 0.0, CAMERA_HEIGHT]).expand(len(yaw), 3)
        pose = Pose.create(place, torch.tensor(yaw), torch.tensor(pitch)).matrix.numpy()
        panorama, size = self._panorama(file), self.options.image_size
        rgb = np.stack([view(panorama, turn[:3, :3], size) for turn in pose])
        return Episode.from_poses(
            rgb,
            pose,
            intrinsics=DEFAULT_INTRINSICS,
            source=self.name,
            name=f"{file.stem}-{number:06d}",
            captions=self._caption(file.stem, rgb),
        )

    def close(self) -> None:
        """Record no more."""
        self._closed, self._held = True, None

    def _panorama(self, file: Path) -> NDArray[np.float32]:
        """The last one is held: neighbours in number may show it too."""
        if self._held is None or self._held[0] != file:
            self._held = file, read_panorama(file, DETAIL * self.options.image_size)
        return self._held[1]


def turning(
    rng: np.random.Generator, ticks: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Smooth yaw and pitch [rad]: (T,) each; yaw turns at most 15° a tick."""
    time = np.arange(ticks)

    def waves() -> NDArray[np.float64]:
        """Three sines of 20 to 80 ticks, in [-1, 1]."""
        period, phase = rng.uniform(20, 80, (3, 1)), rng.uniform(0, 2 * math.pi, (3, 1))
        share = rng.dirichlet(np.ones(3))
        return share @ np.sin(2 * math.pi * time / period + phase)

    start, speed = rng.uniform(-math.pi, math.pi), MAX_TURN * rng.uniform(0.3, 1.0)
    yaw = start + np.concatenate([[0.0], np.cumsum(speed * waves()[:-1])])
    return yaw.astype(np.float32), (MAX_TILT * waves()).astype(np.float32)


def read_panorama(file: Path, width: int) -> NDArray[np.float32]:
    """Colour in 0 … 255, averaged down to at most ``width`` columns: (W / 2, W, 3).

    Raises:
        DataError: missing, damaged, or not twice as wide as high.
    """
    kind = file.suffix.lower()
    if kind in (".exr", ".hdr"):
        pixels = read_exr(file) if kind == ".exr" else read_radiance(file)
    else:
        pixels = np.asarray(read_picture(file), np.float32)
    if abs(pixels.shape[1] / pixels.shape[0] - 2) > 0.02:
        raise DataError(
            f"{file}: expected a 360° × 180° picture, twice as wide as high; got "
            f"{pixels.shape[1]}×{pixels.shape[0]}"
        )
    pixels = _reduced(pixels, width)
    return tone_mapped(pixels) if kind in (".exr", ".hdr") else pixels


def view(
    panorama: NDArray[np.float32], rotation: NDArray[np.float32], size: int
) -> NDArray[np.uint8]:
    """What a camera of 90° sees, turned by ``rotation`` (3, 3): uint8 (size, size, 3)."""
    fine = size * SUPERSAMPLES
    ray = DEFAULT_INTRINSICS.rays(fine, fine).double().numpy() @ rotation.T.astype(np.float64)
    yaw = np.arctan2(ray[..., 1], ray[..., 0])
    height = np.arctan2(ray[..., 2], np.hypot(ray[..., 0], ray[..., 1]))
    shown = bilinear(panorama, 0.5 - yaw / (2 * math.pi), 0.5 - height / math.pi, around=True)
    return as_bytes(block_mean(shown, SUPERSAMPLES))


def _reduced(pixels: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Averaged down in floating point, if it is wider."""
    if pixels.shape[1] <= width:
        return pixels
    channels = [Image.fromarray(np.ascontiguousarray(c)) for c in np.moveaxis(pixels, -1, 0)]
    shrunk = [c.resize((width, width // 2), Image.Resampling.BOX) for c in channels]
    return np.stack([np.asarray(c) for c in shrunk], -1)
