"""Colour and depth of many cameras in many worlds: one source for CPU and CUDA.

Each pixel looks once through its centre, which gives depth and a surface number. Pixels whose
neighbours show another surface look ``supersample²`` times more and average the colours, so edges
are smooth and depth stays sharp.
"""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from mgenv.camera import DEFAULT_INTRINSICS, Intrinsics
from mgenv.engine.people.crowd import Crowd, empty, part_of
from mgenv.engine.render.pixels import draw_pixel
from mgenv.engine.render.raytrace import View
from mgenv.engine.scene.batch import SceneBatch, empty_batch
from mgenv.jit import ray_function

_CUDA_PIXELS = 2**27
"""Pixels a launch at most, which bounds the memory for rays through edges to a gigabyte."""
_OF_SCENE = View._fields.index("texels")
"""The fields of a view before it are a scene's."""


@ray_function
def render_frames(view, index, pose, lens, rgb, depth, surface, supersample, first, last):
    """Frames ``first`` to ``last`` on the CPU."""
    size = depth.shape[1]
    for f in range(first, last):
        for sweep in range(2 if supersample > 1 else 1):
            rays = 1 if sweep == 0 else supersample
            for i in range(size):
                for j in range(size):
                    draw_pixel(view, index, pose, lens, rgb, depth, surface, rays, f, i, j)


def render(
    batch: SceneBatch,
    scene_index: ArrayLike | Tensor,
    pose: ArrayLike | Tensor,
    image_size: int = 64,
    supersample: int = 2,
    device: str | torch.device = "cpu",
    intrinsics: Intrinsics = DEFAULT_INTRINSICS,
    workers: int | None = None,
    crowd: Crowd | None = None,
) -> tuple[Tensor, Tensor]:
    """Render F cameras.

    Args:
        scene_index: (F,) which scene of the batch each camera is in.
        pose: (F, 4, 4) camera-to-world.
        supersample: rays along a side of an edge pixel; 1 for none.
        workers: CPU threads; as many as torch uses by default.
        crowd: characters, frame by frame.

    Returns:
        uint8 (F, H, W, 3) and depth along the optical axis float32 (F, H, W) [m], on ``device``.
        The sky is ``SKY_DEPTH`` away, and nothing is farther.
    """
    return render_surfaces(
        batch, scene_index, pose, image_size, supersample, device, intrinsics, workers, crowd
    )[:2]


def render_surfaces(
    batch: SceneBatch,
    scene_index: ArrayLike | Tensor,
    pose: ArrayLike | Tensor,
    image_size: int = 64,
    supersample: int = 2,
    device: str | torch.device = "cpu",
    intrinsics: Intrinsics = DEFAULT_INTRINSICS,
    workers: int | None = None,
    crowd: Crowd | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`render`, and which surface each pixel's centre shows.

    Returns:
        As :func:`render`, then surface numbers int32 (F, H, W), of which
        :mod:`mgenv.engine.render.segmentation` makes classes.
    """
    device = torch.device(device)
    index = torch.as_tensor(scene_index).to(device, torch.int64).contiguous()
    poses = torch.as_tensor(pose).to(device, torch.float32).contiguous()
    lens = torch.tensor([intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy], device=device)
    shape = (len(index), image_size, image_size)
    rgb = torch.empty((*shape, 3), dtype=torch.uint8, device=device)
    depth = torch.empty(shape, device=device)
    surface = torch.empty(shape, dtype=torch.int32, device=device)
    frames = (index, poses, lens, rgb, depth, surface)
    if device.type == "cuda":
        _render_cuda(batch, crowd, frames, supersample)
    else:
        _render_cpu(view_of(batch, crowd, len(index)), frames, supersample, workers)
    return rgb, depth, surface


def view_of(batch: SceneBatch, crowd: Crowd | None, frames: int) -> View:
    """What the rays of so many frames can meet, as arrays."""
    who = empty(frames) if crowd is None else crowd
    parts = who.parts.reshape(-1, *who.parts.shape[2:])
    scene = {name: getattr(batch.arrays, name) for name in View._fields[:_OF_SCENE]}
    return View(
        **scene, texels=batch.texels().numpy(), parts=parts, counts=who.counts, spheres=who.spheres
    )


@functools.cache
def compile_first() -> None:
    """Compile the renderer before anything else that uses its functions.

    Compiled after the search for places to stand, which shares some, it takes half as long again a
    frame, and one pixel in two million differs by a grey level.
    """
    render(empty_batch(1), [0], np.eye(4, dtype=np.float32)[None], 4, workers=1)


def _render_cpu(
    view: View, tensors: tuple[Tensor, ...], supersample: int, workers: int | None
) -> None:
    args, frames = [tensor.numpy() for tensor in tensors], len(tensors[0])
    workers = max(1, min(workers or torch.get_num_threads(), frames // 4))
    if workers == 1:
        render_frames(view, *args, supersample, 0, frames)
        return
    bounds = np.linspace(0, frames, workers + 1).astype(int)

    def run(first: int, last: int) -> None:
        render_frames(view, *args, supersample, int(first), int(last))

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(run, bounds[:-1], bounds[1:]))


def _render_cuda(
    batch: SceneBatch, crowd: Crowd | None, tensors: tuple[Tensor, ...], supersample: int
) -> None:
    from mgenv.engine.render.cuda_kernels import cuda, draw

    index, pose, lens, *drawn = tensors
    depth = drawn[1]

    def on_device(array: Any) -> Any:
        return cuda.as_cuda_array(torch.as_tensor(array).to(index.device))

    with torch.cuda.device(index.device):
        scene, texels = batch.to(index.device), batch.texels(index.device)
        frames = max(_CUDA_PIXELS // depth[0].numel(), 1)
        for first in range(0, len(index), frames):
            part = slice(first, first + frames)
            cut = (index[part], pose[part], lens, *(tensor[part] for tensor in drawn))
            there = view_of(batch, part_of(crowd, part), len(cut[0]))._asdict()
            there |= {name: scene[name] for name in View._fields[:_OF_SCENE]}
            there["texels"] = texels
            draw(View(**{n: on_device(a) for n, a in there.items()}), cut, supersample)
