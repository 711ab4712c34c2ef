"""How characters walk about: to goals, around each other, out of the camera's way.

Every beat (see :mod:`mgenv.engine.giving_way`) a walker weighs some twenty velocities, each by how
well it leads to the goal, how sharply it turns and whom it would come near within a second; in the
manner of reciprocal velocity obstacles (van den Berg et al., 2008), with the camera as an obstacle
that never gives way.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mgenv.engine.compiling import compiled
from mgenv.engine.explorer import wrap
from mgenv.engine.giving_way import HURRY, beat_of, is_safe, passable, safe_cells
from mgenv.engine.layout import CELL, GRID
from mgenv.engine.paths import UNREACHED, distances, nearest_free, waypoint
from mgenv.engine.stream import below, between, new_stream, uniform

_STROLL = 52
_TURN_RATE = 3.0
"""How fast a walker turns [rad/s]."""
_OPTIONS = 20
_AHEAD = 1.0
"""How far a walker looks ahead [s]."""
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
        distance: int64 (K, 4096), steps to the goal, see :func:`mgenv.engine.paths.distances`.
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
def _camera_at(world, t):
    at = world.camera[min(t, len(world.camera) - 1)]
    return at[0], at[1]


@compiled
def _near_camera(state, world, t, low, high):
    """The free cell at a random point 2 to 5 m from where the camera will be, ``low`` to ``high``
    seconds on."""
    x, y = _camera_at(world, t + int(between(state, low, high) * world.fps))
    far, angle = between(state, 2.0, 5.0), between(state, 0.0, 2.0 * math.pi)
    x, y = x + far * math.cos(angle), y + far * math.sin(angle)
    return nearest_free(world.cells, x, y)


@compiled
def _choose_goal(walkers, k, world, t, queue):
    """Fill the distances to a new goal: near the camera's way, or far from here."""
    state, distance = walkers.streams[k], walkers.distance[k]
    here = nearest_free(world.cells, walkers.place[k, 0], walkers.place[k, 1])
    reached = distances(world.cells, here, distance, queue)
    goal = queue[below(state, float(reached))]
    if uniform(state) < 0.5:
        near = _near_camera(state, world, t, 2.0, 12.0)
        if distance[near] != UNREACHED:
            goal = near
    else:
        goal = queue[int(reached * between(state, 0.5, 1.0))]
    distances(world.cells, goal, distance, queue)
    walkers.patience[k, 1], walkers.patience[k, 2] = distance[here], 0


@compiled
def _start_cost(walkers, k, world, x, y):
    """How badly a point suits walker ``k`` as a start."""
    camera_x, camera_y = _camera_at(world, 0)
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
    camera_x, camera_y = _camera_at(world, 0)
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
def _fill_options(walkers, k, bearing, options):
    """The velocities (20, 2) to choose from: ahead with a turn, the goal's way, aside, stay."""
    speed = math.hypot(walkers.velocity[k, 0], walkers.velocity[k, 1])
    full, n = min(walkers.pace[k], speed + 0.4), 2
    for turn in range(-2, 3):
        angle = walkers.place[k, 2] + 0.28 * turn
        for part in (1.0, 0.5):
            options[n, 0], options[n, 1] = (
                full * part * math.cos(angle),
                full * part * math.sin(angle),
            )
            n += 1
    for turn in range(8):
        options[n, 0] = HURRY * math.cos(0.25 * math.pi * turn)
        options[n, 1] = HURRY * math.sin(0.25 * math.pi * turn)
        n += 1
    options[0, 0], options[0, 1] = 0.0, 0.0
    options[1, 0], options[1, 1] = full * math.cos(bearing), full * math.sin(bearing)


@compiled
def _comfort(walkers, k, vx, vy, want_x, want_y, turn):
    """How far a velocity is from the wanted one, from the present one and from the heading."""
    pace, speed = walkers.pace[k], math.hypot(vx, vy)
    cost = ((vx - want_x) ** 2 + (vy - want_y) ** 2) / (pace * pace)
    cost += 0.1 * ((vx - walkers.velocity[k, 0]) ** 2 + (vy - walkers.velocity[k, 1]) ** 2)
    if speed > 0.05:
        aside = abs(wrap(math.atan2(vy, vx) - walkers.place[k, 2])) - turn
        cost += 3.0 * min(speed / pace, 1.0) * (1.0 - math.cos(max(aside, 0.0)))
    return cost


@compiled
def _leaves_floor(walkers, k, world, vx, vy):
    """Whether the next beat at a velocity leads out of the free cells."""
    for j in range(1, world.beat + 1):
        x, y = walkers.place[k, 0] + vx * j / world.fps, walkers.place[k, 1] + vy * j / world.fps
        if not world.cells[int(math.floor(y / CELL)), int(math.floor(x / CELL))]:
            return True
    return False


