"""The renderer as CUDA kernels; imported only where CUDA is used.

A warp draws 8 × 4 neighbouring pixels, whose rays run alike. Pixels on edges are listed first, so
that those threads of a warp that look again have no idle neighbours.
"""

from __future__ import annotations

from typing import Any

import torch
from numba import cuda
from torch import Tensor

from mgenv.engine.raytrace import View
from mgenv.engine.renderer import draw_pixel

THREADS = 128
_WIDE, _HIGH = 16, 8
"""Pixels of a block; two by two warps."""


@cuda.jit(fastmath=True)
def draw_centres(view, index, pose, lens, rgb, depth, surface):
    """All pixels of all frames, one ray each: a block is a tile of a frame."""
    block, thread = cuda.blockIdx.x, cuda.threadIdx.x
    size = depth.shape[1]
    across, down = (size + _WIDE - 1) // _WIDE, (size + _HIGH - 1) // _HIGH
    f, tile = block // (across * down), block % (across * down)
    warp, lane = thread // 32, thread % 32  # type: ignore[operator]
    i = (tile // across) * _HIGH + (warp // 2) * 4 + lane // 8
    j = (tile % across) * _WIDE + (warp % 2) * 8 + lane % 8
    if i < size and j < size:
        draw_pixel(view, index, pose, lens, rgb, depth, surface, 1, f, i, j)


@cuda.jit(fastmath=True)
def smooth_edges(view, index, pose, lens, rgb, depth, surface, edges, rays):
    """The pixels numbered ``edges`` once more, with rays² rays each."""
    n = cuda.grid(1)  # type: ignore[call-arg]
    if n < len(edges):
        size, pixel = depth.shape[1], edges[n]
        f, i, j = pixel // (size * size), (pixel // size) % size, pixel % size
        draw_pixel(view, index, pose, lens, rgb, depth, surface, rays, f, i, j)


def edges_of(surface: Tensor) -> Tensor:
    """Numbers of the pixels, int64 (E,), that border on another surface in (F, H, W) of them."""
    edge = torch.zeros_like(surface, dtype=torch.bool)
    beside = surface[:, :, 1:] != surface[:, :, :-1]
    below = surface[:, 1:] != surface[:, :-1]
    edge[:, :, 1:] |= beside
    edge[:, :, :-1] |= beside
    edge[:, 1:] |= below
    edge[:, :-1] |= below
    return edge.flatten().nonzero()[:, 0]


def draw(view: View, tensors: tuple[Tensor, ...], supersample: int) -> None:
    """Fill colours, depth and surfaces of frames on the device of ``tensors``.

    Args:
        view: device arrays.
        tensors: index, pose, lens, rgb, depth and surface, see ``renderer.render_frames``.
    """
    *_, depth, surface = tensors
    stream, frames = current_stream(depth.device), [cuda.as_cuda_array(t) for t in tensors]
    size = depth.shape[1]
    tiles = -(-size // _WIDE) * -(-size // _HIGH)
    launch(draw_centres, len(depth) * tiles, stream)(view, *frames)
    if supersample > 1:
        edges = edges_of(surface)
        if len(edges):
            blocks = -(-len(edges) // THREADS)
            again = launch(smooth_edges, blocks, stream)
            again(view, *frames, cuda.as_cuda_array(edges), supersample)


def launch(kernel: Any, blocks: int, stream: Any) -> Any:
    """A kernel ready to be called."""
    return kernel[blocks, THREADS, stream]


def current_stream(device: torch.device) -> Any:
    """Numba's handle of the stream on which torch works."""
    pointer = torch.cuda.current_stream(device).cuda_stream
    return cuda.external_stream(pointer) if pointer else cuda.default_stream()
