"""Sample strips: rows of frames, a variant each, side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

LABEL = 14


def save_strips(
    path: str | Path, variants: dict[str, Tensor], every: int, worlds: int = 4, zoom: int = 2
) -> Path:
    """Write a PNG of :func:`draw_strips`."""
    return save_picture(path, draw_strips(variants, every, worlds, zoom))


def save_picture(path: str | Path, pixels: np.ndarray) -> Path:
    """Write uint8 (H, W, 3) as a PNG; folders are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def draw_strips(
    variants: dict[str, Tensor], every: int, worlds: int = 4, zoom: int = 2
) -> np.ndarray:
    """For each of some worlds, a row of frames a variant: uint8 (H, W, 3).

    Args:
        variants: name to uint8 (N, T, H, W, 3), all of the same size.
        every: take each so-many-th frame.
        worlds: how many of the N are shown.
    """
    blocks = []
    for world in range(min(worlds, len(next(iter(variants.values()))))):
        for name, frames in variants.items():
            row = frames[world, ::every].cpu().numpy()  # (T', H, W, 3)
            blocks.append(_row(name, np.concatenate(list(row), 1), zoom))
    return np.concatenate(blocks, 0)


def _row(name: str, pixels: np.ndarray, zoom: int) -> np.ndarray:
    """One labelled row."""
    large = pixels.repeat(zoom, 0).repeat(zoom, 1)
    canvas = Image.new("RGB", (large.shape[1], large.shape[0] + LABEL), "white")
    canvas.paste(Image.fromarray(large), (0, LABEL))
    ImageDraw.Draw(canvas).text((2, 1), name, fill="black")
    return np.asarray(canvas)
