"""How surfaces are cut into cells, and what is painted into one: bricks, boards, hexagons, flowers.

A cell is (i, j, x, y, half width, half height, edge, turned): whole numbers that name it, where in
it a point lies from its middle, how far the nearest joint is, and whether it lies crosswise.
Everything repeats after 64 texels in both directions.
"""

from __future__ import annotations

import math

import numpy as np

from mgenv.engine.textures.recipe import (
    BASKET,
    DAMASK,
    DOT,
    FLOWER,
    FRAME,
    GRID,
    HERRINGBONE,
    PLAID,
    POINTS,
    QUARTERS,
    RING,
    ROSETTE,
    STRIPE,
    TRELLIS,
    ZIGZAG,
)
from mgenv.jit import compiled

WIDTH = 64.0
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S29, _S32, _S43, _S22 = np.uint64(29), np.uint64(32), np.uint64(43), np.uint64(22)
_LOW = np.uint64((1 << 21) - 1)


@compiled
def hashed(i, j, seed):
    """Three random numbers in [0, 1) of a pair of whole numbers, below 2²⁰ in size."""
    z = np.uint64(i + 1048576.0) * _MIX_1 + np.uint64(j + 1048576.0) * _MIX_2 + np.uint64(seed)
    z = (z ^ (z >> _S32)) * _MIX_1
    z = (z ^ (z >> _S29)) * _MIX_2
    z = z ^ (z >> _S32)
    unit = 1.0 / 2097152.0
    return (z >> _S43) * unit, ((z >> _S22) & _LOW) * unit, (z & _LOW) * unit


