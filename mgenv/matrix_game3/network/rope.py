"""Rotary embeddings: of time, row and column for frames, of time for actions.

Legend: B batch, F latent frames, L = F·rows·columns tokens, N heads, P pairs of channels a head.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

BASE = 10000.0


class Rotation(NamedTuple):
    """Cosine and sine of every token's angles, float32 (B or 1, L, N or 1, P)."""

    cos: Tensor
    sin: Tensor

    def of(self, tokens: slice) -> Rotation:
        """Rotation of some tokens."""
        return Rotation(self.cos[:, tokens], self.sin[:, tokens])


def head_bases(heads: int, spread: float) -> Tensor:
    """Rotary base of each head, 10000 (1 + spread ε) with ε from -1 to 1: float64 (N,)."""
    return BASE * (1 + spread * torch.linspace(-1, 1, heads, dtype=torch.float64))


def token_rotation(
    frames: Tensor, rows: int, columns: int, bases: Tensor, head_width: int
) -> Rotation:
    """Rotation of the tokens of latent frames, frame by frame, row by row.

    Args:
        frames: (B or 1, F) latent index of each frame.
        rows, columns: tokens of a frame.
        bases: (N,), :func:`head_bases`.
        head_width: channels of a head: a third of the pairs for row and for column, the rest for
            time.

    Returns:
        (B or 1, F·rows·columns, N, head_width / 2).
    """
    space = head_width // 2 // 3
    time = head_width // 2 - 2 * space
    bases = bases.to(frames.device)
    cells = [torch.arange(count, device=frames.device) for count in (rows, columns)]
    t = _angles(frames, bases, time)[:, :, None, None]  # (B, F, 1, 1, N, Pt)
    y = _angles(cells[0], bases, space)[None, None, :, None]  # (1, 1, rows, 1, N, Ps)
    x = _angles(cells[1], bases, space)[None, None, None]  # (1, 1, 1, columns, N, Ps)
    grid = (*frames.shape, rows, columns, len(bases), -1)
    cos, sin = (
        torch.cat([turn(part).float().expand(grid) for part in (t, y, x)], -1).flatten(1, 3)
        for turn in (torch.cos, torch.sin)
    )  # (B, L, N, P) each
    return Rotation(cos, sin)


def time_rotation(times: Tensor, width: int, base: float) -> Rotation:
    """Rotation of ``width`` channels by times (F,): (1, F, 1, width / 2)."""
    angles = _angles(
        times, torch.tensor([base], dtype=torch.float64, device=times.device), width // 2
    )
    return Rotation(angles.cos().float()[None], angles.sin().float()[None])


def rotate(x_BLNH: Tensor, rotation: Rotation) -> Tensor:
    """Rotate pairs of neighbouring channels among the first 2·P, in float32."""
    turning = 2 * rotation.cos.shape[-1]
    pairs = x_BLNH[..., :turning].float().unflatten(-1, (-1, 2))  # (B, L, N, P, 2)
    cos, sin = (part.unsqueeze(-1) for part in rotation)
    sign = 2.0 * torch.arange(2, device=x_BLNH.device) - 1.0  # -1 for even, 1 for odd channels
    turned = (pairs * cos + pairs.flip(-1) * (sin * sign)).flatten(-2).to(x_BLNH.dtype)
    if turning == x_BLNH.shape[-1]:
        return turned
    return torch.cat([turned, x_BLNH[..., turning:]], -1)


def _angles(positions: Tensor, bases: Tensor, pairs: int) -> Tensor:
    """(...) positions to float64 (..., N, pairs) angles."""
    exponents = torch.arange(pairs, dtype=torch.float64, device=bases.device) / max(pairs, 1)
    return positions.double()[..., None, None] * bases[:, None] ** -exponents
