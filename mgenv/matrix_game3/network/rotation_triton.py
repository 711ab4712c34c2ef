"""Triton kernel that norms and rotates queries and keys in one pass over memory.

The compiler needs three passes, with a float32 intermediate. Here a program handles one token: it
reads queries, keys and angles once, and writes once; sums are in float32.

Imported only where CUDA is used. Legend: B batch, L tokens, N heads, H head width, D = N·H.
"""

from __future__ import annotations

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

WARPS = 4


@triton.jit
def _turn_one(x_at, weight_at, out_at, cos, sin, eps, D: tl.constexpr, WIDE: tl.constexpr):
    """Norm and rotate the channels of one token."""
    lane = tl.arange(0, WIDE)
    x = tl.load(x_at + lane, lane < D, 0.0).to(tl.float32)
    scale = tl.rsqrt(tl.sum(x * x) / D + eps)
    x = x * scale * tl.load(weight_at + lane, lane < D, 0.0).to(tl.float32)
    even, odd = tl.split(tl.reshape(x, (WIDE // 2, 2)))
    turned = tl.reshape(tl.join(even * cos - odd * sin, odd * cos + even * sin), (WIDE,))
    tl.store(out_at + lane, turned.to(out_at.dtype.element_ty), lane < D)


@triton.jit(do_not_specialize=["L", "eps"])
def _turn(
    q_at, k_at, q_weight_at, k_weight_at, cos_at, sin_at, q_out_at, k_out_at,
    L, q_row, k_row, table_row, eps, D: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """One program per token; rows of ``q`` and ``k`` and batches of the tables may be strided."""
    row = tl.program_id(0).to(tl.int64)
    pair = tl.arange(0, WIDE // 2)
    from_pair = row // L * table_row + row % L * (D // 2) + pair
    cos = tl.load(cos_at + from_pair, pair < D // 2, 0.0)
    sin = tl.load(sin_at + from_pair, pair < D // 2, 0.0)
    _turn_one(q_at + row * q_row, q_weight_at, q_out_at + row * D, cos, sin, eps, D, WIDE)
    _turn_one(k_at + row * k_row, k_weight_at, k_out_at + row * D, cos, sin, eps, D, WIDE)


@torch.library.custom_op("mgenv::norm_and_turn", mutates_args=())
def norm_and_turn(
    q: Tensor, k: Tensor, q_weight: Tensor, k_weight: Tensor, cos: Tensor, sin: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """x / rms(x) · weight, then rotated, of queries and keys: (B, L, D) to (B, L, N, H).

    Args:
        q, k: (B, L, D), contiguous channels, evenly strided tokens.
        q_weight, k_weight: (D,) weights of the norms.
        cos, sin: float32 (B or 1, L, N, H / 2).
        eps: epsilon of the norms.
    """
    (batch, length, width), heads = q.shape, cos.shape[2]
    rows = [_rows(x) for x in (q, k)]
    tables = [x if x[0].is_contiguous() else x.contiguous() for x in (cos, sin)]
    assert tables[0].stride() == tables[1].stride(), "cos and sin have equal strides"
    out = [q.new_empty(batch, length, heads, width // heads) for _ in range(2)]
    _turn[(batch * length,)](  # pyright: ignore
        *rows, q_weight, k_weight, *tables, *out,
        length, rows[0].stride(0), rows[1].stride(0),
        tables[0].stride(0) if len(cos) > 1 else 0, eps,
        D=width, WIDE=triton.next_power_of_2(width), num_warps=WARPS,
    )  # fmt: skip
    return out[0], out[1]


@norm_and_turn.register_fake
def _(
    q: Tensor, k: Tensor, q_weight: Tensor, k_weight: Tensor, cos: Tensor, sin: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    shape = (*q.shape[:2], cos.shape[2], q.shape[2] // cos.shape[2])
    return q.new_empty(shape), k.new_empty(shape)


def _rows(x: Tensor) -> Tensor:
    """(B, L, D) as (B·L, D), without a copy if tokens are evenly strided."""
    rows = x.flatten(0, 1)
    return rows if rows.stride(1) == 1 else rows.contiguous()
