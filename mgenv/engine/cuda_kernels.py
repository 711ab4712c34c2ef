"""The renderer as a CUDA kernel, one thread a pixel; imported only where CUDA is used."""

from __future__ import annotations

from typing import Any

import torch
from numba import cuda

from mgenv.engine.renderer import draw_pixel


@cuda.jit
def _draw_pixels(view, index, pose, lens, rgb, depth, surface, rays):
    """All pixels of all frames: launched with ``rays`` 1, then once more for smooth edges."""
    n = cuda.grid(1)  # type: ignore[call-arg]
    size = depth.shape[1]
    f = n // (size * size)
    if f < depth.shape[0]:
        i, j = (n // size) % size, n % size
        draw_pixel(view, index, pose, lens, rgb, depth, surface, rays, f, i, j)


draw_pixels: Any = _draw_pixels


def current_stream(device: torch.device) -> Any:
    """Numba's handle of the stream on which torch works."""
    pointer = torch.cuda.current_stream(device).cuda_stream
    return cuda.external_stream(pointer) if pointer else cuda.default_stream()
