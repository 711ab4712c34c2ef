"""INT8 products on a GPU: a tile's sums stay in registers, where they are scaled and shifted.

Hopper gets a kernel of its own, in Gluon: one warp fetches, two groups of four multiply. Triton's
own pipelining will not do: it lets a product run on while the next is issued only where sums are
float32, and waits for each one of whole numbers. Other GPUs get that plain kernel.

Imported only where CUDA is used. Legend: M tokens, K input channels, N output channels.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor
from triton.experimental import gluon  # pyright: ignore[reportMissingImports]
from triton.experimental.gluon import language as gl  # pyright: ignore[reportMissingImports]
from triton.experimental.gluon.language.nvidia.hopper import (  # pyright: ignore
    fence_async_shared,
    mbarrier,
    tma,
    warpgroup_mma,
    warpgroup_mma_wait,
)
from triton.experimental.gluon.nvidia.hopper import TensorDescriptor  # pyright: ignore

from mgenv.matrix_game3.kernels.hopper import multiprocessors, on_hopper

GROUP = 16
"""Rows of tiles that go together, so that they find each other's weights in the cache."""
TILE, STAGES, WARPS = (128, 256, 128), 4, 8
"""Of the Hopper kernel: its tile of M, N and K; tiles under way; warps that multiply."""


