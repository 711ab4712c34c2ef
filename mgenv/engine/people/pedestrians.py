"""Starts and goals of walking characters, many of them in front of the camera."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mgenv.engine.homes.layout import CELL, GRID
from mgenv.engine.motion.paths import UNREACHED, distances, nearest_free, waypoint
from mgenv.engine.people.safe_sets import is_safe
from mgenv.engine.render.random_stream import below, between, new_stream, uniform
from mgenv.jit import compiled

_STROLL = 52
APART, CAMERA_APART = 0.6, 0.75
"""How far walkers keep from each other and from the camera [m]."""


class World(NamedTuple):
    """What walkers know: cells (64, 64), camera (T, 3), safe (beats, 2, 64), beat, ticks a s."""

    cells: NDArray[np.uint8]
    camera: NDArray[np.float64]
    safe: NDArray[np.uint64]
    beat: int
    fps: float


class Walkers(NamedTuple):
    """K walkers.

    Attributes:
        place: float64 (K, 4): x, y [m], heading [rad], phase [turns].
        velocity: float64 (K, 2) [m/s].
        pace, stride: float64 (K,) [m/s], [m a turn of phase].
        distance: int64 (K, 4096), steps to the goal, of
            :func:`mgenv.engine.motion.paths.distances`.
        patience: int64 (K, 3): beats left of a pause, least steps to the goal so far, beats since.
        streams: uint64 (K, 1).
    """

    place: NDArray[np.float64]
    velocity: NDArray[np.float64]
    pace: NDArray[np.float64]
    stride: NDArray[np.float64]
    distance: NDArray[np.int64]
    patience: NDArray[np.int64]
    streams: NDArray[np.uint64]


@compiled
def camera_at(world, t):
    at = world.camera[min(t, len(world.camera) - 1)]
    return at[0], at[1]


@compiled
def _in_sight(cells, x, y, to_x, to_y):
    """Whether the straight line between two points [m] crosses free cells only."""
    for n in range(1, 33):
        i = int(math.floor((x + (to_x - x) * n / 32.0) / CELL))
        j = int(math.floor((y + (to_y - y) * n / 32.0) / CELL))
        if not (0 <= i < GRID and 0 <= j < GRID) or not cells[j, i]:
            return False
    return True


@compiled
def _near_camera(state, world, t, low, high):
    """A free cell 2 to 5 m before where the camera will be, ``low`` to ``high`` seconds on."""
    to_x, to_y = 0.0, 0.0
    for _ in range(8):
        then = t + int(between(state, low, high) * world.fps)
        x, y = camera_at(world, then)
        next_x, next_y = camera_at(world, then + int(world.fps))
        moves = math.hypot(next_x - x, next_y - y) > 0.3
        ahead, spread = (math.atan2(next_y - y, next_x - x), 0.8) if moves else (0.0, math.pi)
        far, angle = between(state, 2.0, 5.0), ahead + between(state, -spread, spread)
        to_x, to_y = x + far * math.cos(angle), y + far * math.sin(angle)
        if _in_sight(world.cells, x, y, to_x, to_y):
            break
    return nearest_free(world.cells, to_x, to_y)


@compiled
def _choose_goal(walkers, k, world, t, queue):
    """Fill the distances to a new goal: near the camera's way, or far from here."""
    state, distance = walkers.streams[k], walkers.distance[k]
    here = nearest_free(world.cells, walkers.place[k, 0], walkers.place[k, 1])
    reached = distances(world.cells, here, distance, queue)
    goal = queue[below(state, float(reached))]
    if uniform(state) < 0.6:
        near = _near_camera(state, world, t, 3.0, 10.0)
        if distance[near] != UNREACHED:
            goal = near
    else:
        goal = queue[int(reached * between(state, 0.5, 1.0))]
    distances(world.cells, goal, distance, queue)
    walkers.patience[k, 1], walkers.patience[k, 2] = distance[here], 0


@compiled
def _start_cost(walkers, k, world, x, y):
    """How badly a point suits walker ``k`` as a start."""
    camera_x, camera_y = camera_at(world, 0)
    cost = 20.0 * max(1.6 - math.hypot(x - camera_x, y - camera_y), 0.0)
    cost += 0.0 if is_safe(world.safe[0, 0], x, y) else 5.0
    cost += 0.0 if is_safe(world.safe[0, 1], x, y) else 5.0
    for other in range(k):
        gap = math.hypot(x - walkers.place[other, 0], y - walkers.place[other, 1])
        cost += 2.0 * max(1.5 - gap, 0.0) + (20.0 if gap < APART else 0.0)
    return cost


@compiled
def _choose_start(walkers, k, world, queue):
    """Put a walker on the best of many cells: some near the camera's first seconds, some not."""
    state, lowest = walkers.streams[k], 1e9
    camera_x, camera_y = camera_at(world, 0)
    here = nearest_free(world.cells, camera_x, camera_y)
    reached = distances(world.cells, here, walkers.distance[k], queue)
    close = uniform(state) < 0.6
    for _ in range(64):
        cell = queue[below(state, float(reached))]
        if close:
            near = _near_camera(state, world, 0, 0.0, 4.0)
            cell = near if walkers.distance[k, near] != UNREACHED else cell
        x, y = (cell % GRID + 0.5) * CELL, (cell // GRID + 0.5) * CELL
        cost = _start_cost(walkers, k, world, x, y) + uniform(state)
        if cost < lowest:
            lowest, walkers.place[k, 0], walkers.place[k, 1] = cost, x, y


@compiled
def new_walkers(world, seeds, paces, strides):
    """Walkers at their starts, each with a goal."""
    count = len(seeds)
    streams = np.empty((count, 1), np.uint64)
    for k in range(count):
        streams[k] = new_stream(seeds[k], _STROLL)
    walkers = Walkers(
        np.zeros((count, 4)), np.zeros((count, 2)), paces, strides,
        np.zeros((count, GRID * GRID), np.int64), np.zeros((count, 3), np.int64), streams,
    )  # fmt: skip
    queue = np.empty(GRID * GRID, np.int64)
    for k in range(count):
        _choose_start(walkers, k, world, queue)
        _choose_goal(walkers, k, world, 0, queue)
        x, y = waypoint(
            world.cells, walkers.distance[k], walkers.place[k, 0], walkers.place[k, 1], 5
        )
        walkers.place[k, 2] = math.atan2(y - walkers.place[k, 1], x - walkers.place[k, 0])
        walkers.place[k, 3] = 0.5 * below(streams[k], 2.0)
    return walkers


@compiled
def consider(walkers, k, world, t, queue):
    """Pause, choose another goal, or go on."""
    state, patience = walkers.streams[k], walkers.patience[k]
    here = nearest_free(world.cells, walkers.place[k, 0], walkers.place[k, 1])
    left = walkers.distance[k, here]
    patience[0] -= 1
    patience[2] += 1
    if left < patience[1]:
        patience[1], patience[2] = left, 0
    lost = patience[2] * world.beat > 4.0 * world.fps and patience[0] <= 0
    if left <= 1 or lost:
        _choose_goal(walkers, k, world, t, queue)
        if not lost and uniform(state) < 0.6:
            patience[0] = int(between(state, 0.5, 3.0) * world.fps / world.beat)
    elif patience[0] <= 0 and uniform(state) < 0.1 * world.beat / world.fps:
        patience[0] = int(between(state, 0.5, 2.0) * world.fps / world.beat)