@compiled
def step(x):
    """A smooth step from 0 at x = 0 to 1 at x = 1."""
    x = min(max(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


@compiled
def border(i, other, count, uneven, seed):
    """Where cell i of a row begins, in cells."""
    return i + uneven * (hashed(i % count, other, seed)[0] - 0.5)


@compiled
def interval(x, other, count, uneven, seed):
    """(cell, its begin, its end) of a point on a line of ``count`` uneven cells."""
    i = float(math.floor(x))
    if uneven == 0.0:
        return i, i, i + 1.0
    low, high = border(i, other, count, uneven, seed), border(i + 1, other, count, uneven, seed)
    if x < low:
        i, low, high = i - 1.0, border(i - 1, other, count, uneven, seed), low
    elif x >= high:
        i, low, high = i + 1.0, high, border(i + 2, other, count, uneven, seed)
    return i, low, high


@compiled
def column(recipe, row, x, seed):
    """(cell, its begin, its end) of a point in a row, in cells, and the point."""
    shift = recipe.shift * row
    if recipe.shift < 0.0:
        shift = hashed(row, 7.0, seed)[1]
    x = x / WIDTH * recipe.columns - shift
    i, low, high = interval(x, row, recipe.columns, recipe.uneven, seed)
    return i % recipe.columns, low, high, x


@compiled
def fold(recipe, x, y):
    """The height at which a chevron's boards would lie straight."""
    t = x / WIDTH * recipe.columns
    t = t - 2.0 * math.floor(0.5 * t)
    return (y + recipe.chevron * WIDTH / recipe.columns * min(t, 2.0 - t)) % WIDTH


@compiled
def grid(recipe, x, y, seed):
    """Rows of cells: bricks, boards, tiles; with ``overlap`` shingles, with ``cut`` octagons."""
    if recipe.chevron != 0.0:
        y = fold(recipe, x, y)
    y = y / WIDTH * recipe.rows
    j, low, high = interval(y, -3.0, recipe.rows, recipe.uneven_rows, seed)
    j = j % recipe.rows
    i, left, right, across = column(recipe, j, x, seed)
    wide, tall = WIDTH / recipe.columns, WIDTH / recipe.rows
    if recipe.overlap > 0.0:
        return shingle(recipe, x, j, (y - low) / (high - low), tall, seed)
    hx, hy = 0.5 * wide * (right - left), 0.5 * tall * (high - low)
    lx, ly = (across - left) * wide - hx, (y - low) * tall - hy
    edge = min(hx - abs(lx), hy - abs(ly))
    if recipe.cut > 0.0:
        corner = hx - abs(lx) + hy - abs(ly) - recipe.cut
        if corner < 0.0:
            at = math.floor(across + 0.5) % recipe.columns, math.floor(y + 0.5) % recipe.rows
            return at[0] + 512.0, at[1], lx, ly, recipe.cut, recipe.cut, -0.7 * corner, 0.0
        edge = min(edge, 0.7 * corner)
    return i, j, lx, ly, hx, hy, edge, 0.0


@compiled
def shingle(recipe, x, j, up, tall, seed):
    """The shingle seen ``up`` row j (in rows): its own, or the one below past its round end."""
    wide = WIDTH / recipe.columns
    i, left, right, across = column(recipe, j, x, seed)
    s = 2.0 * (across - left) / (right - left) - 1.0
    end = recipe.rounding * (1.0 - math.sqrt(max(1.0 - s * s, 0.0)))
    above = (1.0 - up) * tall
    if up < end:
        j, up, above = (j - 1.0) % recipe.rows, up + 1.0, (end - up) * tall
        i, left, right, across = column(recipe, j, x, seed)
    elif up > 1.0 - 0.5 * recipe.rounding:
        i_up, left_up, right_up, across_up = column(recipe, (j + 1.0) % recipe.rows, x, seed)
        s = 2.0 * (across_up - left_up) / (right_up - left_up) - 1.0
        above += recipe.rounding * (1.0 - math.sqrt(max(1.0 - s * s, 0.0))) * tall
    elif recipe.rounding > 0.0:
        above = WIDTH
    hx = 0.5 * wide * (right - left)
    lx, ly = (across - left) * wide - hx, (up - 0.5) * tall
    return i, j, lx, ly, hx, 0.5 * tall, min(hx - abs(lx), above), 0.0


@compiled
def herringbone(recipe, x, y):
    """Blocks in zigzag; ``columns`` is a multiple of twice ``blocks``."""
    unit, n = WIDTH / recipe.columns, recipe.blocks
    cx, cy = float(math.floor(x / unit)), float(math.floor(y / unit))
    k = (cx - cy) % (2.0 * n)
    half, long = 0.5 * unit, 0.5 * n * unit
    if k < n:
        lx, ly = x - (cx - k) * unit - long, y - cy * unit - half
        edge = min(long - abs(lx), half - abs(ly))
        return (cx - k) % recipe.columns, cy, lx, ly, long, half, edge, 0.0
    start = cy - (2.0 * n - 1.0 - k)
    lx, ly = x - cx * unit - half, y - start * unit - long
    edge = min(half - abs(lx), long - abs(ly))
    return cx + 512.0, start % recipe.columns, lx, ly, half, long, edge, 1.0


@compiled
def basket(recipe, x, y):
    """Squares of strips that lie across and up by turns; ``columns`` is even."""
    square = WIDTH / recipe.columns
    half, long = 0.5 * square / recipe.blocks, 0.5 * square
    bx, by = float(math.floor(x / square)), float(math.floor(y / square))
    lx, ly = x - bx * square - long, y - by * square - long
    if (bx + by) % 2.0 == 0.0:
        k = float(math.floor((ly + long) / (2.0 * half)))
        ly = ly + long - (2.0 * k + 1.0) * half
        return bx, by * 16.0 + k, lx, ly, long, half, min(long - abs(lx), half - abs(ly)), 0.0
    k = float(math.floor((lx + long) / (2.0 * half)))
    lx = lx + long - (2.0 * k + 1.0) * half
    return bx * 16.0 + k, by + 512.0, lx, ly, half, long, min(half - abs(lx), long - abs(ly)), 1.0


@compiled
def points(recipe, x, y, seed):
    """What is nearest to each point of a lattice that strays by ``uneven``: cobbles, hexagons."""
    wide, tall = WIDTH / recipe.columns, WIDTH / recipe.rows
    row = float(math.floor(y / tall))
    near, far, i, j = 1e9, 1e9, 0.0, 0.0
    ax, ay, bx, by = 0.0, 0.0, 0.0, 0.0
    for dj in range(-1, 2):
        cj = row + dj
        shift = recipe.shift * (cj % recipe.rows % 2.0)
        first = float(math.floor(x / wide - shift))
        for di in range(-1, 2):
            ci = first + di
            h = hashed(ci % recipe.columns, cj % recipe.rows, seed)
            px = x - (ci + shift + 0.5 + recipe.uneven * (h[0] - 0.5)) * wide
            py = y - (cj + 0.5 + recipe.uneven * (h[1] - 0.5)) * tall
            distance = px * px + py * py
            if distance < near:
                far, bx, by = near, ax, ay
                near, ax, ay, i, j = distance, px, py, ci, cj
            elif distance < far:
                far, bx, by = distance, px, py
    apart = math.sqrt((ax - bx) * (ax - bx) + (ay - by) * (ay - by)) + 1e-6
    edge = 0.5 * (far - near) / apart
    return i % recipe.columns, j % recipe.rows, ax, ay, 0.5 * wide, 0.5 * tall, edge, 0.0


@compiled
def cell(recipe, x, y, seed):
    """The cell at a point of the picture."""
    if recipe.layout == GRID:
        return grid(recipe, x, y, seed)
    if recipe.layout == HERRINGBONE:
        return herringbone(recipe, x, y)
    if recipe.layout == BASKET:
        return basket(recipe, x, y)
    if recipe.layout == POINTS:
        return points(recipe, x, y, seed)
    return 0.0, 0.0, x - 32.0, y - 32.0, 32.0, 32.0, WIDTH, 0.0


@compiled
def within(distance, soft):
    """1 where a distance is below 0, with a soft border."""
    return step(0.5 - distance / soft)


@compiled
def petals(x, y, r, count):
    """The cosine of ``count`` times the angle of (x, y), whose length is r."""
    cos, sin = x / (r + 1e-9), y / (r + 1e-9)
    re, im = 1.0, 0.0
    for _ in range(int(count)):
        re, im = re * cos - im * sin, re * sin + im * cos
    return re


@compiled
def ornament(ruffle, a, b, shift):
    """A random field read off in a mirrored corner: what repeats in damask and painted tiles."""
    return ruffle[int(b * 24.0 + shift) & 63, int(a * 24.0 + shift) & 63]


@compiled
def motif(recipe, ruffle, a, b, soft):
    """How much of the motif's colour there is at (a, b), both in [-1, 1] across a cell.

    Args:
        ruffle: (64, 64) a smooth random field, about 1 in size.
        soft: the width of a texel in the units of a and b.
    """
    kind, size, detail = recipe.motif, recipe.motif_size, recipe.motif_detail
    r = math.sqrt(a * a + b * b)
    if kind == STRIPE:
        pin = within(abs(abs(a) - 0.5 - 0.5 * size) - detail, soft) if detail > 0.0 else 0.0
        return max(within(abs(a) - size, soft), 0.8 * pin)
    if kind == DOT:
        return within(r - size, soft)
    if kind == RING:
        return within(abs(r - size) - detail, soft)
    if kind == TRELLIS:
        return max(within(abs(abs(a) + abs(b) - 1.0) - size, 1.4 * soft), within(r - detail, soft))
    if kind == FLOWER:
        wide = size * (0.65 + 0.35 * petals(a, b, r, detail))
        return within(r - wide, soft) * (1.0 - 0.7 * within(r - 0.22 * size, soft))
    if kind == DAMASK:
        body = ornament(ruffle, abs(a), b + 1.0, 3.0) + 2.2 * (size - r)
        return step(0.5 + body * 1.5)
    if kind == ROSETTE:
        body = ornament(ruffle, max(abs(a), abs(b)), min(abs(a), abs(b)), 9.0)
        return step(0.5 + (body + detail) * 1.6) * within(max(abs(a), abs(b)) - size, soft)
    if kind == PLAID:
        across, up = within(abs(a) - size, soft), within(abs(b) - size, soft)
        thin = max(within(abs(abs(a) - 0.8) - 0.06, soft), within(abs(abs(b) - 0.8) - 0.06, soft))
        return max(0.5 * (across + up), detail * thin)
    if kind == ZIGZAG:
        s = b + abs(a)
        return within(abs(s - 2.0 * math.floor(0.5 * s + 0.5)) - size, 1.4 * soft)
    if kind == QUARTERS:
        return within(a * b / (r + 0.05), soft)
    if kind == FRAME:
        return within(abs(max(abs(a), abs(b)) - size) - detail, soft)
    return 0.0
