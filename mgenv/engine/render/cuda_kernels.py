"""The renderer as CUDA kernels; imported only where CUDA is used.

A warp draws 8 × 4 neighbouring pixels, whose rays run alike. Pixels on edges are listed before they
are looked at again, a thread a ray, so that no thread waits for neighbours that have nothing to do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import config, cuda
from torch import Tensor

from mgenv.engine.render.pixels import draw_pixel, trace_subpixel
from mgenv.engine.render.raytrace import View
from mgenv.jit import current_stream

THREADS = 128
_WIDE, _HIGH = 16, 8
"""Pixels of a block; two by two warps."""
_OPTIONS: dict[str, Any] = {"fastmath": True}
if not config.ENABLE_CUDASIM:  # type: ignore[attr-defined]
    _OPTIONS["max_registers"] = 64  # with more, fewer warps run at once, which costs a tenth


@cuda.jit(**_OPTIONS)
def draw_pixel_centres(view, index, pose, lens, rgb, depth, surface):
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


@cuda.jit(**_OPTIONS)
def supersample_edges(view, index, pose, lens, size, edges, rays, colours):
    """Rays² rays through each pixel numbered in ``edges`` (E,): fills ``colours`` (E, rays², 3)."""
    n = cuda.grid(1)  # type: ignore[call-arg]
    e, k = n // (rays * rays), n % (rays * rays)
    if e < len(edges):
        pixel = edges[e]
        f, i, j = pixel // (size * size), (pixel // size) % size, pixel % size
        r, g, b, _, _ = trace_subpixel(view, index, pose, lens, np.float32(size), rays, f, i, j, k)
        colours[e, k, 0], colours[e, k, 1], colours[e, k, 2] = r, g, b


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
        supersample: rays along a side of an edge pixel; 1 for none.
    """
    *_, rgb, depth, surface = tensors
    stream, frames = current_stream(depth.device), [cuda.as_cuda_array(t) for t in tensors]
    size = depth.shape[1]
    blocks = len(depth) * -(-size // _WIDE) * -(-size // _HIGH)
    _launch(draw_pixel_centres, blocks, stream)(view, *frames)
    edges = edges_of(surface) if supersample > 1 else surface.new_empty(0)
    if len(edges):
        colours = torch.empty((len(edges), supersample**2, 3), device=depth.device)
        blocks = -(-len(edges) * supersample**2 // THREADS)
        listed, seen = cuda.as_cuda_array(edges), cuda.as_cuda_array(colours)
        again = _launch(supersample_edges, blocks, stream)
        again(view, *frames[:3], size, listed, supersample, seen)
        rgb.view(-1, 3)[edges] = colours.mean(1).add_(0.5).to(torch.uint8)


def _launch(kernel: Any, blocks: int, stream: Any) -> Any:
    return kernel[blocks, THREADS, stream]
