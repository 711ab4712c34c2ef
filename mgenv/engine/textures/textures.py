"""Smooth procedural materials, filtered by the pixel's footprint: runs on CPU and CUDA alike.

A material is eight numbers: pattern, two linear colours (r, g, b each) and a scale [m]. A pattern
mixes the two colours over a surface given in metres; its contrast fades as its period nears the
size of a pixel, so that nothing aliases at 64×64.
"""

from __future__ import annotations

import math

import numpy as np

from mgenv.jit import ray_function

f32 = np.float32

PLAIN, PLANKS, TILES, CHECKER, STRIPES, WAINSCOT, BRICKS, FABRIC = range(8)
PICTURE, DOORS, DRAWERS, CRATE, WINDOW, BOOKS, RUG, GLOW, LEAVES, SCREEN, IMAGE = range(8, 19)


@ray_function
def whole(x):
    """The floor, as a float; math.floor would be a slow call into the C library."""
    cut = f32(int(x))
    return cut - f32(1.0) if cut > x else cut


@ray_function
def clamp01(x):
    return min(max(x, f32(0.0)), f32(1.0))


@ray_function
def smooth(x):
    """A smooth step from 0 at x = 0 to 1 at x = 1."""
    x = clamp01(x)
    return x * x * (f32(3.0) - f32(2.0) * x)


@ray_function
def wave(x):
    """A smooth wave of period 1 between 0 (at whole x) and 1."""
    x = x - whole(x)
    y = f32(4.0) * x * (f32(1.0) - x)
    return y * y * (f32(3.0) - f32(2.0) * y)


@ray_function
def hashed(i, j):
    """A fixed random number in [0, 1) for a pair of whole numbers."""
    x = f32(i) * f32(0.1031) + f32(j) * f32(0.3713) + f32(0.17)
    x = (x - whole(x)) * f32(17.31)
    x = x * (x + f32(33.33))
    return f32(x - whole(x))


@ray_function
def fade(period, footprint):
    """How much of a pattern's contrast a pixel of this footprint can show."""
    return clamp01((f32(0.6) - footprint / period) * f32(3.0))


@ray_function
def cell_tint(x, row, soft):
    """A random tint for each whole x, blended over ``soft`` at the borders."""
    i = whole(x)
    part = x - i
    here = hashed(i, row)
    soft = min(max(soft, f32(0.02)), f32(0.5))
    ahead = part > f32(0.5)
    gap = f32(1.0) - part if ahead else part
    there = hashed(i + f32(1.0) if ahead else i - f32(1.0), row)
    return here + (there - here) * f32(0.5) * clamp01(f32(1.0) - gap / soft)


@ray_function
def line(x, half_width, soft):
    """1 on the lines at whole x, 0 away from them."""
    distance = abs(x - whole(x + f32(0.5)))
    return clamp01((half_width + soft * f32(0.5) - distance) / (soft + f32(0.02)))


@ray_function
def band(x, low, high, soft):
    """1 between low and high, with soft borders."""
    soft = soft + f32(0.01)
    return smooth((x - low) / soft + f32(0.5)) * smooth((high - x) / soft + f32(0.5))


@ray_function
def planks(u, v, scale, fu, fv):
    row = v / scale
    tint = cell_tint(row, f32(3.0), fv / scale)
    board = cell_tint(u / f32(1.3) + f32(7.0) * hashed(whole(row), f32(5.0)),
                      whole(row), fu / f32(1.3))  # fmt: skip
    grain = f32(0.5) * tint + f32(0.5) * board
    seam = line(row, f32(0.07), fv / scale)
    kept = fade(scale, fv)
    return f32(0.42) + (grain * f32(0.75) + seam * f32(0.35) - f32(0.42)) * kept


@ray_function
def tiles(u, v, scale, fu, fv):
    footprint = max(fu, fv)
    grout = max(line(u / scale, f32(0.05), fu / scale), line(v / scale, f32(0.05), fv / scale))
    tint = f32(0.2) * cell_tint(u / scale, whole(v / scale), fu / scale)
    return f32(0.22) + (max(grout, tint) - f32(0.22)) * fade(scale, footprint)


