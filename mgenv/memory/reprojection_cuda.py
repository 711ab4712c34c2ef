"""The canvas as CUDA kernels, one thread a pixel; imported only where CUDA is used."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from numba import cuda
from torch import Tensor

from mgenv.camera import Intrinsics, Pose
from mgenv.jit import current_stream
from mgenv.memory.reprojection_pixels import SHOWN, draw_pixel, footprint, show_pixel

THREADS = 128


@cuda.jit
def _splat_sources(
    rgb, depth, weight, into, frame, x, y, lens, far, covered, observed, levels, shown, pyramids
):  # fmt: skip
    """All pixels of all sources: ``shown`` (B, K, H, W, 5), ``pyramids`` (B, 2, cells)."""
    n = cuda.grid(1)  # type: ignore[call-arg]
    count, height, width = depth.shape[1:]
    j, rest = n % width, n // width
    i, rest = rest % height, rest // height
    k, b = rest % count, rest // count
    if b >= depth.shape[0] or not weight[b, k] > 0:
        return
    show_pixel(rgb[b, k], depth[b, k], into[b, k], x, y, i, j, shown[b, k])
    z, start, columns, top, bottom, left, right = footprint(
        depth[b, k, i, j], frame[b, k], lens, x[j], y[i], far, covered, levels, height, width
    )
    part = 0 if weight[b, k] >= observed else 1
    for row in range(top, bottom):
        for column in range(left, right):
            cuda.atomic.min(pyramids, (b, part, start + row * columns + column), z)


@cuda.jit
def _draw_views(
    pyramids, shown, into, weight, x, y, lens, levels, known, farthest, enough, out, mask,
    evidence,
):  # fmt: skip
    """All pixels of all views: ``out`` (B, 4, H, W), ``mask`` (B, 1, H, W) and ``evidence``."""
    n = cuda.grid(1)  # type: ignore[call-arg]
    height, width = mask.shape[2:]
    j, rest = n % width, n // width
    i, b = rest % height, rest // height
    if b < mask.shape[0]:
        draw_pixel(
            pyramids[b], levels, shown[b], into[b], weight[b], x, y, lens, known, farthest, enough,
            i, j, out[b], mask[b, 0], evidence[b],
        )  # fmt: skip


splat_sources: Any = _splat_sources
draw_views: Any = _draw_views


def draw(
    arrays: list[Tensor], intrinsics: Intrinsics, limits: list[float], levels: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Colour and inverse depth (B, 4, H, W), mask (B, 1, H, W) and evidence; zero in holes.

    Args:
        arrays: sources' rgb, depth, pose and weight, and the views; float32 on one device.
        limits: FAR, MAX_DEPTH, COVERED, OBSERVED_WEIGHT, MIN_AGREEMENT.
        levels: of the pyramid.
    """
    rgb, depth, pose, weight, view = (t.detach().contiguous() for t in arrays)
    device, (batch, count, height, width) = depth.device, depth.shape
    far, farthest, covered, observed, enough = (np.float32(limit) for limit in limits)
    rays = intrinsics.rays(height, width, device)  # (H, W, 3)
    views = Pose(view.unsqueeze(1).expand(-1, count, -1, -1))
    into = Pose(pose).inverse().compose(views).matrix[..., :3, :]  # (B, K, 3, 4)
    frame = views.inverse().compose(Pose(pose)).matrix[..., :3, :]
    shown = torch.empty(batch, count, height, width, SHOWN, device=device)
    pyramids = torch.full((batch, 2, 2 * height * width), float(far), device=device)
    out = torch.empty(batch, 4, height, width, device=device)
    mask = torch.empty(batch, 1, height, width, device=device)
    evidence = torch.empty(batch, 3, height, width, device=device)
    sources = (rgb, depth, weight, into.contiguous(), frame.contiguous())
    eyes = (
        rays[0, :, 0].contiguous(),
        rays[:, 0, 1].contiguous(),
        _lens(intrinsics, device),
    )
    with torch.cuda.device(device):
        stream = current_stream(device)
        rgb_, depth_, weight_, into_, frame_ = map(cuda.as_cuda_array, sources)
        x, y, lens_ = map(cuda.as_cuda_array, eyes)
        shown_, pyramids_ = map(cuda.as_cuda_array, (shown, pyramids))
        out_, mask_, evidence_ = map(cuda.as_cuda_array, (out, mask, evidence))
        splat_sources[_blocks(depth), THREADS, stream](
            rgb_, depth_, weight_, into_, frame_, x, y, lens_, far, covered, observed, levels,
            shown_, pyramids_,
        )  # fmt: skip
        draw_views[_blocks(mask), THREADS, stream](
            pyramids_, shown_, into_, weight_, x, y, lens_, levels, far / np.float32(2), farthest,
            enough, out_, mask_, evidence_,
        )  # fmt: skip
    return out, mask, evidence


@functools.cache
def _lens(intrinsics: Intrinsics, device: torch.device) -> Tensor:
    """fx, fy, cx, cy, copied to the device once."""
    values = [intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy]
    return torch.tensor(values, device=device)


def _blocks(pixels: Tensor) -> int:
    return (pixels.numel() + THREADS - 1) // THREADS
