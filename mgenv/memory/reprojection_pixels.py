"""One pixel of the canvas: the arithmetic that the loops on CPUs and the CUDA kernels share.

The same as :func:`mgenv.memory.reprojection.reproject_plain`, pixel by pixel. Two shortcuts change
nothing: sources of weight zero are never touched, and the second buffer is read only where the
first one shows nothing. Nothing here allocates.

The plain twin's named constants come in as arguments, because the cache of machine code notices
changes in this file only.

Shapes: K sources, H×W pixels. A frame of reference is float32 (3, 4), a lens is fx, fy, cx, cy.
"""

from __future__ import annotations

import math

import numpy as np

from mgenv.jit import pixel_function

f32 = np.float32
HALF, ONE, TINY = f32(0.5), f32(1.0), f32(1e-4)
SHOWN = 5
"""Red, green, blue, depth and facing, side by side, as they are read together."""


@pixel_function
def place(frame, lens, x, y, depth):
    """Where the point at ``depth`` on ray (x, y, 1) lies: u, v in [0, 1] and depth."""
    px, py = x * depth, y * depth
    z = frame[2, 0] * px + frame[2, 1] * py + frame[2, 2] * depth + frame[2, 3]
    if not z > TINY:
        return f32(-1e4), f32(-1e4), z
    u = (frame[0, 0] * px + frame[0, 1] * py + frame[0, 2] * depth + frame[0, 3]) / z
    v = (frame[1, 0] * px + frame[1, 1] * py + frame[1, 2] * depth + frame[1, 3]) / z
    return u * lens[0] + lens[2], v * lens[1] + lens[3], z


@pixel_function
def tap(u, size):
    """Bilinear read at ``u`` of ``size`` cells: the two cells and the share of the second."""
    x = min(max(u * f32(size) - HALF, f32(0.0)), f32(size - 1))
    first = int(x)
    return first, min(first + 1, size - 1), x - f32(first)


@pixel_function
def inside(u, v, width):
    """Whether a bilinear read is at most half a pixel beyond the image."""
    margin = HALF / f32(width)
    return u > -margin and u < ONE + margin and v > -margin and v < ONE + margin


@pixel_function
def show_pixel(rgb, depth, into, x, y, i, j, shown):
    """Lay out a source's pixel in ``shown`` (H, W, 5), with whether its surface faces the view."""
    height, width = depth.shape
    a, b = min(j, width - 2), max(j - 1, 0)
    if abs(depth[i, a + 1] - depth[i, a]) > abs(depth[i, b + 1] - depth[i, b]):
        a = b
    c, q = min(i, height - 2), max(i - 1, 0)
    if abs(depth[c + 1, j] - depth[c, j]) > abs(depth[q + 1, j] - depth[q, j]):
        c = q
    d0, d1, e0, e1 = depth[i, a], depth[i, a + 1], depth[c, j], depth[c + 1, j]
    ax, ay, az = x[a + 1] * d1 - x[a] * d0, y[i] * d1 - y[i] * d0, d1 - d0
    bx, by, bz = x[j] * e1 - x[j] * e0, y[c + 1] * e1 - y[c] * e0, e1 - e0
    nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    d = depth[i, j]
    px, py = x[j] * d, y[i] * d
    out = nx * px + ny * py + nz * d
    back = nx * (into[0, 3] - px) + ny * (into[1, 3] - py) + nz * (into[2, 3] - d)
    for n in range(3):
        shown[i, j, n] = rgb[n, i, j]
    shown[i, j, 3] = d
    facing = (out < 0 and back > 0) or (out > 0 and back < 0)
    shown[i, j, 4] = ONE if facing else f32(0.0)


@pixel_function
def footprint(stored, frame, lens, x, y, far, covered, levels, height, width):
    """Which cells of a pyramid a source's pixel on ray (x, y, 1) takes.

    Returns:
        Depth in the view, where its level starts in the pyramid, the level's columns, and the
        first and last row and column; no rows where it takes none.
    """
    u, v, z = place(frame, lens, x, y, stored)
    near = stored > 0 and z > f32(0.05) and z < far
    if not (near and u > -ONE and u < f32(2.0) and v > -ONE and v < f32(2.0)):
        return z, 0, 0, 0, 0, 0, 0
    level, start, ratio = 0, 0, stored / z / covered
    while level < levels - 1 and ratio > ONE:
        start += (height >> level) * (width >> level)
        level += 1
        ratio *= HALF
    rows, columns = height >> level, width >> level
    top = int(math.floor(v * f32(rows) - HALF))
    left = int(math.floor(u * f32(columns) - HALF))
    last_row, last_column = min(top + 2, rows), min(left + 2, columns)
    return z, start, columns, max(top, 0), last_row, max(left, 0), last_column


@pixel_function
def surface_of_class(pyramid, levels, known, height, width, i, j):
    """What a class's pyramid (cells,) shows at a pixel: nearest of all levels, and the finest."""
    finest = pyramid[i * width + j]
    nearest, start = finest, height * width
    for level in range(1, levels):
        rows, columns = height >> level, width >> level
        top, bottom, down = tap((f32(i) + HALF) / f32(height), rows)
        left, right, along = tap((f32(j) + HALF) / f32(width), columns)
        inverse, share = f32(0.0), f32(0.0)
        for row, by in ((top, ONE - down), (bottom, down)):
            for column, of in ((left, ONE - along), (right, along)):
                depth = pyramid[start + row * columns + column]
                if depth < known:
                    share += by * of
                    inverse += by * of / depth
        if share > HALF:  # planes are linear in inverse depth
            nearest = min(nearest, share / max(inverse, f32(1e-6)))
        start += rows * columns
    return nearest, finest


