"""Recognition of a picture among remembered frames, by normalised correlation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIDE = 16
"""Pictures are compared at 16 × 16 pixels."""


def similarity(picture: NDArray[np.uint8], frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Normalised correlation of a picture (H, W, 3) with each frame (M, H, W, 3): (M,).

    1 for the same picture up to brightness and contrast, about 0 for unlike ones.

    Example:
        >>> picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
        >>> similarity(picture, np.stack([picture, 255 - picture])).round(3).tolist()
        [1.0, -1.0]
    """
    one, many = _reduced(picture[None]), _reduced(frames)  # (1, P), (M, P)
    return (many @ one[0]) / np.maximum(_length(many) * _length(one), 1e-9)


def recognise(picture: NDArray[np.uint8], frames: NDArray[np.uint8]) -> tuple[int, float]:
    """The frame most like a picture, and how much in [0, 1]; frame -1 where there is none."""
    if len(frames) == 0:
        return -1, 0.0
    alike = similarity(picture, frames)
    best = int(alike.argmax())
    return best, float(np.clip(alike[best], 0.0, 1.0))


def _reduced(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Means over blocks, less each colour's own mean: (M, side · side · 3)."""
    count, height, width, _ = pictures.shape
    rows, columns = max(height // SIDE, 1), max(width // SIDE, 1)
    whole = pictures[:, : height // rows * rows, : width // columns * columns]
    blocks = whole.reshape(count, height // rows, rows, width // columns, columns, 3)
    small = blocks.mean((2, 4), dtype=np.float32).astype(np.float64)
    return (small - small.mean((1, 2), keepdims=True)).reshape(count, -1)


def _length(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt((rows**2).sum(-1))