@compiled
def _camera_cost(walkers, k, world, t, vx, vy):
    """How near a velocity leads to the camera within a second, and to places of no escape."""
    cost, x, y = 0.0, walkers.place[k, 0], walkers.place[k, 1]
    for j in range(1, int(_AHEAD * world.fps) + 1):
        camera_x, camera_y = _camera_at(world, t + j)
        gap = math.hypot(x + vx * j / world.fps - camera_x, y + vy * j / world.fps - camera_y)
        cost += 1.0 * max(1.3 - gap, 0.0) * 10.0 / world.fps
        if j <= world.beat and gap < CAMERA_APART:
            cost += 60.0 * (CAMERA_APART + 0.1 - gap)
    n, span = min(t // world.beat + 1, len(world.safe) - 1), world.beat / world.fps
    for level in range(2):
        cost += 0.0 if is_safe(world.safe[n, level], x + vx * span, y + vy * span) else 12.0
    return cost


@compiled
def _others_cost(walkers, k, vx, vy):
    """How near a velocity leads to other walkers within a second."""
    cost = 0.0
    for other in range(len(walkers.place)):
        if other == k:
            continue
        dx, dy = (
            walkers.place[other][0] - walkers.place[k, 0],
            walkers.place[other, 1] - walkers.place[k, 1],
        )
        wx, wy = walkers.velocity[other, 0] - vx, walkers.velocity[other, 1] - vy
        for j in range(1, 6):
            gap = math.hypot(dx + 0.2 * j * wx, dy + 0.2 * j * wy)
            cost += max(1.0 - gap, 0.0) + (
                12.0 * (APART + 0.1 - gap) if gap < APART + 0.05 else 0.0
            )
    return cost


@compiled
def _steer(walkers, k, world, t, options):
    """Set the velocity of walker ``k`` for the next beat: the heading it turns to [rad]."""
    place, velocity = walkers.place[k], walkers.velocity[k]
    to_x, to_y = waypoint(world.cells, walkers.distance[k], place[0], place[1], 5)
    bearing = math.atan2(to_y - place[1], to_x - place[0])
    wanted = 0.0 if walkers.patience[k, 0] > 0 else walkers.pace[k]
    want_x, want_y = wanted * math.cos(bearing), wanted * math.sin(bearing)
    _fill_options(walkers, k, bearing, options)
    best, lowest, turn = 0, 1e9, _TURN_RATE * world.beat / world.fps
    for n in range(_OPTIONS):
        vx, vy = options[n]
        if n > 0 and _leaves_floor(walkers, k, world, vx, vy):
            continue
        cost = _comfort(walkers, k, vx, vy, want_x, want_y, turn)
        cost += _camera_cost(walkers, k, world, t, vx, vy) + _others_cost(walkers, k, vx, vy)
        if cost < lowest:
            best, lowest = n, cost
    velocity[0], velocity[1] = options[best]
    if math.hypot(velocity[0], velocity[1]) > 0.05:
        return math.atan2(velocity[1], velocity[0])
    return bearing if wanted > 0.0 else place[2]


@compiled
def _advance(walkers, k, heading, fps):
    """One tick: move, turn towards ``heading`` and swing the legs by the way gone."""
    place, velocity = walkers.place[k], walkers.velocity[k]
    turn = min(max(wrap(heading - place[2]), -_TURN_RATE / fps), _TURN_RATE / fps)
    speed = math.hypot(velocity[0], velocity[1])
    ahead = velocity[0] * math.cos(place[2]) + velocity[1] * math.sin(place[2])
    place[0] += velocity[0] / fps
    place[1] += velocity[1] / fps
    place[2] = wrap(place[2] + turn)
    step = (speed if ahead >= -0.3 * speed else -speed) / fps + 0.12 * abs(turn)
    if speed < 0.01 and abs(turn) < 0.01:  # put the lifted foot down
        place[3] += min(0.5 / fps, math.ceil(2.0 * place[3] - 1e-6) / 2.0 - place[3])
    else:
        place[3] += step / walkers.stride[k]
    place[3] -= math.floor(place[3])


@compiled
def _consider(walkers, k, world, t, queue):
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
    elif patience[0] <= 0 and uniform(state) < 0.02 * world.beat * 5.0 / world.fps:
        patience[0] = int(between(state, 0.5, 2.0) * world.fps / world.beat)


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
def walk_about(free, ground, camera, seeds, paces, strides, fps, paths):
    """Fill ``paths`` float32 (T, K, 4); see :func:`mgenv.engine.crowd.stroll`."""
    cells, beat = passable(free, ground), beat_of(fps)
    world = World(cells, camera, safe_cells(cells, camera, beat), beat, fps)
    walkers = new_walkers(world, seeds, paces, strides)
    headings = walkers.place[:, 2].copy()
    options, queue = np.empty((_OPTIONS, 2)), np.empty(GRID * GRID, np.int64)
    for t in range(len(paths)):
        for k in range(len(seeds)):
            if t % beat == 0:
                _consider(walkers, k, world, t, queue)
                headings[k] = _steer(walkers, k, world, t, options)
            paths[t, k] = walkers.place[k]
        for k in range(len(seeds)):
            _advance(walkers, k, headings[k], fps)
