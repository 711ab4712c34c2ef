"""One pixel of a frame: arithmetic that loops and CUDA kernels share."""

from __future__ import annotations

import numpy as np

from mgenv.engine.render.raytrace import display
from mgenv.engine.render.shading import look
from mgenv.jit import inlined_ray_function, ray_function

f32 = np.float32


@ray_function
def on_edge(surface, f, i, j):
    """Whether a neighbour shows another surface."""
    last, here = surface.shape[1] - 1, surface[f, i, j]
    return (
        surface[f, max(i - 1, 0), j] != here
        or surface[f, min(i + 1, last), j] != here
        or surface[f, i, max(j - 1, 0)] != here
        or surface[f, i, min(j + 1, last)] != here
    )


@inlined_ray_function
def trace_subpixel(view, index, pose, lens, size, rays, f, i, j, k):
    """Ray ``k`` of rays² through pixel (row i, column j) of frame f.

    Returns:
        Display r, g, b in [0, 255]; depth [m]; surface number.
    """
    s, part = index[f], f32(1.0) / f32(rays)
    ox, oy, oz = pose[f, 0, 3], pose[f, 1, 3], pose[f, 2, 3]
    pixel = f32(1.0) / (lens[0] * size)
    px, py = (
        f32(j) + (f32(k % rays) + f32(0.5)) * part,
        f32(i) + (f32(k // rays) + f32(0.5)) * part,
    )
    x, y = (px / size - lens[2]) / lens[0], (py / size - lens[3]) / lens[1]
    dx = pose[f, 0, 0] * x + pose[f, 0, 1] * y + pose[f, 0, 2]
    dy = pose[f, 1, 0] * x + pose[f, 1, 1] * y + pose[f, 1, 2]
    dz = pose[f, 2, 0] * x + pose[f, 2, 1] * y + pose[f, 2, 2]
    r, g, b, t, number = look(view, s, f, ox, oy, oz, dx, dy, dz, pixel)
    return display(r), display(g), display(b), t, number


@inlined_ray_function
def draw_pixel(view, index, pose, lens, rgb, depth, surface, rays, f, i, j):
    """Pixel (row i, column j) of frame f.

    With ``rays`` 1, look through its centre and note depth and surface; with more, replace the
    colour of a pixel on an edge by the mean of rays².
    """
    if rays > 1 and not on_edge(surface, f, i, j):
        return
    size, part = f32(depth.shape[1]), f32(1.0) / f32(rays)
    red, green, blue = f32(0.5), f32(0.5), f32(0.5)
    for k in range(rays * rays):
        r, g, b, t, number = trace_subpixel(view, index, pose, lens, size, rays, f, i, j, k)
        red += r * part * part
        green += g * part * part
        blue += b * part * part
        if rays == 1:
            depth[f, i, j] = t
            surface[f, i, j] = number
    rgb[f, i, j, 0], rgb[f, i, j, 1], rgb[f, i, j, 2] = (
        np.uint8(red),
        np.uint8(green),
        np.uint8(blue),
    )
