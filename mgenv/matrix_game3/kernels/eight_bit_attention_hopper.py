"""Attention with 8-bit products on Hopper GPUs, in Gluon: scores of whole numbers, FP8 values.

Imported only where CUDA is used. A running softmax over blocks of keys (FlashAttention-2, arXiv
2307.08691) with the roles of FlashAttention-3 (arXiv 2407.08608): one warp copies keys and values
to shared memory; two groups of four warps have 64 queries each, and take turns: while one group's
products run, the other takes exponentials. A group starts the products of probabilities and values
of one block right after the scores of the next, so that they run during the next softmax too.

Legend: B batch, L queries, K keys, N heads, H head width.
"""

from __future__ import annotations

from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]
from torch import Tensor
from triton.experimental import gluon  # pyright: ignore[reportMissingImports]
from triton.experimental.gluon import language as gl  # pyright: ignore[reportMissingImports]
from triton.experimental.gluon.language.nvidia.hopper import (  # pyright: ignore[reportMissingImports]
    fence_async_shared,
    mbarrier,
    tma,
    warpgroup_mma,
    warpgroup_mma_wait,
)
from triton.experimental.gluon.nvidia.hopper import (  # pyright: ignore[reportMissingImports]
    TensorDescriptor,
)

from mgenv.matrix_game3.kernels.eight_bit_parts import BLOCK, Parts
from mgenv.matrix_game3.kernels.hopper import multiprocessors

_load = getattr(tma, "async_load", None) or tma.async_copy_global_to_shared
"""Its name in newer Triton, and in 3.6."""
QUERIES = 64
"""Of a group of four warps."""


