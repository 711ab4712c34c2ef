"""Local avoidance: characters walk to goals, around each other and out of the camera's way.

Every beat (see :mod:`mgenv.engine.people.safe_sets`) a walker weighs some twenty velocities, each
by how well it leads to the goal, how sharply it turns and whom it would come near within a second;
in the manner of reciprocal velocity obstacles (van den Berg et al., 2008), with the camera as an
obstacle that never gives way.
"""

from __future__ import annotations

import math

import numpy as np

from mgenv.engine.homes.layout import CELL, GRID
from mgenv.engine.motion.explorer import wrap
from mgenv.engine.motion.paths import waypoint
from mgenv.engine.people.pedestrians import (
    APART,
    CAMERA_APART,
    World,
    camera_at,
    consider,
    new_walkers,
)
from mgenv.engine.people.safe_sets import HURRY, beat_of, is_safe, passable, safe_cells
from mgenv.jit import compiled

_TURN_RATE = 3.0
"""How fast a walker turns [rad/s]."""
_QUICKEST = 3.5
"""Nobody takes more strides a second, but slides [Hz]."""
_OPTIONS = 20
_AHEAD = 1.0
"""How far a walker looks ahead [s]."""
_UNSAFE = np.array([30.0, 130.0])
"""What it costs to leave the safe cells of each distance of ``CLEAR``."""
_EDGE = 1e-4
"""How near to the edge of the free cells nobody walks, lest rounding puts them beyond it [m]."""


@compiled
def _fill_asides(x, y, span, asides):
    """Fill the velocities (8, 2) of a hurry aside; the first four end in a cell beside this one."""
    for n in range(4):
        way, part = (1.0 if n % 2 == 0 else -1.0), (x if n < 2 else y) / CELL
        part -= math.floor(part)
        far = min((1.0 - part if way > 0.0 else part) * CELL + 0.5 * CELL, HURRY * span)
        asides[n, n // 2], asides[n, 1 - n // 2] = way * far / span, 0.0
        angle = (0.25 + 0.5 * n) * math.pi
        asides[4 + n, 0], asides[4 + n, 1] = HURRY * math.cos(angle), HURRY * math.sin(angle)


@compiled
def _fill_options(walkers, k, bearing, span, options):
    """The velocities (20, 2) to choose from: stay, the goal's way, ahead with a turn, aside."""
    place = walkers.place[k]
    speed = math.hypot(walkers.velocity[k, 0], walkers.velocity[k, 1])
    full, n = min(walkers.pace[k], speed + 0.4), 2
    options[0, 0], options[0, 1] = 0.0, 0.0
    options[1, 0], options[1, 1] = full * math.cos(bearing), full * math.sin(bearing)
    for turn in range(-2, 3):
        angle = place[2] + 0.28 * turn
        for pace in (full, 0.5 * full):
            options[n, 0], options[n, 1] = pace * math.cos(angle), pace * math.sin(angle)
            n += 1
    _fill_asides(place[0], place[1], span, options[n:])


@compiled
def _comfort(walkers, k, vx, vy, want_x, want_y, turn):
    """How far a velocity is from the wanted one, from the present one and from the heading."""
    pace, speed = max(walkers.pace[k], 0.8), math.hypot(vx, vy)
    cost = ((vx - want_x) ** 2 + (vy - want_y) ** 2) / (pace * pace)
    cost += 0.1 * ((vx - walkers.velocity[k, 0]) ** 2 + (vy - walkers.velocity[k, 1]) ** 2)
    if speed > 0.05:
        aside = abs(wrap(math.atan2(vy, vx) - walkers.place[k, 2])) - turn
        cost += 3.0 * min(speed / pace, 1.0) * (1.0 - math.cos(max(aside, 0.0)))
    return cost


@compiled
def _leaves_floor(walkers, k, world, vx, vy):
    """Whether the next beat at a velocity leads out of the free cells, or to their very edge."""
    for j in range(1, world.beat + 1):
        x, y = walkers.place[k, 0] + vx * j / world.fps, walkers.place[k, 1] + vy * j / world.fps
        for edge in (-_EDGE, _EDGE):
            if not world.cells[int((y + edge) / CELL), int((x + edge) / CELL)]:
                return True
    return False


@compiled
def _camera_cost(walkers, k, world, t, vx, vy):
    """How near a velocity leads to the camera within a second, and to places of no escape."""
    cost, x, y = 0.0, walkers.place[k, 0], walkers.place[k, 1]
    for j in range(1, int(_AHEAD * world.fps) + 1):
        camera_x, camera_y = camera_at(world, t + j)
        gap = math.hypot(x + vx * j / world.fps - camera_x, y + vy * j / world.fps - camera_y)
        cost += max(1.3 - gap, 0.0) * 10.0 / world.fps
        if j <= world.beat and gap < CAMERA_APART:
            cost += 150.0 * (CAMERA_APART + 0.1 - gap)
    n, span = min(t // world.beat + 1, len(world.safe) - 1), world.beat / world.fps
    for level in range(len(_UNSAFE)):
        if not is_safe(world.safe[n, level], x + vx * span, y + vy * span):
            cost += _UNSAFE[level]
    return cost


@compiled
def _others_cost(walkers, k, vx, vy):
    """How near a velocity leads to other walkers within a second."""
    cost, here = 0.0, walkers.place[k]
    for other in range(len(walkers.place)):
        there, pace = walkers.place[other], walkers.velocity[other]
        for j in range(1, 6 if other != k else 1):
            dx = there[0] - here[0] + 0.2 * j * (pace[0] - vx)
            dy = there[1] - here[1] + 0.2 * j * (pace[1] - vy)
            gap = math.hypot(dx, dy)
            cost += max(1.0 - gap, 0.0)
            cost += 30.0 * (APART + 0.1 - gap) if gap < APART + 0.05 else 0.0
    return cost


@compiled
def _steer(walkers, k, world, t, options):
    """Set the velocity of walker ``k`` for the next beat: the heading it turns to [rad]."""
    place, velocity = walkers.place[k], walkers.velocity[k]
    to_x, to_y = waypoint(world.cells, walkers.distance[k], place[0], place[1], 5)
    bearing = math.atan2(to_y - place[1], to_x - place[0])
    wanted = 0.0 if walkers.patience[k, 0] > 0 else walkers.pace[k]
    want_x, want_y = wanted * math.cos(bearing), wanted * math.sin(bearing)
    _fill_options(walkers, k, bearing, world.beat / world.fps, options)
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
        place[3] += min(max(step / walkers.stride[k], -_QUICKEST / fps), _QUICKEST / fps)
    place[3] -= math.floor(place[3])


@compiled
def walk_about(free, ground, camera, seeds, paces, strides, fps, paths):
    """Fill ``paths`` float32 (T, K, 4); see :func:`mgenv.engine.people.crowd.stroll`."""
    cells, beat = passable(free, ground), beat_of(fps)
    world = World(cells, camera, safe_cells(cells, camera, beat), beat, fps)
    walkers = new_walkers(world, seeds, paces, strides)
    headings = walkers.place[:, 2].copy()
    options, queue = np.empty((_OPTIONS, 2)), np.empty(GRID * GRID, np.int64)
    for t in range(len(paths)):
        for k in range(len(seeds)):
            if t % beat == 0:
                consider(walkers, k, world, t, queue)
                headings[k] = _steer(walkers, k, world, t, options)
            paths[t, k] = walkers.place[k]
        for k in range(len(seeds)):
            _advance(walkers, k, headings[k], fps)