@pixel_function
def surfaces(pyramids, levels, known, height, width, i, j):
    """Nearest and finest depth at a pixel: of the first class (2, cells) that knows one."""
    nearest, finest = known, known
    for part in range(2):
        if nearest < known and finest < known:
            break
        near, fine = surface_of_class(pyramids[part], levels, known, height, width, i, j)
        nearest = nearest if nearest < known else near
        finest = finest if finest < known else fine
    return nearest, finest


@pixel_function
def settled(surface, x, y, shown, into, weight, lens):
    """Move a splatted depth onto the surface that the best source shows there."""
    height, width = shown.shape[1:3]
    least, ratio = f32(0.25), ONE
    for k in range(len(weight)):
        if not weight[k] > 0:
            continue
        u, v, expected = place(into[k], lens, x, y, surface)
        if not inside(u, v, width):
            continue
        left, right, along = tap(u, width)
        top, bottom, down = tap(v, height)
        upper = shown[k, top, left, 3] * (ONE - along) + shown[k, top, right, 3] * along
        lower = shown[k, bottom, left, 3] * (ONE - along) + shown[k, bottom, right, 3] * along
        found = upper * (ONE - down) + lower * down
        safe = max(expected, f32(0.05))
        off = abs(found - expected) / safe
        if off < least:
            least, ratio = off, found / safe
    return surface * min(max(ratio, f32(0.8)), f32(1.25))


@pixel_function
def standing(weight):
    """A source's weight as a number from 0 to 1: a unit for four orders of magnitude."""
    return min(max(ONE + f32(0.25) * f32(math.log10(max(weight, f32(1e-6)))), f32(0.0)), ONE)


@pixel_function
def read(surface, x, y, shown, into, weight, lens):
    """What sources show on a settled surface.

    Returns:
        How well the best of them agrees, red, green, blue, and the evidence: trust, resolution and
        doubt, as in :class:`mgenv.memory.reprojection.Canvas`.
    """
    height, width = shown.shape[1:3]
    best, total, doubt = f32(0.0), f32(0.0), f32(0.0)
    red, green, blue = f32(0.0), f32(0.0), f32(0.0)
    trust, resolution = f32(0.0), f32(0.0)
    for k in range(len(weight)):
        if not weight[k] > 0:
            continue
        u, v, expected = place(into[k], lens, x, y, surface)
        if not inside(u, v, width):
            continue
        left, right, along = tap(u, width)
        top, bottom, down = tap(v, height)
        a, b = shown[k, top, left], shown[k, top, right]
        c, d = shown[k, bottom, left], shown[k, bottom, right]
        wa, wb = (ONE - along) * (ONE - down), along * (ONE - down)
        wc, wd = (ONE - along) * down, along * down
        facing = a[4] * wa + b[4] * wb + c[4] * wc + d[4] * wd
        if not expected > f32(0.05):
            continue
        found = a[3] * wa + b[3] * wb + c[3] * wc + d[3] * wd
        if found > f32(1.1) * expected + f32(0.1):  # it sees through the surface
            doubt = max(doubt, weight[k])
        if not facing > HALF:
            continue
        error = abs(found - expected) / (f32(0.03) + f32(0.04) * expected)
        agreement = f32(math.exp(-error * error)) + TINY
        fine = min(ONE / min(max(expected / surface, f32(0.25)), f32(4.0)), ONE)
        share = agreement * fine
        share = share * share * weight[k]
        trust += share * weight[k]
        resolution += share * fine
        red += share * (a[0] * wa + b[0] * wb + c[0] * wc + d[0] * wd)
        green += share * (a[1] * wa + b[1] * wb + c[1] * wc + d[1] * wd)
        blue += share * (a[2] * wa + b[2] * wb + c[2] * wc + d[2] * wd)
        total += share
        best = max(best, agreement)
    total = max(total, f32(1e-12))
    red, green, blue = red / total, green / total, blue / total
    return best, red, green, blue, standing(trust / total), resolution / total, standing(doubt)


@pixel_function
def draw_pixel(
    pyramids, levels, shown, into, weight, x, y, lens, known, farthest, enough, i, j, out, mask,
    evidence,
):  # fmt: skip
    """Pixel (i, j) of a view: colour and inverse depth (4, H, W) where memory explains it, or 0,
    and the evidence (3, H, W) for it.

    Args:
        pyramids: (2, cells) of observed and of generated surfaces.
        shown: (K, H, W, 5) from :func:`show_pixel`.
        known: depths below it are known; farthest: depth [m] at which the canvas ends.
        enough: how well the best source must agree.
    """
    height, width = mask.shape
    nearest, finest = surfaces(pyramids, levels, known, height, width, i, j)
    surface, agreement = nearest, f32(0.0)
    red, green, blue = f32(0.0), f32(0.0), f32(0.0)
    trust, resolution, doubt = f32(0.0), f32(0.0), f32(0.0)
    for attempt in range(2):
        wanted = nearest if attempt == 0 else finest
        done = agreement > enough or (attempt == 1 and finest == nearest)
        if wanted < known and not done:
            surface = settled(wanted, x[j], y[i], shown, into, weight, lens)
            agreement, red, green, blue, trust, resolution, doubt = read(
                surface, x[j], y[i], shown, into, weight, lens
            )
    explained = agreement > enough
    mask[i, j] = ONE if explained else f32(0.0)
    out[0, i, j] = red if explained else f32(0.0)
    out[1, i, j] = green if explained else f32(0.0)
    out[2, i, j] = blue if explained else f32(0.0)
    evidence[0, i, j] = trust if explained else f32(0.0)
    evidence[1, i, j] = resolution if explained else f32(0.0)
    evidence[2, i, j] = doubt if explained else f32(0.0)
    out[3, i, j] = mask[i, j] / min(max(surface, f32(0.05)), farthest)
