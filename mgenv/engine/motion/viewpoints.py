"""Viewpoints: random ones, a world's first view, and a survey of its rooms."""

from __future__ import annotations

import math

import numpy as np

from mgenv.camera import CAMERA_HEIGHT
from mgenv.engine.estates.terrain import height_at
from mgenv.engine.homes.layout import CELL, CORRIDOR, GRID, ROOM_MASK
from mgenv.engine.motion.explorer import wrap, write_pose
from mgenv.engine.motion.paths import distances, mark_seen, nearest_free, new_seen, waypoint
from mgenv.engine.render.random_stream import below, between, new_stream
from mgenv.engine.render.raytrace import KIND, trace
from mgenv.jit import compiled

_SURVEY_TURN = math.radians(20.0)
_SURVEY_STRIDE = 0.3
_RAYS = 9


@compiled
def openness(cells, levels, objects, starts, items, s, x, y, z, yaw):
    """(mean, least) depth [m] over a level fan of 90°, each ray cut at 5 m, from height z."""
    total, least = 0.0, 9.0
    for k in range(_RAYS):
        side = (k + 0.5) / _RAYS * 2.0 - 1.0
        dx, dy = math.cos(yaw) - side * math.sin(yaw), math.sin(yaw) + side * math.cos(yaw)
        t, _, _, _ = trace(
            cells, levels, objects, starts, items, s, np.float32(x), np.float32(y), np.float32(z),
            np.float32(dx), np.float32(dy), np.float32(-0.05),
        )  # fmt: skip
        total += min(t, 5.0)
        least = min(least, t)
    return total / _RAYS, least


@compiled
def random_views(
    cells, levels, ground, free, objects, starts, items, index, seeds, purpose, tries, out
):  # fmt: skip
    """Draw ``tries`` level views in each of N scenes and keep the most open.

    Args:
        index, seeds: int64 (N,), scenes and what to draw from.
        out: float64 (N, 5), filled with x, y, z, yaw, pitch.
    """
    spots = np.empty(GRID * GRID, np.int64)
    for n in range(len(index)):
        s, state, count, best = index[n], new_stream(seeds[n], purpose), 0, -1.0
        for cell in range(GRID * GRID):
            if free[s, cell // GRID, cell % GRID]:
                spots[count] = cell
                count += 1
        for _ in range(tries):
            cell = spots[below(state, float(max(count, 1)))]
            x, y = (cell % GRID + 0.5) * CELL, (cell // GRID + 0.5) * CELL
            yaw = between(state, -math.pi, math.pi)
            floor = height_at(ground[s], x, y)
            mean, least = openness(cells, levels, objects, starts, items, s, x, y, floor + 0.9, yaw)
            score = min(mean, 3.0) + min(least, 1.0)
            if score > best:
                best = score
                out[n, 0], out[n, 1], out[n, 2], out[n, 3], out[n, 4] = (
                    x,
                    y,
                    floor + CAMERA_HEIGHT,
                    yaw,
                    0.0,
                )


@compiled
def _room_spots(cells, free, rooms, num_rooms, spots):
    """The free cell nearest to the middle of each room, -1 where a room cannot be entered."""
    for n in range(num_rooms):
        x, y = 0.5 * (rooms[n, 0] + rooms[n, 2]), 0.5 * (rooms[n, 1] + rooms[n, 3])
        best, spots[n] = 1e9, -1
        for cell in range(GRID * GRID):
            j, i = cell // GRID, cell % GRID
            if free[j, i] and cells[j, i] == n:
                square = ((i + 0.5) * CELL - x) ** 2 + ((j + 0.5) * CELL - y) ** 2
                if square < best:
                    best, spots[n] = square, cell


@compiled
def _next_spot(free, here, spots, num_rooms, rooms, seen, distance, queue):
    """The nearest room not yet surveyed (corridors last), else the nearest unseen cell."""
    reached = distances(free, here, distance, queue)
    best, lowest = -1, 1e9
    for n in range(num_rooms):
        if spots[n] >= 0:
            cost = distance[spots[n]] + (30.0 if rooms[n, KIND] == CORRIDOR else 0.0)
            if cost < lowest:
                best, lowest = spots[n], cost
    for k in range(reached):
        if best < 0 and not seen[queue[k]] and distance[queue[k]] > 2:
            best = queue[k]
    return best if best >= 0 else queue[reached - 1]


@compiled
def survey(cells, ground, free, rooms, num_rooms, place, pose):
    """A level walk that turns once around in every room, the nearest rooms first.

    Args:
        place: float64 (5,), the first view; changed in place.
        pose: float32 (T, 4, 4), filled.
    """
    spots = np.empty(len(rooms), np.int64)
    _room_spots(cells, free, rooms, num_rooms, spots)
    distance, queue, seen = (
        np.empty(GRID * GRID, np.int64),
        np.empty(GRID * GRID, np.int64),
        new_seen(),
    )
    spots[cells[int(place[1] / CELL), int(place[0] / CELL)] & ROOM_MASK] = -1
    turns, target = int(2.0 * math.pi / _SURVEY_TURN), -1
    for t in range(len(pose)):
        place[2] = height_at(ground, place[0], place[1]) + CAMERA_HEIGHT
        write_pose(pose[t], place[0], place[1], place[2], place[3], 0.0)
        mark_seen(cells, place[0], place[1], place[3], 4.0, seen)
        if turns > 0:
            place[3] = wrap(place[3] + _SURVEY_TURN)
            turns -= 1
            continue
        here = nearest_free(free, place[0], place[1])
        if target < 0:
            target = _next_spot(free, here, spots, num_rooms, rooms, seen, distance, queue)
            distances(free, target, distance, queue)
        to_x, to_y = waypoint(free, distance, place[0], place[1], 4)
        far = math.sqrt((to_x - place[0]) ** 2 + (to_y - place[1]) ** 2)
        if distance[here] <= 1 or far < 1e-6:
            for n in range(num_rooms):
                if spots[n] == target:
                    spots[n] = -1
            target, turns = -1, int(2.0 * math.pi / _SURVEY_TURN)
            place[3] = wrap(place[3] + _SURVEY_TURN)
            continue
        bearing = wrap(math.atan2(to_y - place[1], to_x - place[0]) - place[3])
        place[3] = wrap(place[3] + min(max(bearing, -2.0 * _SURVEY_TURN), 2.0 * _SURVEY_TURN))
        stride = min(_SURVEY_STRIDE, far) if abs(bearing) < 1.2 else 0.0
        place[0] += (to_x - place[0]) / far * stride
        place[1] += (to_y - place[1]) / far * stride
