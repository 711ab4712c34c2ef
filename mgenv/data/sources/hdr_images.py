"""HDR images: readers of Radiance and OpenEXR files, and tone mapping."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mgenv.data.sources.parsing import need_path
from mgenv.errors import DataError

MIDDLE_GREY = 0.18
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


def read_exr(path: Path) -> NDArray[np.float32]:
    """Linear colour (H, W, 3) of an OpenEXR file.

    Raises:
        DataError: missing, damaged, without colour, or OpenEXR is not installed.
    """
    try:
        import OpenEXR
    except ImportError as error:
        raise DataError(f"{path}: reading it needs OpenEXR: pip install 'mgenv[hdr]'") from error
    need_path(path, "an OpenEXR picture")
    try:
        channels = OpenEXR.File(str(path)).channels()
    except (RuntimeError, OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: expected an OpenEXR picture; it is damaged ({error})") from error
    for name in ("RGB", "RGBA"):
        if name in channels:
            return np.asarray(channels[name].pixels, np.float32)[..., :3]
    raise DataError(f"{path}: expected channels R, G, B; got {', '.join(sorted(channels))}")


def read_radiance(path: Path) -> NDArray[np.float32]:
    """Linear colour (H, W, 3) of a Radiance picture (.hdr): 8-bit colour with a shared exponent.

    Source: G. Ward, Real Pixels, in Graphics Gems II (1991), and Radiance's file format reference.

    Raises:
        DataError: missing or damaged.
    """
    content = need_path(path, "a Radiance picture").read_bytes()
    size = re.search(rb"\n\n-Y (\d+) \+X (\d+)\n", content)
    if not content.startswith(b"#?") or size is None:
        raise DataError(f"{path}: expected a Radiance picture with the size line '-Y … +X …'")
    height, width = int(size[1]), int(size[2])
    body = content[size.end() :]
    try:
        rgbe = _expanded(body, height, width)
    except (IndexError, ValueError) as error:
        raise DataError(
            f"{path}: expected {height} lines of {width} pixels; it is damaged ({error})"
        ) from error
    exponent = rgbe[..., 3:].astype(np.int32) - 136
    return np.where(rgbe[..., 3:] > 0, np.ldexp(rgbe[..., :3].astype(np.float32), exponent), 0.0)


def _expanded(body: bytes, height: int, width: int) -> NDArray[np.uint8]:
    """RGBE bytes (H, W, 4), stored flat or each line's channels in runs."""
    if body[:2] != b"\2\2" or not 8 <= width < 1 << 15:
        return np.frombuffer(body[: height * width * 4], np.uint8).reshape(height, width, 4)
    rgbe, at = np.empty((height, 4, width), np.uint8), 0
    for row in range(height):
        if body[at : at + 4] != b"\2\2" + width.to_bytes(2, "big"):
            raise ValueError(f"line {row} does not begin as one")
        at += 4
        for channel in range(4):
            at = _runs(body, at, rgbe[row, channel])
    return rgbe.transpose(0, 2, 1)


def _runs(body: bytes, at: int, line: NDArray[np.uint8]) -> int:
    """Fill ``line`` from position ``at``; where the next begins."""
    filled = 0
    while filled < len(line):
        count, run = body[at], body[at] > 128
        count -= 128 if run else 0
        values = np.frombuffer(body[at + 1 : at + 2 if run else at + 1 + count], np.uint8)
        if not 0 < count <= len(line) - filled:
            raise ValueError(f"a run of {count}")
        line[filled : filled + count] = values
        filled, at = filled + count, at + (2 if run else 1 + count)
    return at


def tone_mapped(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Tone-map linear colour (H, W, 3) to sRGB in 0 … 255.

    Exposed so that the logarithmic mean of luminance is a middle grey, then compressed by L / (1 +
    L). Source: Reinhard et al., Photographic tone reproduction for digital images (2002), eq. 1–3.
    """
    light = np.nan_to_num(light, nan=0.0, posinf=6e4, neginf=0.0).clip(0, None)
    luminance = light @ LUMINANCE
    exposed = light * (MIDDLE_GREY / np.exp(np.log(luminance + 1e-6).mean()))
    seen = exposed / (1 + exposed)
    srgb = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    return (srgb * 255).astype(np.float32)