@ray_function
def soft_sign(x, soft):
    """A square wave of period 2 in [0, 1], its steps as wide as a pixel."""
    x = x * f32(0.5)
    x = x - whole(x)
    soft = f32(0.5) * soft + f32(0.01)
    return smooth((x - f32(0.25)) / soft + f32(0.5)) * smooth((f32(0.75) - x) / soft + f32(0.5))


@ray_function
def checker(u, v, scale, fu, fv):
    a, b = soft_sign(u / scale, fu / scale), soft_sign(v / scale, fv / scale)
    both = a * b + (f32(1.0) - a) * (f32(1.0) - b)
    return f32(0.5) + (both - f32(0.5)) * fade(f32(2.0) * scale, max(fu, fv))


@ray_function
def bricks(u, v, scale, fu, fv):
    row = v / (scale * f32(0.4))
    along = u / scale + f32(0.5) * whole(row)
    joint = max(line(row, f32(0.07), fv / (scale * f32(0.4))), line(along, f32(0.03), fu / scale))
    tint = f32(0.55) * cell_tint(along, whole(row), fu / scale)
    return f32(0.35) + (max(joint, tint) - f32(0.35)) * fade(scale * f32(0.5), max(fu, fv))


@ray_function
def wainscot(u, v, scale, fu, fv):
    below = smooth((f32(0.9) - v) / (fv + f32(0.02)) + f32(0.5))
    rail = band(v, f32(0.86), f32(0.95), fv)
    skirting = smooth((f32(0.1) - v) / (fv + f32(0.02)) + f32(0.5))
    return clamp01(f32(0.75) * below + f32(0.3) * rail + f32(0.25) * skirting)


@ray_function
def picture(u, v, su, sv, scale, fu, fv):
    """A framed abstract: a horizon, a disc and a slope drawn from ``scale``."""
    x, y, soft = u / su, v / sv, max(fu / su, fv / sv)
    inside = band(x, f32(0.1), f32(0.9), soft) * band(y, f32(0.1), f32(0.9), soft)
    horizon = f32(0.3) + f32(0.4) * hashed(scale, f32(1.0))
    tilt = (hashed(scale, f32(2.0)) - f32(0.5)) * f32(1.2)
    ground = smooth((horizon + tilt * (x - f32(0.5)) - y) / (soft + f32(0.03)) + f32(0.5))
    dx, dy = x - f32(0.25) - f32(0.5) * hashed(scale, f32(3.0)), y - f32(0.68)
    radius = f32(0.1) + f32(0.15) * hashed(scale, f32(4.0))
    disc = smooth((radius - math.sqrt(dx * dx + dy * dy)) / (soft + f32(0.03)) + f32(0.5))
    return inside * clamp01(max(f32(0.85) * ground, disc) + f32(0.12))


@ray_function
def panels(u, v, su, sv, columns, rows, fu, fv):
    """Doors or drawers: dark gaps, raised panels and a knob each."""
    x, y = u / su * columns, v / sv * rows
    soft_x, soft_y = fu / su * columns, fv / sv * rows
    gap = max(line(x, f32(0.025), soft_x), line(y, f32(0.025), soft_y))
    px, py = x - whole(x), y - whole(y)
    raised = band(px, f32(0.14), f32(0.86), soft_x) * band(py, f32(0.14), f32(0.86), soft_y)
    kept = fade(min(su / columns, sv / rows), max(fu, fv))
    return f32(0.2) + (f32(0.85) * gap + f32(0.3) * (f32(1.0) - raised) - f32(0.2)) * kept


@ray_function
def crate(u, v, su, sv, fu, fv):
    x, y, soft = u / su, v / sv, max(fu / su, fv / sv)
    inside = band(x, f32(0.13), f32(0.87), soft) * band(y, f32(0.13), f32(0.87), soft)
    brace = smooth((f32(0.09) - abs(x - y)) / (soft + f32(0.02)) + f32(0.5))
    return inside * (f32(1.0) - brace)


