"""The canvas on CPUs: :func:`mgenv.memory.reprojection.reproject_plain` as loops, compiled once.

Each view is drawn alone, start to end, so its pixels do not depend on the batch it is in.

Shapes: B views, K sources, H×W pixels. A frame of reference is float32 (3, 4).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mgenv.camera import Intrinsics
from mgenv.jit import compiled
from mgenv.memory.reprojection_pixels import (
    HALF,
    ONE,
    SHOWN,
    draw_pixel,
    footprint,
    show_pixel,
    tap,
)
from mgenv.memory.threads import in_parts

f32 = np.float32


@compiled
def _between(reference, other, out):
    """The pose ``other`` in the frame of ``reference``."""
    for r in range(3):
        for c in range(4):
            total = f32(0.0)
            for m in range(3):
                offset = reference[m, 3] if c == 3 else f32(0.0)
                total += reference[m, r] * (other[m, c] - offset)
            out[r, c] = total


@compiled
def _splat(rgb, depth, into, frame, lens, x, y, far, covered, levels, shown, pyramid):
    """Lay out a source, and take its surface into its class's pyramid (cells,), nearest first."""
    height, width = depth.shape
    for i in range(height):
        for j in range(width):
            show_pixel(rgb, depth, into, x, y, i, j, shown)
            z, start, columns, top, bottom, left, right = footprint(
                depth[i, j], frame, lens, x[j], y[i], far, covered, levels, height, width
            )
            for row in range(top, bottom):
                for column in range(left, right):
                    cell = start + row * columns + column
                    pyramid[cell] = min(pyramid[cell], z)


@compiled
def _halved(value, weight):
    """Means of 2×2 cells of value (4, H, W) and weight (H, W)."""
    rows, columns = weight.shape[0] // 2, weight.shape[1] // 2
    values, weights = np.empty((4, rows, columns), f32), np.empty((rows, columns), f32)
    quarter = f32(0.25)
    for i in range(rows):
        for j in range(columns):
            a, b, c, d = 2 * i, 2 * i + 1, 2 * j, 2 * j + 1
            weights[i, j] = (weight[a, c] + weight[a, d] + weight[b, c] + weight[b, d]) * quarter
            for n in range(4):
                total = value[n, a, c] + value[n, a, d] + value[n, b, c] + value[n, b, d]
                values[n, i, j] = total * quarter
    return values, weights


@compiled
def _fill(value, weight):
    """Push-pull in place, as deep as halving goes; value (4, H, W) is weighted by weight (H, W)."""
    height, width = weight.shape
    if min(height, width) <= 1:
        for i in range(height):
            for j in range(width):
                for n in range(4):
                    value[n, i, j] /= max(weight[i, j], f32(1e-6))
        return
    coarse, coarse_weight = _halved(value, weight)
    _fill(coarse, coarse_weight)
    for i in range(height):
        top, bottom, down = tap((f32(i) + HALF) / f32(height), coarse.shape[1])
        for j in range(width):
            missing = ONE - weight[i, j]
            if missing > 0:
                left, right, along = tap((f32(j) + HALF) / f32(width), coarse.shape[2])
                for n in range(4):
                    a, b = coarse[n, top, left], coarse[n, top, right]
                    c, d = coarse[n, bottom, left], coarse[n, bottom, right]
                    upper, lower = a + (b - a) * along, c + (d - c) * along
                    value[n, i, j] += (upper + (lower - upper) * down) * missing


@compiled
def draw_views(
    rgb, depth, pose, weight, view, x, y, lens, limits, levels, out, mask, evidence, first, last
):  # fmt: skip
    """Views ``first`` to ``last``: out (B, 4, H, W), mask (B, 1, H, W), evidence (B, 3, H, W)."""
    count, height, width = depth.shape[1:]
    far, farthest, covered = limits[0], limits[1], limits[2]
    observed, enough = limits[3], limits[4]
    known = far / f32(2.0)
    shown = np.empty((count, height, width, SHOWN), f32)
    into, frame = np.empty((count, 3, 4), f32), np.empty((3, 4), f32)
    pyramids = np.empty((2, 2 * height * width), f32)
    for b in range(first, last):
        pyramids.fill(far)
        for k in range(count):
            if weight[b, k] > 0:
                _between(pose[b, k], view[b], into[k])
                _between(view[b], pose[b, k], frame)
                part = pyramids[0 if weight[b, k] >= observed else 1]
                _splat(
                    rgb[b, k], depth[b, k], into[k], frame, lens, x, y, far, covered, levels,
                    shown[k], part,
                )  # fmt: skip
        for i in range(height):
            for j in range(width):
                draw_pixel(
                    pyramids, levels, shown, into, weight[b], x, y, lens, known, farthest, enough,
                    i, j, out[b], mask[b, 0], evidence[b],
                )  # fmt: skip
        _fill(out[b], mask[b, 0])
        for i in range(height):
            for j in range(width):
                out[b, 3, i, j] = ONE / min(max(out[b, 3, i, j], ONE / farthest), f32(20.0))


def draw(
    arrays: list[Tensor], intrinsics: Intrinsics, limits: list[float], levels: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Colour and depth (B, 4, H, W), mask (B, 1, H, W) and evidence (B, 3, H, W), in threads.

    Args:
        arrays: sources' rgb, depth, pose and weight, and the views; float32 on the CPU.
        limits: FAR, MAX_DEPTH, COVERED, OBSERVED_WEIGHT, MIN_AGREEMENT.
        levels: of the pyramid.
    """
    batch, _, height, width = arrays[1].shape
    rays = intrinsics.rays(height, width)  # (H, W, 3)
    lens = torch.tensor([intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy])
    outputs = [torch.empty(batch, channels, height, width) for channels in (4, 1, 3)]
    tensors = (*arrays, rays[0, :, 0], rays[:, 0, 1], lens, torch.tensor(limits))
    inputs = [tensor.detach().contiguous().numpy() for tensor in tensors]
    written = [tensor.numpy() for tensor in outputs]

    def part(first: int, last: int) -> None:
        draw_views(*inputs, levels, *written, first, last)

    in_parts(part, batch)
    return outputs[0], outputs[1], outputs[2]
