"""The canvas on CPUs: :func:`mgenv.memory.reprojection.reproject_plain` as loops, compiled once.

Each view is drawn alone, start to end, so its pixels do not depend on the batch it is in. Two
shortcuts change nothing: sources of weight zero are never touched, and the second buffer is read
only where the first one shows nothing.

The plain twin's named constants come in as arguments, because the cache of machine code notices
changes in this file only.

Shapes: B views, K sources, H×W pixels. A frame of reference is float32 (3, 4).
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from mgenv.camera import Intrinsics
from mgenv.engine.compiling import compiled

f32 = np.float32
_HALF, _ONE, _TINY = f32(0.5), f32(1.0), f32(1e-4)
_SHOWN = 5
"""Red, green, blue, depth and facing, side by side, as they are read together."""


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
def _place(frame, lens, x, y, depth):
    """Where the point at ``depth`` on ray (x, y, 1) lies: u, v in [0, 1] and depth."""
    px, py = x * depth, y * depth
    z = frame[2, 0] * px + frame[2, 1] * py + frame[2, 2] * depth + frame[2, 3]
    if not z > _TINY:
        return f32(-1e4), f32(-1e4), z
    u = (frame[0, 0] * px + frame[0, 1] * py + frame[0, 2] * depth + frame[0, 3]) / z
    v = (frame[1, 0] * px + frame[1, 1] * py + frame[1, 2] * depth + frame[1, 3]) / z
    return u * lens[0] + lens[2], v * lens[1] + lens[3], z


@compiled
def _tap(u, size):
    """Bilinear read at ``u`` of ``size`` cells: the two cells and the share of the second."""
    x = min(max(u * f32(size) - _HALF, f32(0.0)), f32(size - 1))
    first = int(x)
    return first, min(first + 1, size - 1), x - f32(first)


@compiled
def _inside(u, v, width):
    """Whether a bilinear read is at most half a pixel beyond the image."""
    margin = _HALF / f32(width)
    return u > -margin and u < _ONE + margin and v > -margin and v < _ONE + margin


@compiled
def _show(rgb, depth, into, x, y, shown):
    """Lay out a source's planes as (H, W, 5), with whether each surface faces the view."""
    height, width = depth.shape
    cx, cy, cz = into[0, 3], into[1, 3], into[2, 3]
    for i in range(height):
        p, q = min(i, height - 2), max(i - 1, 0)
        for j in range(width):
            a, b = min(j, width - 2), max(j - 1, 0)
            if abs(depth[i, a + 1] - depth[i, a]) > abs(depth[i, b + 1] - depth[i, b]):
                a = b
            c = p
            if abs(depth[p + 1, j] - depth[p, j]) > abs(depth[q + 1, j] - depth[q, j]):
                c = q
            d0, d1, e0, e1 = depth[i, a], depth[i, a + 1], depth[c, j], depth[c + 1, j]
            ax, ay, az = x[a + 1] * d1 - x[a] * d0, y[i] * d1 - y[i] * d0, d1 - d0
            bx, by, bz = x[j] * e1 - x[j] * e0, y[c + 1] * e1 - y[c] * e0, e1 - e0
            nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
            d = depth[i, j]
            px, py = x[j] * d, y[i] * d
            out = nx * px + ny * py + nz * d
            back = nx * (cx - px) + ny * (cy - py) + nz * (cz - d)
            for n in range(3):
                shown[i, j, n] = rgb[n, i, j]
            shown[i, j, 3] = d
            facing = (out < 0 and back > 0) or (out > 0 and back < 0)
            shown[i, j, 4] = _ONE if facing else f32(0.0)


@compiled
def _splat(depth, frame, lens, x, y, far, covered, levels, pyramid):
    """Take a source's surface into its class's pyramid (cells,), nearest first."""
    height, width = depth.shape
    for i in range(height):
        for j in range(width):
            stored = depth[i, j]
            u, v, z = _place(frame, lens, x[j], y[i], stored)
            if not (stored > 0 and z > f32(0.05) and z < far):
                continue
            if not (u > -_ONE and u < f32(2.0) and v > -_ONE and v < f32(2.0)):
                continue
            level, start, ratio = 0, 0, stored / z / covered
            while level < levels - 1 and ratio > _ONE:
                start += (height >> level) * (width >> level)
                level += 1
                ratio *= _HALF
            rows, columns = height >> level, width >> level
            left = int(math.floor(u * f32(columns) - _HALF))
            top = int(math.floor(v * f32(rows) - _HALF))
            for row in range(max(top, 0), min(top + 2, rows)):
                for column in range(max(left, 0), min(left + 2, columns)):
                    cell = start + row * columns + column
                    pyramid[cell] = min(pyramid[cell], z)


