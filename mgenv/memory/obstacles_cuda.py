"""Motions swept against remembered surfaces, as CUDA kernels; imported only where CUDA is used.

The functions have the arguments and results of :mod:`mgenv.memory.obstacles_cpu`, as tensors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import cuda, float64, int32
from torch import Tensor

from mgenv.engine.homes.layout import GRID
from mgenv.engine.motion.collision import sweep
from mgenv.jit import current_stream
from mgenv.memory.obstacle_votes import (
    FLOOR_BINS,
    GENERATED_VOTE,
    HALF,
    LAYERS,
    MAX_OBSTACLES,
    MIDDLE,
    OBSTACLE_SIZE,
    ONE,
    SIDE,
    body_band,
    column_origin,
    depths_around,
    floor_below,
    floor_bin,
    list_obstacles,
    occupied_layers,
    sees_around,
    voxel_of,
)

f32 = np.float32
THREADS = 128


@cuda.jit
def _score(points, pool_pose, observed, table, pose, lens, scores):
    """How well each frame of a place sees around each slot: ``scores`` (n, C)."""
    at = cuda.grid(1)  # type: ignore[call-arg]
    n, c = at // table.shape[1], at % table.shape[1]
    if n >= table.shape[0]:
        return
    row, score = table[n, c], f32(0.0)
    if row >= 0:
        x, y, z = pose[n, 0, 3], pose[n, 1, 3], pose[n, 2, 3]
        score = sees_around(points[row], pool_pose[row], lens, x, y, z)
        if not observed[row]:
            score *= HALF
    scores[n, c] = score


@cuda.jit
def _find_bands(points, rows, pose, way, bands):
    """Where each slot's body is: ``bands`` (n, 3) of :func:`body_band`."""
    n = cuda.grid(1)  # type: ignore[call-arg]
    if n >= rows.shape[0]:
        return
    histogram = cuda.local.array(FLOOR_BINS, int32)
    for b in range(FLOOR_BINS):
        histogram[b] = 0
    z = pose[n, 2, 3]
    for k in range(rows.shape[1]):
        if rows[n, k] >= 0:
            for p in range(points.shape[1]):
                b = floor_bin(points[rows[n, k], p, 2], z)
                if b >= 0:
                    histogram[b] += 1
    above, bottom, top = body_band(z, floor_below(histogram, z), f32(way[n, 2]))
    bands[n, 0], bands[n, 1], bands[n, 2] = above, bottom, top


@cuda.jit
def _flag(depth, source_pose, worth, pose, bands, lens, keys):
    """Voxels around slots in which pixels show a surface: their ``keys`` (n, voxels)."""
    at = cuda.grid(1)  # type: ignore[call-arg]
    count, height, width = depth.shape[1:]
    j, rest = at % width, at // width
    i, rest = rest % height, rest // height
    k, n = rest % count, rest // count
    if n >= depth.shape[0] or not worth[n, k] > 0:
        return
    x, y, bottom, top = pose[n, 0, 3], pose[n, 1, 3], bands[n, 1], bands[n, 2]
    near, far = depths_around(source_pose[n, k], x, y, bottom, top)
    voxel, key = voxel_of(
        depth[n, k], source_pose[n, k], lens, i, j, column_origin(x), column_origin(y), bottom, top,
        near, far,
    )  # fmt: skip
    if voxel >= 0:
        cuda.atomic.max(keys, (n, voxel), key)


@cuda.jit
def _judge(keys, depth, source_pose, worth, pose, bands, lens, columns):
    """Occupied layers of each column of voxels: ``columns`` (n, SIDE²) of bits."""
    at = cuda.grid(1)  # type: ignore[call-arg]
    n, cell = at // (SIDE * SIDE), at % (SIDE * SIDE)
    if n >= columns.shape[0]:
        return
    left, front = column_origin(pose[n, 0, 3]), column_origin(pose[n, 1, 3])
    own = keys[n, cell * LAYERS : (cell + 1) * LAYERS]
    columns[n, cell] = occupied_layers(
        own, cell, depth[n], source_pose[n], worth[n], lens, left, front, bands[n, 1]
    )


