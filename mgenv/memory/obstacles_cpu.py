"""Motions swept against remembered surfaces, on CPUs: each slot alone.

Shapes: n slots, C frames of a place, R rows of the pool, P surface points of a frame, K frames that
are asked.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mgenv.engine.homes.layout import GRID
from mgenv.engine.motion.collision import sweep
from mgenv.jit import compiled
from mgenv.memory.obstacle_votes import (
    FLOOR_BINS,
    HALF,
    LAYERS,
    MAX_OBSTACLES,
    MIDDLE,
    OBSTACLE_SIZE,
    SIDE,
    body_band,
    column_origin,
    depths_around,
    floor_below,
    floor_bin,
    frame_worth,
    list_obstacles,
    occupied_layers,
    sees_around,
    voxel_of,
)
from mgenv.memory.threads import in_parts

f32 = np.float32


def choose(
    points: Tensor, pool_pose: Tensor, observed: Tensor, table: Tensor, pose: Tensor, lens: Tensor,
    count: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The ``count`` frames that see most around each slot.

    Args:
        points: (R, P, 7); pool_pose: (R, 4, 4); observed: bool (R,), all of the pool.
        table: int64 (n, C), rows of each slot's place, -1 for none.
        pose: (n, 4, 4), where the robots are.
        lens: (4,), fx, fy, cx, cy.

    Returns:
        Rows int64 (n, count), -1 for none, and what their votes are worth, float32 (n, count).
    """
    rows = torch.empty(len(table), count, dtype=torch.int64)
    worth = torch.empty(len(table), count)
    tensors = (points, pool_pose, observed, table, pose, lens, rows, worth)
    arrays = [tensor.numpy() for tensor in tensors]
    in_parts(lambda first, last: _choose_many(*arrays, first, last), len(table))
    return rows, worth


def sweep_slots(
    points: Tensor, rows: Tensor, depth: Tensor, source_pose: Tensor, worth: Tensor, pose: Tensor,
    way: Tensor, lens: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Sweep robots along their motions.

    Args:
        rows: int64 (n, K), frames whose points tell the height of the floor.
        depth, source_pose, worth: of the frames that vote: (n, K, H, W) [m], (n, K, 4, 4), (n, K).
        way: float64 (n, 3) asked for, in the world's axes [m].

    Returns:
        Ways made, float64 (n, 3), and whether anything shortened them, bool (n,).
    """
    reached, bumped = torch.empty_like(way), torch.empty(len(way), dtype=torch.bool)
    tensors = (points, rows, depth, source_pose, worth, pose, way, lens, reached, bumped)
    arrays = [tensor.numpy() for tensor in tensors]
    in_parts(lambda first, last: _sweep_many(*arrays, first, last), len(way))
    return reached, bumped


@compiled
def _choose_many(points, pool_pose, observed, table, pose, lens, rows, worth, first, last):
    for n in range(first, last):
        x, y, z = pose[n, 0, 3], pose[n, 1, 3], pose[n, 2, 3]
        best = np.zeros(rows.shape[1], f32)
        rows[n], worth[n] = -1, f32(0.0)
        for c in range(table.shape[1]):
            row = table[n, c]
            if row < 0:
                continue
            value = frame_worth(observed[row])
            score = sees_around(points[row], pool_pose[row], lens, x, y, z)
            if value < f32(1.0):
                score *= HALF
            k = len(best) - 1
            if not score > best[k]:
                continue
            while k > 0 and score > best[k - 1]:
                best[k], rows[n, k], worth[n, k] = best[k - 1], rows[n, k - 1], worth[n, k - 1]
                k -= 1
            best[k], rows[n, k], worth[n, k] = score, row, value


@compiled
def _floor(points, rows, reference):
    """Height of the floor under a robot, by the surface points of frames ``rows`` (K,)."""
    histogram = np.zeros(FLOOR_BINS, np.int64)
    for k in range(len(rows)):
        if rows[k] >= 0:
            for p in range(points.shape[1]):
                n = floor_bin(points[rows[k], p, 2], reference)
                if n >= 0:
                    histogram[n] += 1
    return floor_below(histogram, reference)


@compiled
def _sweep_many(
    points, rows, depth, source_pose, worth, pose, way, lens, reached, bumped, first, last
):
    cells, ground = np.zeros((GRID, GRID), np.uint8), np.zeros((GRID, GRID), f32)
    keys = np.empty(SIDE * SIDE * LAYERS, np.int32)
    columns = np.empty(SIDE * SIDE, np.int64)
    obstacles, push = np.zeros((MAX_OBSTACLES, OBSTACLE_SIZE), f32), np.empty(2)
    for n in range(first, last):
        x, y, z = pose[n, 0, 3], pose[n, 1, 3], pose[n, 2, 3]
        above, bottom, top = body_band(z, _floor(points, rows[n], z), f32(way[n, 2]))
        left, front = column_origin(x), column_origin(y)
        keys[:] = 0
        for k in range(len(worth[n])):
            if worth[n, k] > 0:
                near, far = depths_around(source_pose[n, k], x, y, bottom, top)
                for i in range(depth.shape[2]):
                    for j in range(depth.shape[3]):
                        voxel, key = voxel_of(
                            depth[n, k], source_pose[n, k], lens, i, j, left, front, bottom, top,
                            near, far,
                        )  # fmt: skip
                        if voxel >= 0:
                            keys[voxel] = max(keys[voxel], key)
        for cell in range(SIDE * SIDE):
            own = keys[cell * LAYERS : (cell + 1) * LAYERS]
            columns[cell] = occupied_layers(
                own, cell, depth[n], source_pose[n], worth[n], lens, left, front, bottom
            )
        count = list_obstacles(columns, keys, x, y, z, left, front, bottom, above, obstacles)
        ax, ay, az, hit = sweep(
            cells, ground, obstacles, count, MIDDLE, MIDDLE, float(above),
            way[n, 0], way[n, 1], way[n, 2], push,
        )  # fmt: skip
        reached[n, 0], reached[n, 1] = ax - MIDDLE, ay - MIDDLE
        reached[n, 2], bumped[n] = az - float(above), hit
