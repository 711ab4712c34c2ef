"""Conversion of images between uint8 and float in [-1, 1], and PSNR."""

from __future__ import annotations

import torch
from torch import Tensor


def to_float(rgb: Tensor) -> Tensor:
    """uint8 (..., H, W, 3) to float (..., 3, H, W) in [-1, 1]."""
    return rgb.movedim(-1, -3).float() / 127.5 - 1


def to_uint8(rgb: Tensor) -> Tensor:
    """Inverse of :func:`to_float`, clamped and rounded."""
    return (rgb.clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8).movedim(-3, -1)


def psnr(mean_square: Tensor, peak: float = 1.0) -> Tensor:
    """PSNR [dB] of mean squared errors, inf for 0; ``peak`` is the range of the values.

    Example:
        >>> psnr(torch.tensor(0.01)).item()
        20.0
    """
    return -10 * (mean_square / peak**2).log10()
