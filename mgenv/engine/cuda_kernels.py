"""The renderer's two passes as CUDA kernels, one thread a pixel; imported only where CUDA is used."""

from __future__ import annotations

from numba import cuda

from mgenv.engine.renderer import first_look, on_edge, second_look


@cuda.jit
def first_pass(cells, rooms, objects, starts, items, light, index, pose, lens, rgb, depth, surface):
    """Colour, depth and surface number of every pixel's centre."""
    n = cuda.grid(1)
    size = depth.shape[1]
    f = n // (size * size)
    if f < depth.shape[0]:
        i, j = (n // size) % size, n % size
        first_look(cells, rooms, objects, starts, items, light, index, pose, lens, rgb, depth, surface, f, i, j)


@cuda.jit
def second_pass(cells, rooms, objects, starts, items, light, index, pose, lens, rgb, surface, supersample):
    """Smooth the colour of pixels on edges."""
    n = cuda.grid(1)
    size = surface.shape[1]
    f = n // (size * size)
    if f < surface.shape[0]:
        i, j = (n // size) % size, n % size
        if on_edge(surface, f, i, j):
            second_look(
                cells, rooms, objects, starts, items, light, index, pose, lens, rgb, surface, supersample, f, i, j
            )