@ray_function
def window(u, v, su, sv, fu, fv):
    """1 on the frame and the cross, a gradient of sky within."""
    x, y = u / su, v / sv
    glass = band(x, f32(0.07), f32(0.93), fu / su) * band(y, f32(0.07), f32(0.93), fv / sv)
    bar = max(band(x, f32(0.47), f32(0.53), fu / su), band(y, f32(0.55), f32(0.6), fv / sv))
    sky = f32(0.45) * smooth((f32(0.5) - y) * f32(2.0) + f32(0.3))
    return f32(1.0) - glass * (f32(1.0) - bar) * (f32(1.0) - sky)


@ray_function
def rug(u, v, su, sv, scale, fu, fv):
    edge = min(min(u, su - u), min(v, sv - v))
    footprint = max(fu, fv)
    border = band(edge, f32(0.12), f32(0.26), footprint)
    x, y = abs(u / su - f32(0.5)), abs(v / sv - f32(0.5))
    medal = smooth((f32(0.2) - max(x, y)) / (f32(0.03) + footprint) + f32(0.5)) * hashed(
        scale, f32(6.0)
    )
    return max(border, medal)


@ray_function
def mix_of(kind, u, v, su, sv, scale, fu, fv):
    """The share of the second colour at (u, v) [m] of a face su × sv [m], footprint fu × fv [m]."""
    if kind == PLANKS:
        return planks(u, v, scale, fu, fv)
    if kind == TILES:
        return tiles(u, v, scale, fu, fv)
    if kind == CHECKER:
        return checker(u, v, scale, fu, fv)
    if kind == STRIPES:
        return f32(0.5) + (wave(u / scale) - f32(0.5)) * fade(scale, fu)
    if kind == WAINSCOT:
        return wainscot(u, v, scale, fu, fv)
    if kind == BRICKS:
        return bricks(u, v, scale, fu, fv)
    if kind == FABRIC:
        return f32(0.4) * wave(u / scale) * fade(scale, fu) + f32(0.3) * wave(v / scale) * fade(
            scale, fv
        )
    if kind == PICTURE:
        return picture(u, v, su, sv, scale, fu, fv)
    if kind == DOORS:
        return panels(
            u, v, su, sv, max(f32(1.0), whole(su / f32(0.45) + f32(0.5))), f32(1.0), fu, fv
        )
    if kind == DRAWERS:
        return panels(
            u, v, su, sv, f32(1.0), max(f32(2.0), whole(sv / f32(0.3) + f32(0.5))), fu, fv
        )
    if kind == CRATE:
        return crate(u, v, su, sv, fu, fv)
    if kind == WINDOW:
        return window(u, v, su, sv, fu, fv)
    if kind == BOOKS:
        return f32(0.5) + (
            cell_tint(u / scale, whole(su * f32(97.0)), fu / scale) - f32(0.5)
        ) * fade(scale, fu)
    if kind == RUG:
        return rug(u, v, su, sv, scale, fu, fv)
    if kind == LEAVES:
        return wave(u / f32(0.13)) * wave(v / f32(0.11)) * fade(f32(0.13), max(fu, fv))
    if kind == SCREEN:
        return f32(1.0) - band(u / su, f32(0.06), f32(0.94), fu / su) * band(
            v / sv, f32(0.08), f32(0.94), fv / sv
        )
    return f32(0.0)


@ray_function
def material(table, s, i, at):
    """The eight numbers at ``table[s, i, at:at + 8]``, the first as a whole number."""
    return (
        int(table[s, i, at]),
        table[s, i, at + 1],
        table[s, i, at + 2],
        table[s, i, at + 3],
        table[s, i, at + 4],
        table[s, i, at + 5],
        table[s, i, at + 6],
        table[s, i, at + 7],
    )


@ray_function
def mottle(u, v):
    """A slow, faint change of brightness over any surface."""
    a, b = f32(0.43) * u + f32(0.31) * v, f32(0.37) * v + f32(0.2) * u
    return f32(0.94) + f32(0.12) * wave(a) * wave(b)
