"""Rotary positions in time and image, and attention over keys that may be missing.

Legend: B batch, L queries, K keys, N heads, H head width, D model width.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

TIME_SHARE, BASE = 0.25, 100.0


def rope_angles(time: Tensor, side: int, head_width: int) -> Tensor:
    """Rotation angles of every token of frames at ``time``.

    Args:
        time: (B,) frame index.
        side: latent rows and columns.
        head_width: width of a head; a quarter turns with time, the rest with row and column.

    Returns:
        (B, side², head_width / 2).
    """
    pairs = head_width // 2
    in_time = int(pairs * TIME_SHARE)
    in_space = (pairs - in_time) // 2
    cell = torch.arange(side, device=time.device, dtype=torch.float32)
    row, column = torch.meshgrid(cell, cell, indexing="ij")
    turns = time.double()[:, None] * _frequencies(in_time, time.device).double()
    temporal = torch.remainder(turns, 2 * math.pi).float()  # (B, T), exact however old the world
    spatial = torch.cat(
        [axis.reshape(-1, 1) * _frequencies(in_space, time.device) for axis in (row, column)], -1
    )  # (side², 2S)
    count = side * side
    return torch.cat(
        [temporal[:, None].expand(-1, count, -1), spatial.expand(len(time), -1, -1)], -1
    )


def rotate(x_BLNH: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Turn pairs of channels by angles given as cosine and sine (B, L, 1, H/2)."""
    cos, sin = turn
    first, second = x_BLNH.chunk(2, -1)
    turned = torch.cat([first * cos - second * sin, first * sin + second * cos], -1)
    return turned.to(x_BLNH.dtype)


def attend(q_BLNH: Tensor, k_BKNH: Tensor, v_BKNH: Tensor, present: Tensor | None = None) -> Tensor:
    """Softmax attention; ``present`` (B, K) bool leaves missing keys out. Returns (B, L, D)."""
    mask = None
    if present is not None:
        mask = present[:, None, None, :].expand(-1, -1, q_BLNH.shape[1], -1)  # (B, 1, L, K)
    out = F.scaled_dot_product_attention(
        q_BLNH.transpose(1, 2), k_BKNH.transpose(1, 2), v_BKNH.transpose(1, 2), attn_mask=mask
    )
    return out.transpose(1, 2).flatten(2)  # (B, L, D)


def _frequencies(count: int, device: torch.device) -> Tensor:
    return BASE ** (-torch.arange(count, device=device, dtype=torch.float32) / max(count, 1))