@compiled
def _smooth(coarse, rows, columns, known, nearest):
    """Bring ``nearest`` (H, W) forward to a level (rows · columns,) where most of it is known."""
    height, width = nearest.shape
    for i in range(height):
        top, bottom, down = _tap((f32(i) + _HALF) / f32(height), rows)
        for j in range(width):
            left, right, along = _tap((f32(j) + _HALF) / f32(width), columns)
            inverse, share = f32(0.0), f32(0.0)
            for row, by in ((top, _ONE - down), (bottom, down)):
                for column, of in ((left, _ONE - along), (right, along)):
                    depth = coarse[row * columns + column]
                    if depth < known:
                        share += by * of
                        inverse += by * of / depth
            if share > _HALF:
                nearest[i, j] = min(nearest[i, j], share / max(inverse, f32(1e-6)))


@compiled
def _buffers(pyramid, levels, known, nearest, finest):
    """From a class's pyramid (cells,) to the nearest of all levels and the finest, (H, W) each.

    They keep what a class that comes first has put there.
    """
    height, width = finest.shape
    fresh = np.empty((height, width), f32)
    for i in range(height):
        for j in range(width):
            fresh[i, j] = pyramid[i * width + j]
            if not finest[i, j] < known:
                finest[i, j] = fresh[i, j]
    start = height * width
    for level in range(1, levels):
        rows, columns = height >> level, width >> level
        cells = pyramid[start : start + rows * columns]
        start += rows * columns
        _smooth(cells, rows, columns, known, fresh)
    for i in range(height):
        for j in range(width):
            if not nearest[i, j] < known:
                nearest[i, j] = fresh[i, j]


@compiled
def _settled(surface, x, y, depth, into, weight, lens):
    """Move a splatted depth onto the surface that the best source shows there."""
    height, width = depth.shape[1:]
    least, ratio = f32(0.25), _ONE
    for k in range(len(weight)):
        u, v, expected = _place(into[k], lens, x, y, surface)
        if not (weight[k] > 0 and _inside(u, v, width)):
            continue
        left, right, along = _tap(u, width)
        top, bottom, down = _tap(v, height)
        upper = depth[k, top, left] * (_ONE - along) + depth[k, top, right] * along
        lower = depth[k, bottom, left] * (_ONE - along) + depth[k, bottom, right] * along
        found = upper * (_ONE - down) + lower * down
        safe = max(expected, f32(0.05))
        off = abs(found - expected) / safe
        if off < least:
            least, ratio = off, found / safe
    return surface * min(max(ratio, f32(0.8)), f32(1.25))


@compiled
def _read(surface, x, y, shown, into, weight, lens, out):
    """Colours of a settled surface into ``out`` (3,); returns how well the best source agrees."""
    height, width = shown.shape[1:3]
    best, total = f32(0.0), f32(0.0)
    red, green, blue = f32(0.0), f32(0.0), f32(0.0)
    for k in range(len(weight)):
        u, v, expected = _place(into[k], lens, x, y, surface)
        if not (weight[k] > 0 and _inside(u, v, width)):
            continue
        left, right, along = _tap(u, width)
        top, bottom, down = _tap(v, height)
        a, b = shown[k, top, left], shown[k, top, right]
        c, d = shown[k, bottom, left], shown[k, bottom, right]
        wa, wb = (_ONE - along) * (_ONE - down), along * (_ONE - down)
        wc, wd = (_ONE - along) * down, along * down
        facing = a[4] * wa + b[4] * wb + c[4] * wc + d[4] * wd
        if not (expected > f32(0.05) and facing > _HALF):
            continue
        found = a[3] * wa + b[3] * wb + c[3] * wc + d[3] * wd
        error = abs(found - expected) / (f32(0.03) + f32(0.04) * expected)
        agreement = math.exp(-error * error) + _TINY
        share = agreement * min(_ONE / min(max(expected / surface, f32(0.25)), f32(4.0)), _ONE)
        share = share * share * weight[k]
        red += share * (a[0] * wa + b[0] * wb + c[0] * wc + d[0] * wd)
        green += share * (a[1] * wa + b[1] * wb + c[1] * wc + d[1] * wd)
        blue += share * (a[2] * wa + b[2] * wb + c[2] * wc + d[2] * wd)
        total += share
        best = max(best, agreement)
    total = max(total, f32(1e-12))
    out[0], out[1], out[2] = red / total, green / total, blue / total
    return best


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
        top, bottom, down = _tap((f32(i) + _HALF) / f32(height), coarse.shape[1])
        for j in range(width):
            missing = _ONE - weight[i, j]
            if missing > 0:
                left, right, along = _tap((f32(j) + _HALF) / f32(width), coarse.shape[2])
                for n in range(4):
                    a, b = coarse[n, top, left], coarse[n, top, right]
                    c, d = coarse[n, bottom, left], coarse[n, bottom, right]
                    upper, lower = a + (b - a) * along, c + (d - c) * along
                    value[n, i, j] += (upper + (lower - upper) * down) * missing