@cuda.jit
def _sweep(cells, ground, columns, keys, pose, bands, way, obstacles, reached, bumped):
    """Each slot's way: ``reached`` (n, 3) and ``bumped`` (n,)."""
    n = cuda.grid(1)  # type: ignore[call-arg]
    if n >= columns.shape[0]:
        return
    push = cuda.local.array(2, float64)
    x, y, z = pose[n, 0, 3], pose[n, 1, 3], pose[n, 2, 3]
    above = bands[n, 0]
    count = list_obstacles(
        columns[n], keys[n], x, y, z, column_origin(x), column_origin(y), bands[n, 1], above,
        obstacles[n],
    )  # fmt: skip
    ax, ay, az, hit = sweep(
        cells, ground, obstacles[n], count, MIDDLE, MIDDLE, float(above),
        way[n, 0], way[n, 1], way[n, 2], push,
    )  # fmt: skip
    reached[n, 0], reached[n, 1] = ax - MIDDLE, ay - MIDDLE
    reached[n, 2], bumped[n] = az - float(above), hit


score: Any = _score
find_bands: Any = _find_bands
flag: Any = _flag
judge: Any = _judge
sweep_ways: Any = _sweep


def choose(
    points: Tensor, pool_pose: Tensor, observed: Tensor, table: Tensor, pose: Tensor, lens: Tensor,
    count: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """See :func:`mgenv.memory.obstacles_cpu.choose`."""
    scores = torch.empty(table.shape, dtype=torch.float32, device=table.device)
    _launch(score, table.numel(), points, pool_pose, observed, table, pose, lens, scores)
    best = scores.sort(dim=1, descending=True, stable=True)
    rows = table.gather(1, best.indices[:, :count])
    rows = torch.where(best.values[:, :count] > 0, rows, -1)
    rows = torch.nn.functional.pad(rows, (0, count - rows.shape[1]), value=-1)
    worth = torch.where(observed[rows.clamp_min(0)], float(ONE), float(GENERATED_VOTE))
    return rows, worth * (rows >= 0)


def sweep_slots(
    points: Tensor, rows: Tensor, depth: Tensor, source_pose: Tensor, worth: Tensor, pose: Tensor,
    way: Tensor, lens: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """See :func:`mgenv.memory.obstacles_cpu.sweep_slots`."""
    n, device = len(way), way.device
    bands = torch.empty(n, 3, device=device)
    keys = torch.zeros(n, SIDE * SIDE * LAYERS, dtype=torch.int32, device=device)
    columns = torch.empty(n, SIDE * SIDE, dtype=torch.int64, device=device)
    obstacles = torch.empty(n, MAX_OBSTACLES, OBSTACLE_SIZE, device=device)
    reached = torch.empty(n, 3, dtype=torch.float64, device=device)
    bumped = torch.empty(n, dtype=torch.bool, device=device)
    cells = torch.zeros(GRID, GRID, dtype=torch.uint8, device=device)
    ground = torch.zeros(GRID, GRID, device=device)
    _launch(find_bands, n, points, rows, pose, way, bands)
    _launch(flag, depth.numel(), depth, source_pose, worth, pose, bands, lens, keys)
    _launch(judge, columns.numel(), keys, depth, source_pose, worth, pose, bands, lens, columns)
    _launch(
        sweep_ways, n, cells, ground, columns, keys, pose, bands, way, obstacles, reached, bumped
    )
    return reached, bumped


def _launch(kernel: Any, threads: int, *tensors: Tensor) -> None:
    device = tensors[0].device
    with torch.cuda.device(device):
        arrays = [cuda.as_cuda_array(tensor.detach().contiguous()) for tensor in tensors]
        kernel[-(-threads // THREADS), THREADS, current_stream(device)](*arrays)
