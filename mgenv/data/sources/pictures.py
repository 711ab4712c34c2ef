"""Pictures and depth maps of any lens into squares of one size, with intrinsics that stay exact."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mgenv.camera import Intrinsics
from mgenv.data.sources.parsing import need_path
from mgenv.errors import DataError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
DAMAGE = (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError)
"""What Pillow raises on pictures that are cut short or are none."""

LONGEST = 1000
"""Focal length over the picture's side, from where on something else was meant."""

SUPERSAMPLES = 4
"""Along a side of each pixel, where distortion is taken out."""


@dataclass(frozen=True)
class Lens:
    """How a camera sees, before its pictures are cropped.

    Attributes:
        intrinsics: normalised by the whole picture's size.
        aspect: width / height of the pictures that they were measured on; 0 where unknown.
        distortion: k1, k2, p1, p2 of OpenCV's model.
    """

    intrinsics: Intrinsics
    aspect: float = 0.0
    distortion: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    @classmethod
    def in_pixels(
        cls, focal: tuple[float, float], centre: tuple[float, float], size: tuple[float, float],
        distortion: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
    ) -> Lens:  # fmt: skip
        """From pixels: (fx, fy), (cx, cy) counted from the corner, and (width, height)."""
        (fx, fy), (cx, cy), (width, height) = focal, centre, size
        intrinsics = Intrinsics(fx / width, fy / height, cx / width, cy / height)
        return cls(intrinsics, width / height, distortion)

    def is_like(self, other: Lens) -> bool:
        """Whether both put every pixel at the same place, to a thousandth of the picture."""
        near = np.abs(np.subtract(self._numbers(), other._numbers())).max()
        return bool(near < 1e-3)

    def _numbers(self) -> list[float]:
        lens = self.intrinsics
        return [lens.fx, lens.fy, lens.cx, lens.cy, *self.distortion]

    def see(self, ray: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where rays (..., 3) with z = 1 meet the picture: u, v in [0, 1], (...) each."""
        x, y = ray[..., 0], ray[..., 1]
        k1, k2, p1, p2 = self.distortion
        r2 = x * x + y * y
        radial = 1 + k1 * r2 + k2 * r2 * r2
        bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        bent_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        lens = self.intrinsics
        return bent_x * lens.fx + lens.cx, bent_y * lens.fy + lens.cy


def read_picture(path: Path) -> Image.Image:
    """An 8-bit colour picture.

    Raises:
        DataError: missing or damaged.
    """
    need_path(path, "a picture")
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except DAMAGE as error:
        raise DataError(f"{path}: expected a whole picture; it is damaged ({error})") from error


def read_depth(path: Path, unit: float) -> NDArray[np.float32]:
    """A depth map (H, W) in metres, 0 where unknown (nothing, not finite, or below 0).

    Args:
        path: of a picture of 16 bits, or of an array of any numbers, .npy.
        unit: metres of one count.
    """
    need_path(path, "a depth map")
    array = path.suffix.lower() == ".npy"
    try:
        counts = _array_of(path) if array else _counts_of(path)
    except DAMAGE as error:
        raise DataError(f"{path}: expected a whole depth map; it is damaged ({error})") from error
    if counts.ndim != 2 or counts.dtype.itemsize < 2 or counts.dtype.kind not in "iuf":
        wanted = "an array (H, W) of numbers" if array else "one channel of 16 bits"
        raise DataError(
            f"{path}: expected a depth map of {wanted}, got {counts.dtype} of shape {counts.shape}"
        )
    depth = counts.astype(np.float64) * unit
    return np.where(np.isfinite(depth) & (depth > 0), depth, 0).astype(np.float32)


def _counts_of(path: Path) -> NDArray:
    with Image.open(path) as picture:
        return np.array(picture)


def _array_of(path: Path) -> NDArray:
    """The array of a .npy file, which is never unpickled; (H, W, 1) as (H, W)."""
    with open(path, "rb") as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
    return array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array


def square(
    picture: Image.Image, lens: Lens, size: int, where: object
) -> tuple[NDArray[np.uint8], Intrinsics]:
    """The middle square, averaged down to ``size``, and its intrinsics.

    Returns:
        uint8 (size, size, 3), with no distortion left; its intrinsics.

    Raises:
        DataError: the picture has another shape than its lens was measured with.
    """
    width, height = picture.size
    if lens.aspect and abs(width / height / lens.aspect - 1) > 0.02:
        raise DataError(
            f"{where}: expected width / height {lens.aspect:.3f} as its intrinsics say, "
            f"got {width}×{height}"
        )
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    whole = lens.intrinsics
    intrinsics = Intrinsics(
        whole.fx * width / side, whole.fy * height / side,
        (whole.cx * width - left) / side, (whole.cy * height - top) / side,
    )  # fmt: skip
    if not (0 < intrinsics.cx < 1 and 0 < intrinsics.cy < 1):
        raise DataError(f"{where}: expected its optical axis inside the picture; check intrinsics")
    if not 0 < min(intrinsics.fx, intrinsics.fy) <= max(intrinsics.fx, intrinsics.fy) < LONGEST:
        raise DataError(
            f"{where}: expected focal lengths of less than {LONGEST} times the picture's side, "
            f"got {intrinsics.fx:.4g} and {intrinsics.fy:.4g}"
        )
    if any(lens.distortion):
        return _straightened(picture, lens, intrinsics, size), intrinsics
    pixels = np.asarray(picture, np.float32)[top : top + side, left : left + side]
    return as_bytes(area_mean(pixels, size)), intrinsics


def area_mean(pixels: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Squares (N, N, C) averaged to (size, size, C); pixels on an edge count for both sides.

    Pillow's box filter takes or leaves whole pixels, which moves edges by up to half of one.
    """
    edge = np.linspace(0, len(pixels), size + 1)
    column = np.arange(len(pixels))
    share = np.minimum(edge[1:, None], column + 1) - np.maximum(edge[:-1, None], column)
    weight = (share.clip(0, None) * size / len(pixels)).astype(np.float32)  # (size, N)
    rows = np.tensordot(weight, pixels, 1)  # (size, N, C)
    return np.tensordot(weight, rows, (1, 1)).transpose(1, 0, 2)


def depth_as(
    depth: NDArray[np.float32], lens: Lens, intrinsics: Intrinsics, size: int
) -> NDArray[np.float32]:
    """The nearest depth that ``lens`` measured along each ray of a square picture; 0 outside."""
    u, v = lens.see(intrinsics.rays(size, size).double().numpy())
    height, width = depth.shape
    column, row = np.floor(u * width).astype(int), np.floor(v * height).astype(int)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return np.where(inside, depth[row.clip(0, height - 1), column.clip(0, width - 1)], 0)


def _straightened(
    picture: Image.Image, lens: Lens, intrinsics: Intrinsics, size: int
) -> NDArray[np.uint8]:
    """What a lens without distortion would have seen: uint8 (size, size, 3)."""
    fine = size * SUPERSAMPLES
    scale = min(1.0, fine / min(picture.size))
    reduced = (round(picture.width * scale), round(picture.height * scale))
    pixels = np.asarray(picture.resize(reduced, Image.Resampling.BOX), np.float32)
    u, v = lens.see(intrinsics.rays(fine, fine).double().numpy())
    shown = bilinear(pixels, u, v)  # (fine, fine, 3)
    return as_bytes(block_mean(shown, SUPERSAMPLES))


def bilinear(
    pixels: NDArray[np.float32], u: NDArray, v: NDArray, around: bool = False
) -> NDArray[np.float32]:
    """Read pixels (H, W, C) at u, v in [0, 1]: (..., C); edges repeat, or go ``around`` in u."""
    height, width = pixels.shape[:2]
    x, y = u * width - 0.5, (v * height - 0.5).clip(0, height - 1)
    if not around:
        x = x.clip(0, width - 1)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    across, down = (x - left)[..., None], (y - top)[..., None]
    columns = [(left + d) % width if around else (left + d).clip(0, width - 1) for d in (0, 1)]
    rows = [top, (top + 1).clip(0, height - 1)]
    upper, lower = (
        pixels[row, columns[0]] * (1 - across) + pixels[row, columns[1]] * across for row in rows
    )
    return (upper * (1 - down) + lower * down).astype(np.float32)


def block_mean(pixels: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Means of ``count`` × ``count`` pixels: (H, W, C) to (H / count, W / count, C)."""
    height, width, channels = pixels.shape
    blocks = pixels.reshape(height // count, count, width // count, count, channels)
    return blocks.mean((1, 3))


def as_bytes(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Values of 0 … 255, rounded."""
    return pixels.round().clip(0, 255).astype(np.uint8)