@compiled
def _draw(nearest, finest, x, y, depth, shown, into, weight, lens, limits, out, mask):
    """Colour and inverse depth (4, H, W) where memory explains a pixel, else zero; and the mask."""
    height, width = mask.shape
    known, farthest, enough = limits[0] * _HALF, limits[1], limits[4]
    colour = np.zeros(3, f32)
    for i in range(height):
        for j in range(width):
            agreement, surface = f32(0.0), nearest[i, j]
            if surface < known:
                surface = _settled(surface, x[j], y[i], depth, into, weight, lens)
                agreement = _read(surface, x[j], y[i], shown, into, weight, lens, colour)
            again = not agreement > enough and finest[i, j] != nearest[i, j]
            if again and finest[i, j] < known:
                surface = _settled(finest[i, j], x[j], y[i], depth, into, weight, lens)
                agreement = _read(surface, x[j], y[i], shown, into, weight, lens, colour)
            explained = agreement > enough
            mask[i, j] = _ONE if explained else f32(0.0)
            for n in range(3):
                out[n, i, j] = colour[n] if explained else f32(0.0)
            out[3, i, j] = mask[i, j] / min(max(surface, f32(0.05)), farthest)


@compiled
def draw_views(
    rgb, depth, pose, weight, view, x, y, lens, limits, levels, out, mask, first, last
):  # fmt: skip
    """Views ``first`` to ``last``: out (B, 4, H, W) of colour and depth, mask (B, 1, H, W)."""
    count, height, width = depth.shape[1:]
    far, farthest, covered, observed = limits[0], limits[1], limits[2], limits[3]
    shown = np.empty((count, height, width, _SHOWN), f32)
    into, frame = np.empty((count, 3, 4), f32), np.empty((3, 4), f32)
    pyramid = np.empty((2, 2 * height * width), f32)
    nearest, finest = np.empty((height, width), f32), np.empty((height, width), f32)
    for b in range(first, last):
        pyramid.fill(far)
        nearest.fill(far)
        finest.fill(far)
        for k in range(count):
            if weight[b, k] > 0:
                _between(pose[b, k], view[b], into[k])
                _between(view[b], pose[b, k], frame)
                _show(rgb[b, k], depth[b, k], into[k], x, y, shown[k])
                part = pyramid[0 if weight[b, k] >= observed else 1]
                _splat(depth[b, k], frame, lens, x, y, far, covered, levels, part)
        for n in range(2):
            _buffers(pyramid[n], levels, far * _HALF, nearest, finest)
        _draw(
            nearest, finest, x, y, depth[b], shown, into, weight[b], lens, limits,
            out[b], mask[b, 0],
        )  # fmt: skip
        _fill(out[b], mask[b, 0])
        for i in range(height):
            for j in range(width):
                out[b, 3, i, j] = _ONE / min(max(out[b, 3, i, j], _ONE / farthest), f32(20.0))


def draw(
    arrays: list[Tensor], intrinsics: Intrinsics, limits: list[float], levels: int
) -> tuple[Tensor, Tensor]:
    """Colour and depth (B, 4, H, W) and mask (B, 1, H, W), by as many threads as torch has.

    Args:
        arrays: sources' rgb, depth, pose and weight, and the views; float32 on the CPU.
        limits: FAR, MAX_DEPTH, COVERED, OBSERVED_WEIGHT, MIN_AGREEMENT.
        levels: of the pyramid.
    """
    batch, _, height, width = arrays[1].shape
    rays = intrinsics.rays(height, width)  # (H, W, 3)
    lens = torch.tensor([intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy])
    out, mask = torch.empty(batch, 4, height, width), torch.empty(batch, 1, height, width)
    tensors = (*arrays, rays[0, :, 0], rays[:, 0, 1], lens, torch.tensor(limits))
    inputs = [tensor.detach().contiguous().numpy() for tensor in tensors]

    def part(first: int, last: int) -> None:
        draw_views(*inputs, levels, out.numpy(), mask.numpy(), first, last)

    workers = max(1, min(torch.get_num_threads(), batch))
    bounds = [batch * n // workers for n in range(workers + 1)]
    if workers == 1:
        part(0, batch)
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(part, bounds[:-1], bounds[1:]))
    return out, mask