@gluon.jit
def _copy(
    q_desc, k_desc, v_desc, q_at, k_at, v_at, q_full, q_free, full, free,
    N, L, K, down, tiles, blocks,
    H: gl.constexpr, QUERIES: gl.constexpr, KEYS: gl.constexpr, STAGES: gl.constexpr,
    EIGHT: gl.constexpr,
):  # fmt: skip
    """Queries, then as stages get free: keys from the last block on, the values a block behind."""
    count, turn = 0, 0
    for tile in range(gl.program_id(0), tiles, gl.num_programs(0)):
        head = tile // down
        batch, column = head // N, head % N * H
        row = batch * L + tile % down * 2 * QUERIES
        mbarrier.wait(q_free, turn ^ 1)
        mbarrier.expect(q_full, 2 * q_desc.block_type.nbytes)
        _load(q_desc, [row, column], q_full, q_at.index(0))
        _load(q_desc, [row + QUERIES, column], q_full, q_at.index(1))
        turn ^= 1
        for i in range(0, blocks + 1):  # the first values and the last keys are of no block
            stage = count % STAGES
            ready, k, v = full.index(stage), k_at.index(stage), v_at.index(stage)
            start = (blocks - i) * KEYS
            row = batch * K + start
            mbarrier.wait(free.index(stage), ((count // STAGES) & 1) ^ 1)
            mbarrier.expect(ready, k_desc.block_type.nbytes + v_desc.block_type.nbytes)
            _load(k_desc, [row - KEYS, column], ready, k)
            if EIGHT:
                _load(v_desc, [head * H, start], ready, v)
            else:
                _load(v_desc, [row, column], ready, v)
            count += 1


@gluon.jit
def _factors(p, EIGHT: gl.constexpr):
    """Probabilities (rows, keys) as bfloat16, or as words of four in FP8, in the score's order."""
    if EIGHT:
        rows: gl.constexpr = p.shape[0]
        words: gl.constexpr = p.shape[1] // 4
        p = p.reshape([rows, words // 4, 2, 4, 2]).permute([0, 1, 3, 2, 4])
        low, high = gl.split(p.reshape([rows, words, 2, 2]).permute([0, 1, 3, 2]))
        a, b = gl.split(low)
        c, d = gl.split(high)
        p = gl.inline_asm_elementwise(
            """{
            .reg .b16 low, high;
            cvt.rn.satfinite.e4m3x2.f32 low, $2, $1;
            cvt.rn.satfinite.e4m3x2.f32 high, $4, $3;
            mov.b32 $0, {low, high};
            }""",
            "=r,f,f,f,f", [a, b, c, d], dtype=gl.int32, is_pure=True, pack=1,
        )  # fmt: skip
    else:
        p = p.to(gl.bfloat16)
    return p


@gluon.jit
def _weigh(p, v_at, sums, layout: gl.constexpr, EIGHT: gl.constexpr):
    """Start to add the products of factors and a block of values to the sums."""
    if EIGHT:
        rows: gl.constexpr = p.shape[0]
        keys: gl.constexpr = p.shape[1] * 4
        even = gl.join(p.to(gl.int8), (p >> 16).to(gl.int8))
        odd = gl.join((p >> 8).to(gl.int8), (p >> 24).to(gl.int8))
        p = gl.join(even, odd).reshape([rows, keys]).to(gl.float8e4nv, bitcast=True)
        v_at = v_at.permute([1, 0])
    p = gl.convert_layout(p, layout, assert_trivial=True)
    return warpgroup_mma(p, v_at, sums, is_async=True)


@gluon.jit
def _own_sums(p):
    """Sums of what each thread has of a row: (rows, 4)."""
    rows: gl.constexpr = p.shape[0]
    keys: gl.constexpr = p.shape[1]
    return gl.sum(gl.sum(p.reshape([rows, keys // 8, 4, 2]), 3), 1)


@gluon.jit
def _multiply(
    group, q_at, k_at, v_at, q_full, q_free, full, free, turns,
    out_at, q_scale_at, k_scale_at, v_scale_at, v_mean_at, N, L, K, down, tiles, blocks,
    H: gl.constexpr, QUERIES: gl.constexpr, KEYS: gl.constexpr, STAGES: gl.constexpr,
    EIGHT: gl.constexpr,
):  # fmt: skip
    """A group's queries over all keys; the first block that it sees may be cut off."""
    S: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [4, 1], [16, KEYS, 32])
    O: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [4, 1], [16, H, 32 if EIGHT else 16])  # noqa: E741
    P: gl.constexpr = gl.DotOperandLayout(0, O, 4 if EIGHT else 2)
    nothing = gl.zeros([QUERIES, KEYS], gl.int32, S)
    q = q_at.index(group)
    count, q_turn, turn = 0, 0, group ^ 1
    for tile in range(gl.program_id(0), tiles, gl.num_programs(0)):
        head = tile // down
        batch, n = head // N, head % N
        start = tile % down * 2 * QUERIES + group * QUERIES
        rows = start + gl.arange(0, QUERIES, gl.SliceLayout(1, S))
        q_scale = gl.load(q_scale_at + head * L + rows, mask=rows < L, other=0.0)
        last_scale = k_scale_at + (head + 1) * blocks - 1

        mbarrier.wait(q_full, q_turn)
        q_turn ^= 1
        stage = count % STAGES
        mbarrier.wait(full.index(stage), (count // STAGES) & 1)
        k = k_at.index(stage).permute([1, 0])
        s = warpgroup_mma(q, k, nothing, use_acc=False, is_async=True)
        s = warpgroup_mma_wait(0, [s])
        mbarrier.arrive(free.index(stage), count=1)
        count += 1
        there = (blocks - 1) * KEYS + gl.arange(0, KEYS, gl.SliceLayout(0, S)) < K
        scale = q_scale * gl.load(last_scale)
        s = gl.where(there[None, :], s.to(gl.float32) * scale[:, None], -1e30)
        most = gl.max(s, 1)
        p = gl.exp2(s - (most - 8.0)[:, None])
        total = _own_sums(p)
        factors = _factors(p, EIGHT)
        sums = gl.zeros([QUERIES, H], gl.float32, O)

        for i in range(1, blocks):
            scale = q_scale * gl.load(last_scale - i)
            stage = count % STAGES
            mbarrier.wait(full.index(stage), (count // STAGES) & 1)
            mbarrier.wait(turns.index(group), turn)
            turn ^= 1
            k = k_at.index(stage).permute([1, 0])
            s = warpgroup_mma(q, k, nothing, use_acc=False, is_async=True)
            sums = _weigh(factors, v_at.index(stage), sums, P, EIGHT)
            mbarrier.arrive(turns.index(1 - group), count=1)
            s = warpgroup_mma_wait(1, [s]).to(gl.float32)
            now = gl.maximum(most, gl.max(s, 1) * scale)
            p = gl.exp2(s * scale[:, None] - (now - 8.0)[:, None])
            shrink = gl.exp2(most - now)
            most = now
            ours = gl.convert_layout(shrink, gl.SliceLayout(1, total.type.layout))
            total = total * ours[:, None] + _own_sums(p)
            sums = warpgroup_mma_wait(0, [sums])
            mbarrier.arrive(free.index(stage), count=1)
            count += 1
            factors = _factors(p, EIGHT)
            sums = sums * gl.convert_layout(shrink, gl.SliceLayout(1, O))[:, None]

        mbarrier.arrive(q_free, count=1)
        stage = count % STAGES
        mbarrier.wait(full.index(stage), (count // STAGES) & 1)
        sums = _weigh(factors, v_at.index(stage), sums, P, EIGHT)
        sums = warpgroup_mma_wait(0, [sums])
        mbarrier.arrive(free.index(stage), count=1)
        count += 1
        channels = gl.arange(0, H, gl.SliceLayout(0, O))
        v_scale = gl.load(v_scale_at + head * H + channels)
        v_mean = gl.load(v_mean_at + head * H + channels)
        share = gl.convert_layout(1.0 / gl.sum(total, 1), gl.SliceLayout(1, O))
        out = sums * share[:, None] * v_scale[None, :] + v_mean[None, :]
        rows = start + gl.arange(0, QUERIES, gl.SliceLayout(1, O))
        at = ((batch * L + rows).to(gl.int64)[:, None] * N + n) * H + channels[None, :]
        gl.store(out_at + at, out.to(out_at.dtype.element_ty), mask=(rows < L)[:, None])


@gluon.jit
def _attend(
    q_desc, k_desc, v_desc, out_at, q_scale_at, k_scale_at, v_scale_at, v_mean_at,
    N, L, K, down, tiles, blocks,
    H: gl.constexpr, QUERIES: gl.constexpr, KEYS: gl.constexpr, STAGES: gl.constexpr,
    EIGHT: gl.constexpr,
):  # fmt: skip
    """A program a share of the tiles: 2·QUERIES queries of a head each, ``down`` tiles a head."""
    q_at = gl.allocate_shared_memory(q_desc.dtype, [2, QUERIES, H], q_desc.layout)
    k_at = gl.allocate_shared_memory(k_desc.dtype, [STAGES, KEYS, H], k_desc.layout)
    v_block: gl.constexpr = [H, KEYS] if EIGHT else [KEYS, H]
    v_at = gl.allocate_shared_memory(v_desc.dtype, [STAGES] + v_block, v_desc.layout)
    barrier: gl.constexpr = mbarrier.MBarrierLayout()
    q_full = gl.allocate_shared_memory(gl.int64, [1], barrier)
    q_free = gl.allocate_shared_memory(gl.int64, [1], barrier)
    full = gl.allocate_shared_memory(gl.int64, [STAGES, 1], barrier)
    free = gl.allocate_shared_memory(gl.int64, [STAGES, 1], barrier)
    turns = gl.allocate_shared_memory(gl.int64, [2, 1], barrier)
    mbarrier.init(q_full, count=1)
    mbarrier.init(q_free, count=2)
    for i in gl.static_range(STAGES):
        mbarrier.init(full.index(i), count=1)
        mbarrier.init(free.index(i), count=2)
    for i in gl.static_range(2):
        mbarrier.init(turns.index(i), count=1)
    fence_async_shared()
    gl.warp_specialize(
        [
            (_multiply, (
                0, q_at, k_at, v_at, q_full, q_free, full, free, turns,
                out_at, q_scale_at, k_scale_at, v_scale_at, v_mean_at,
                N, L, K, down, tiles, blocks, H, QUERIES, KEYS, STAGES, EIGHT,
            )),
            (_multiply, (
                1, q_at, k_at, v_at, q_full, q_free, full, free, turns,
                out_at, q_scale_at, k_scale_at, v_scale_at, v_mean_at,
                N, L, K, down, tiles, blocks, H, QUERIES, KEYS, STAGES, EIGHT,
            )),
            (_copy, (
                q_desc, k_desc, v_desc, q_at, k_at, v_at, q_full, q_free, full, free,
                N, L, K, down, tiles, blocks, H, QUERIES, KEYS, STAGES, EIGHT,
            )),
        ],
        [4, 1],
        [240, 24],
    )  # fmt: skip


def attend(parts: Parts) -> Tensor:
    """bfloat16 (B, L, N, H); see :func:`mgenv.matrix_game3.kernels.eight_bit_attention.hopper`."""
    q, k, v, q_scale, k_scale, v_scale, v_mean = (x.contiguous() for x in parts)
    (batch, length, heads, width), keys = q.shape, k.shape[1]
    out = torch.empty(q.shape, dtype=torch.bfloat16, device=q.device)
    eight = v.dtype == torch.float8_e4m3fn
    down, blocks = triton.cdiv(length, 2 * QUERIES), triton.cdiv(keys, BLOCK)
    tiles = down * batch * heads
    v_rows = v.view(-1, v.shape[-1]) if eight else v.view(-1, heads * width)
    kernel: Any = _attend
    kernel[(min(tiles, multiprocessors(q.device)),)](
        _descriptor(q.view(-1, heads * width), QUERIES, width),
        _descriptor(k.view(-1, heads * width), BLOCK, width),
        _descriptor(v_rows, *((width, BLOCK) if eight else (BLOCK, width))),
        out, q_scale, k_scale, v_scale, v_mean, heads, length, keys, down, tiles, blocks,
        H=width, QUERIES=QUERIES, KEYS=BLOCK, STAGES=4 if eight else 3, EIGHT=eight,
        num_warps=4,
    )  # fmt: skip
    return out


def _descriptor(x: Tensor, rows: int, columns: int) -> TensorDescriptor:
    kinds = {
        torch.int8: gl.int8,
        torch.float8_e4m3fn: gl.float8e4nv,
        torch.bfloat16: gl.bfloat16,
    }
    layout = gl.NVMMASharedLayout.get_default_for([rows, columns], kinds[x.dtype])
    return TensorDescriptor.from_tensor(x, [rows, columns], layout)
