"""INT8 products on a GPU: quantise a token in one pass, multiply, and scale where the sum ends.

Imported only where CUDA is used. Legend: M tokens, K input channels, N output channels.
"""

from __future__ import annotations

from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

_GROUP = 8
"""Blocks of rows that share their columns' weights in the cache."""


def _tiles(rows: int, columns: int, deep: int, stages: int, warps: int) -> triton.Config:
    sizes = {"BLOCK_M": rows, "BLOCK_N": columns, "BLOCK_K": deep}
    return triton.Config(sizes, num_stages=stages, num_warps=warps)


_CONFIGS = [
    _tiles(128, 256, 128, 3, 8),
    _tiles(128, 128, 128, 4, 4),
    _tiles(128, 128, 128, 3, 8),
    _tiles(256, 128, 128, 3, 8),
]


@triton.jit
def _quantize_rows(x_at, out_at, scale_at, K, BLOCK: tl.constexpr):
    """A program a row: its largest magnitude becomes 127."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    there = columns < K
    x = tl.load(x_at + row * K + columns, mask=there, other=0.0).to(tl.float32)
    scale = tl.maximum(tl.max(tl.abs(x), 0), 1e-12) / 127.0
    y = x / scale
    whole = tl.where(y >= 0, tl.floor(y + 0.5), tl.ceil(y - 0.5))
    tl.store(out_at + row * K + columns, whole.to(tl.int8), mask=there)
    tl.store(scale_at + row, scale)


@triton.autotune(configs=_CONFIGS, key=["N", "K"])
@triton.jit
def _multiply(
    x_at, w_at, out_at, x_scale_at, w_scale_at, bias_at, M, N, K,
    HAS_BIAS: tl.constexpr, GROUP: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """A program a tile of the output, rows of tiles in groups; K is a multiple of BLOCK_K."""
    program = tl.program_id(0)
    down, across = tl.cdiv(M, BLOCK_M), tl.cdiv(N, BLOCK_N)
    group = program // (GROUP * across)
    first = group * GROUP
    height = min(down - first, GROUP)
    i = first + (program % (GROUP * across)) % height
    j = (program % (GROUP * across)) // height
    rows = (i * BLOCK_M + tl.arange(0, BLOCK_M)) % M
    columns = (j * BLOCK_N + tl.arange(0, BLOCK_N)) % N
    deep = tl.arange(0, BLOCK_K)
    x_from = x_at + rows[:, None].to(tl.int64) * K + deep[None, :]
    w_from = w_at + columns[None, :].to(tl.int64) * K + deep[:, None]
    total = tl.zeros((BLOCK_M, BLOCK_N), tl.int32)
    for k in range(0, tl.cdiv(K, BLOCK_K)):
        inside = deep < K - k * BLOCK_K
        x = tl.load(x_from, mask=inside[None, :], other=0)
        w = tl.load(w_from, mask=inside[:, None], other=0)
        total = tl.dot(x, w, total, out_dtype=tl.int32)
        x_from += BLOCK_K
        w_from += BLOCK_K
    y = total.to(tl.float32) * tl.load(x_scale_at + rows)[:, None]
    y = y * tl.load(w_scale_at + columns)[None, :]
    if HAS_BIAS:
        y += tl.load(bias_at + columns).to(tl.float32)[None, :]
    rows = i * BLOCK_M + tl.arange(0, BLOCK_M)
    columns = j * BLOCK_N + tl.arange(0, BLOCK_N)
    there = (rows[:, None] < M) & (columns[None, :] < N)
    tl.store(
        out_at + rows[:, None].to(tl.int64) * N + columns[None, :],
        y.to(out_at.dtype.element_ty), mask=there,
    )  # fmt: skip


@torch.library.custom_op("mgenv::quantize_rows", mutates_args=())
def quantize_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """(M, K) to int8 (M, K) and float32 scales (M, 1), as ``mgenv.models.quantize.to_int8``."""
    x = x.contiguous()
    rows, deep = x.shape
    out = torch.empty(x.shape, dtype=torch.int8, device=x.device)
    scale = torch.empty((rows, 1), device=x.device)
    kernel: Any = _quantize_rows
    kernel[(rows,)](x, out, scale, deep, BLOCK=triton.next_power_of_2(deep))
    return out, scale


@quantize_rows.register_fake
def _(x: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x, dtype=torch.int8), x.new_empty((len(x), 1), dtype=torch.float32)


@torch.library.custom_op("mgenv::int8_linear", mutates_args=())
def multiply(
    x: Tensor, x_scale: Tensor, weight: Tensor, weight_scale: Tensor, bias: Tensor | None
) -> Tensor:
    """bfloat16 (M, N) of int8 (M, K) and (N, K), scales (M, 1) and (N, 1), bias (N,)."""
    (rows, deep), columns = x.shape, len(weight)
    out = torch.empty((rows, columns), dtype=torch.bfloat16, device=x.device)
    kernel: Any = _multiply

    def grid(tile: dict[str, int]) -> tuple[int]:
        return (triton.cdiv(rows, tile["BLOCK_M"]) * triton.cdiv(columns, tile["BLOCK_N"]),)

    shift = bias if bias is not None else x_scale
    kernel[grid](
        x, weight, out, x_scale, weight_scale, shift, rows, columns, deep,
        HAS_BIAS=bias is not None, GROUP=_GROUP,
    )  # fmt: skip
    return out


@multiply.register_fake
def _(
    x: Tensor, x_scale: Tensor, weight: Tensor, weight_scale: Tensor, bias: Tensor | None
) -> Tensor:
    return x.new_empty((len(x), len(weight)), dtype=torch.bfloat16)


def linear(x: Tensor, weight: Tensor, weight_scale: Tensor, bias: Tensor | None) -> Tensor:
    """bfloat16 (M, N): quantise the tokens of ``x`` (M, K), multiply, scale, add."""
    return multiply(*quantize_rows(x), weight, weight_scale, bias)