@triton.jit(do_not_specialize=["M"])
def _multiply(
    x_at, w_at, out_at, x_scale_at, w_scale_at, bias_at, M, N, K: tl.constexpr,
    HAS_BIAS: tl.constexpr, GROUP: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """A program a tile of the output, rows of tiles in groups."""
    program = tl.program_id(0)
    down, across = tl.cdiv(M, BLOCK_M), tl.cdiv(N, BLOCK_N)
    first = program // (GROUP * across) * GROUP
    height = min(down - first, GROUP)
    within = program % (GROUP * across)
    rows = (first + within % height) * BLOCK_M + tl.arange(0, BLOCK_M)
    columns = within // height * BLOCK_N + tl.arange(0, BLOCK_N)
    deep = tl.arange(0, BLOCK_K)
    x_from = x_at + (rows % M)[:, None].to(tl.int64) * K + deep[None, :]
    w_from = w_at + (columns % N)[None, :].to(tl.int64) * K + deep[:, None]
    total = tl.zeros((BLOCK_M, BLOCK_N), tl.int32)
    for k in range(0, K, BLOCK_K):
        inside = deep < K - k
        x = tl.load(x_from, mask=inside[None, :], other=0)
        w = tl.load(w_from, mask=inside[:, None], other=0)
        total = tl.dot(x, w, total, out_dtype=tl.int32)
        x_from += BLOCK_K
        w_from += BLOCK_K
    y = total.to(tl.float32) * tl.load(x_scale_at + rows % M)[:, None]
    y = y * tl.load(w_scale_at + columns % N)[None, :]
    if HAS_BIAS:
        y += tl.load(bias_at + columns % N).to(tl.float32)[None, :]
    there = (rows[:, None] < M) & (columns[None, :] < N)
    out_from = out_at + rows[:, None].to(tl.int64) * N + columns[None, :]
    tl.store(out_from, y.to(out_at.dtype.element_ty), mask=there)


@gluon.jit
def _corner(tile, M, N, GROUP: gl.constexpr, BLOCK_M: gl.constexpr, BLOCK_N: gl.constexpr):
    """First row and column of a tile, rows of tiles in groups."""
    down, across = gl.cdiv(M, BLOCK_M), gl.cdiv(N, BLOCK_N)
    first = tile // (GROUP * across) * GROUP
    height = gl.minimum(down - first, GROUP)
    within = tile % (GROUP * across)
    return (first + within % height) * BLOCK_M, within // height * BLOCK_N


@gluon.jit
def _fetch(
    x, w, out, x_scale_at, w_scale_at, bias_at, x_tiles, w_tiles, filled, emptied, M, N, K,
    HAS_BIAS: gl.constexpr, GELU: gl.constexpr, GROUP: gl.constexpr,
):  # fmt: skip
    """The warp that fetches: a stage once it is emptied."""
    BLOCK_M: gl.constexpr = x.block_type.shape[0]
    BLOCK_K: gl.constexpr = x.block_type.shape[1]
    BLOCK_N: gl.constexpr = w.block_type.shape[0]
    STAGES: gl.constexpr = x_tiles.shape[0]
    tiles = gl.cdiv(M, BLOCK_M) * gl.cdiv(N, BLOCK_N)
    step = 0
    for tile in range(gl.program_id(0), tiles, gl.num_programs(0)):
        row, column = _corner(tile, M, N, GROUP, BLOCK_M, BLOCK_N)
        for k in range(0, K, BLOCK_K):
            stage = step % STAGES
            mbarrier.wait(emptied.index(stage), (step // STAGES & 1) ^ 1)
            mbarrier.expect(filled.index(stage), x.block_type.nbytes + w.block_type.nbytes)
            tma.async_copy_global_to_shared(x, [row, k], filled.index(stage), x_tiles.index(stage))
            tma.async_copy_global_to_shared(
                w, [column, k], filled.index(stage), w_tiles.index(stage)
            )
            step += 1


@gluon.jit
def _sum(
    x, w, out, x_scale_at, w_scale_at, bias_at, x_tiles, w_tiles, filled, emptied, M, N, K,
    HAS_BIAS: gl.constexpr, GELU: gl.constexpr, GROUP: gl.constexpr,
):  # fmt: skip
    """The warps that multiply: two products under way, a stage emptied once it is read."""
    BLOCK_M: gl.constexpr = x.block_type.shape[0]
    BLOCK_K: gl.constexpr = x.block_type.shape[1]
    BLOCK_N: gl.constexpr = w.block_type.shape[0]
    STAGES: gl.constexpr = x_tiles.shape[0]
    # 128 columns an instruction: 256 there are, but not for whole numbers in this compiler.
    layout: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [gl.num_warps(), 1], [16, 128, 32])
    half = gl.allocate_shared_memory(out.dtype, out.block_type.shape, out.layout)
    tiles = gl.cdiv(M, BLOCK_M) * gl.cdiv(N, BLOCK_N)
    step = 0
    for tile in range(gl.program_id(0), tiles, gl.num_programs(0)):
        row, column = _corner(tile, M, N, GROUP, BLOCK_M, BLOCK_N)
        total = gl.zeros([BLOCK_M, BLOCK_N], gl.int32, layout)
        for k in range(0, K, BLOCK_K):
            stage = step % STAGES
            mbarrier.wait(filled.index(stage), step // STAGES & 1)
            total = warpgroup_mma(
                x_tiles.index(stage), w_tiles.index(stage).permute((1, 0)), total, is_async=True
            )
            total = warpgroup_mma_wait(1, (total,))
            mbarrier.arrive(emptied.index((step + STAGES - 1) % STAGES), pred=k > 0)
            step += 1
        total = warpgroup_mma_wait(0, (total,))
        mbarrier.arrive(emptied.index((step + STAGES - 1) % STAGES))

        rows = row + gl.arange(0, BLOCK_M, gl.SliceLayout(1, layout))
        columns = column + gl.arange(0, BLOCK_N, gl.SliceLayout(0, layout))
        y = total.to(gl.float32) * gl.load(x_scale_at + rows, rows < M, 0.0).expand_dims(1)
        y = y * gl.load(w_scale_at + columns, columns < N, 0.0).expand_dims(0)
        if HAS_BIAS:
            y += gl.load(bias_at + columns, columns < N, 0.0).to(gl.float32).expand_dims(0)
        if GELU:  # y sigmoid(2 sqrt(2 / pi) (y + 0.044715 y^3)), the same as by tanh
            y = y / (1.0 + gl.exp(-y * (1.5957691216 + 0.0713548128 * y * y)))
        y = y.to(out.dtype).reshape([BLOCK_M, 2, BLOCK_N // 2]).permute((0, 2, 1))
        left, right = y.split()
        tma.store_wait(0)
        half.store(left)
        fence_async_shared()
        tma.async_copy_shared_to_global(out, [row, column], half)
        tma.store_wait(0)
        half.store(right)
        fence_async_shared()
        tma.async_copy_shared_to_global(out, [row, column + BLOCK_N // 2], half)
    tma.store_wait(0)


@gluon.jit(do_not_specialize=["M"])
def _multiply_on_hopper(
    x, w, out, x_scale_at, w_scale_at, bias_at, M, N, K,
    HAS_BIAS: gl.constexpr, GELU: gl.constexpr, GROUP: gl.constexpr, STAGES: gl.constexpr,
):  # fmt: skip
    """As many programs as multiprocessors; each takes a tile after the other."""
    x_tiles = gl.allocate_shared_memory(x.dtype, [STAGES] + x.block_type.shape, x.layout)
    w_tiles = gl.allocate_shared_memory(w.dtype, [STAGES] + w.block_type.shape, w.layout)
    filled = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    emptied = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    for i in gl.static_range(STAGES):
        mbarrier.init(filled.index(i), count=1)
        mbarrier.init(emptied.index(i), count=1)
    # Said twice: a tuple that has a name loses what is constant in it.
    gl.warp_specialize(
        [
            (_sum, (x, w, out, x_scale_at, w_scale_at, bias_at, x_tiles, w_tiles, filled, emptied,
                    M, N, K, HAS_BIAS, GELU, GROUP)),
            (_fetch, (x, w, out, x_scale_at, w_scale_at, bias_at, x_tiles, w_tiles, filled, emptied,
                      M, N, K, HAS_BIAS, GELU, GROUP)),
        ],
        [1], [24],
    )  # fmt: skip


def fits(weight: Tensor) -> bool:
    """Whether the kernels take int8 weights (N, K): rows of whole 16 bytes, in and out."""
    return weight.shape[1] % 16 == 0 and weight.shape[0] % 8 == 0


@torch.library.custom_op("mgenv::int8_linear", mutates_args=())
def multiply(
    x: Tensor, x_scale: Tensor, weight: Tensor, weight_scale: Tensor, bias: Tensor | None,
    gelu: bool = False,
) -> Tensor:  # fmt: skip
    """bfloat16 (M, N) of int8 (M, K) and (N, K), scales (M, 1) and (N, 1), bias (N,).

    Args:
        gelu: end with the GELU, in its form by tanh.
    """
    x, x_scale = x.contiguous(), x_scale.contiguous()
    out = torch.empty((len(x), len(weight)), dtype=torch.bfloat16, device=x.device)
    launch = _launch_on_hopper if on_hopper(x.device) else _launch
    launch(x, x_scale, weight, weight_scale, bias, out, gelu)
    return out


@multiply.register_fake
def _(
    x: Tensor, x_scale: Tensor, weight: Tensor, weight_scale: Tensor, bias: Tensor | None,
    gelu: bool = False,
) -> Tensor:  # fmt: skip
    return x.new_empty((len(x), len(weight)), dtype=torch.bfloat16)


def _launch(
    x: Tensor, x_scale: Tensor, weight: Tensor, weight_scale: Tensor, bias: Tensor | None,
    out: Tensor, gelu: bool,
) -> None:  # fmt: skip
    (rows, deep), columns = x.shape, len(weight)
    grid = (triton.cdiv(rows, 128) * triton.cdiv(columns, 128),)
    kernel: Any = _multiply
    kernel[grid](
        x, weight, out, x_scale, weight_scale, bias if bias is not None else x_scale,
        rows, columns, deep, HAS_BIAS=bias is not None, GROUP=GROUP,
        BLOCK_M=128, BLOCK_N=128, BLOCK_K=128, num_warps=8, num_stages=3,
    )  # fmt: skip
    if gelu:
        out.copy_(F.gelu(out, approximate="tanh"))


def _launch_on_hopper(
    x: Tensor, x_scale: Tensor, weight: Tensor, weight_scale: Tensor, bias: Tensor | None,
    out: Tensor, gelu: bool,
) -> None:  # fmt: skip
    (rows, deep), columns = x.shape, len(weight)
    tall, wide, long = TILE
    tiles = triton.cdiv(rows, tall) * triton.cdiv(columns, wide)
    kernel: Any = _multiply_on_hopper
    kernel[(min(tiles, multiprocessors(x.device)),)](
        _described(x, tall, long), _described(weight, wide, long), _described(out, tall, wide // 2),
        x_scale, weight_scale, bias if bias is not None else x_scale, rows, columns, deep,
        HAS_BIAS=bias is not None, GELU=gelu, GROUP=GROUP, STAGES=STAGES, num_warps=WARPS,
    )  # fmt: skip


def _described(x: Tensor, rows: int, columns: int) -> Any:
    """How the copy engine is to find blocks of ``x``."""
    return TensorDescriptor.from_tensor(x, [rows, columns], _layout(rows, columns, x.dtype))


@functools.cache
def _layout(rows: int, columns: int, dtype: torch.dtype) -> Any:
    kind = gl.int8 if dtype == torch.int8 else gl.bfloat16
    return gl.NVMMASharedLayout.get_default_for([rows, columns], kind)
