"""Queries, keys and values of 8-bit attention, as its kernels take them."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

BLOCK = 128
"""Keys that share a scale."""


class Parts(NamedTuple):
    """What is multiplied, and what it stands for.

    Attributes:
        q, k: int8 (B, L, N, H) and (B, K, N, H).
        v: ``float8_e4m3fn`` or bfloat16 (B, K, N, H).
        q_scale: float32 (B, N, L), with the softmax's factor and log2(e) in it.
        k_scale: float32 (B, N, K / BLOCK rounded up).
        v_scale, v_mean: float32 (B, N, H); the values are v · v_scale + v_mean.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    q_scale: Tensor
    k_scale: Tensor
    v_scale: Tensor
    v_mean: Tensor
