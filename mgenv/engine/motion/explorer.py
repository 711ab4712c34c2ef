"""The exploring agent: visits unseen cells, looks around, returns, and sometimes hits walls."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mgenv.camera import CAMERA_HEIGHT, MAX_PITCH
from mgenv.engine.estates.terrain import height_at
from mgenv.engine.homes.layout import GRID
from mgenv.engine.motion.collision import collide
from mgenv.engine.motion.paths import distances, mark_seen, nearest_free, new_seen, waypoint
from mgenv.engine.render.random_stream import below, between, new_stream, normal, uniform
from mgenv.jit import compiled

DIFFERENTIAL, HOLONOMIC, FPV, DRONE, MIXED = range(5)
_WALK, _GLANCE, _PAUSE, _PUSH, _WANDER = range(5)

MAX_FORWARD = 0.25
MAX_TURN = math.radians(15.0)
_WALKS = 11


@compiled
def wrap(angle):
    """An angle in [-pi, pi)."""
    return (angle + math.pi) % (2.0 * math.pi) - math.pi


@compiled
def write_pose(pose, x, y, z, yaw, pitch):
    """Camera-to-world (4, 4) of a level camera turned by yaw, then pitch."""
    sy, cy, sp, cp = math.sin(yaw), math.cos(yaw), math.sin(pitch), math.cos(pitch)
    pose[0, 0], pose[1, 0], pose[2, 0] = sy, -cy, 0.0
    pose[0, 1], pose[1, 1], pose[2, 1] = sp * cy, sp * sy, -cp
    pose[0, 2], pose[1, 2], pose[2, 2] = cp * cy, cp * sy, sp
    pose[0, 3], pose[1, 3], pose[2, 3] = x, y, z
    pose[3, 0], pose[3, 1], pose[3, 2], pose[3, 3] = 0.0, 0.0, 0.0, 1.0


def pose_of(
    position: Sequence[float], yaw: float, pitch: float = 0.0
) -> NDArray[np.float64]:
    """Camera-to-world (4, 4) at ``position`` [m], from angles [rad]: yaw 0 = +x and left positive.

    Example:
        >>> pose_of((1.0, 2.0, 3.0), 0.0)[:3, 2:].T.tolist()  # forward is +x
        [[1.0, 0.0, 0.0], [1.0, 2.0, 3.0]]
    """
    pose = np.empty((4, 4))
    write_pose(pose, *(float(value) for value in (*position, yaw, pitch)))
    return pose


@compiled
def _draw_style(state, style):
    if style != MIXED:
        return style
    draw = uniform(state)
    return (
        DIFFERENTIAL if draw < 0.62 else HOLONOMIC if draw < 0.77 else FPV if draw < 0.92 else DRONE
    )


@compiled
def _choose_target(state, free, here, seen, trail, step, distance, queue):
    """A cell to go to: unseen and near, or (one time in four) where the agent was before."""
    reached = distances(free, here, distance, queue)
    if step > 30 and uniform(state) < 0.25:
        return trail[below(state, float(step))]
    best, lowest = here, 1e9
    for _ in range(24):
        cell = queue[below(state, float(reached))]
        cost = distance[cell] + (60.0 if seen[cell] else 0.0) + 14.0 * uniform(state)
        if distance[cell] >= 3 and cost < lowest:
            best, lowest = cell, cost
    return best


@compiled
def _choose_mode(state, mode, clumsy, restless):
    """The next behaviour and for how many steps."""
    draw = uniform(state)
    if mode != _WALK:
        return _WALK, 8 + below(state, 22.0)
    if draw < 0.30:
        return _GLANCE, 4 + below(state, 18.0)
    if draw < 0.36:
        return _PAUSE, 1 + below(state, 3.0)
    if draw < 0.36 + clumsy:
        return _PUSH, 4 + below(state, 8.0)
    if draw < 0.36 + clumsy + restless:
        return _WANDER, 8 + below(state, 32.0)
    return _WALK, 8 + below(state, 22.0)


@compiled
def _towards(x, y, yaw, to_x, to_y):
    """(distance, bearing) of a point from a heading."""
    dx, dy = to_x - x, to_y - y
    return math.sqrt(dx * dx + dy * dy), wrap(math.atan2(dy, dx) - yaw)


@compiled
def _walk_motion(state, style, x, y, yaw, gaze, to_x, to_y, speed, turn_limit, motion):
    """Head for a point: drive and steer, or (holonomic) drift there while looking elsewhere."""
    far, bearing = _towards(x, y, yaw, to_x, to_y)
    stride = min(MAX_FORWARD * speed * between(state, 0.75, 1.0), far)
    if style == HOLONOMIC:
        motion[0], motion[1] = stride * math.cos(bearing), stride * math.sin(bearing)
        motion[3] = min(max(0.3 * wrap(bearing + gaze), -turn_limit), turn_limit)
        return
    motion[0] = stride * max(0.0, math.cos(bearing)) if abs(bearing) < 1.0 else 0.0
    motion[3] = min(max(bearing * between(state, 0.4, 0.9), -turn_limit), turn_limit)


@compiled
def _wander_motion(state, style, motion, before):
    """Random actions, correlated from step to step, as of an untrained policy."""
    keep = 0.5
    motion[0] = min(max(keep * before[0] + 0.15 * normal(state) + 0.02, -MAX_FORWARD), MAX_FORWARD)
    motion[3] = min(max(keep * before[3] + 0.14 * normal(state), -MAX_TURN), MAX_TURN)
    if style == HOLONOMIC or style == DRONE:
        motion[1] = min(max(keep * before[1] + 0.12 * normal(state), -MAX_FORWARD), MAX_FORWARD)


@compiled
def _tilt_motion(state, style, z, pitch, aims, motion):
    """Slowly change pitch (fpv, drone) and height (drone) towards aims that change now and then."""
    if style != FPV and style != DRONE:
        return
    if uniform(state) < 0.05:
        aims[0] = between(state, -0.45, 0.35) if uniform(state) < 0.6 else 0.0
    motion[4] = min(max(0.3 * (aims[0] - pitch), -0.12), 0.12)
    if style == DRONE:
        if uniform(state) < 0.05:
            aims[1] = between(state, 0.6, 1.9)
        motion[2] = min(max(0.3 * (aims[1] - z), -0.12), 0.12)


@compiled
def move(cells, ground, objects, count, place, motion):
    """Apply a motion (5,) to ``place`` (x, y, z, yaw, pitch): whether walls shortened it."""
    cos, sin = math.cos(place[3]), math.sin(place[3])
    dx, dy = motion[0] * cos - motion[1] * sin, motion[0] * sin + motion[1] * cos
    x, y, z, bumped = collide(
        cells, ground, objects, count, place[0], place[1], place[2], dx, dy, motion[2]
    )
    place[0], place[1], place[2] = x, y, z
    place[3] = wrap(place[3] + motion[3])
    place[4] = min(max(place[4] + motion[4], -MAX_PITCH), MAX_PITCH)
    return bumped


@compiled
def read_pose(pose, place):
    """The inverse of :func:`write_pose`, whatever the roll: fills ``place`` (5,)."""
    place[0], place[1], place[2] = pose[0, 3], pose[1, 3], pose[2, 3]
    place[3] = math.atan2(pose[1, 2], pose[0, 2])
    place[4] = math.asin(min(max(pose[2, 2], -1.0), 1.0))


@compiled
def move_many(cells, ground, objects, counts, slots, places, motion, poses, bumped):
    """:func:`move` for slots: ``motion`` (n, 5), ``bumped`` (n,); the others have a row a slot."""
    for n in range(len(slots)):
        k = slots[n]
        bumped[n] = move(cells[k], ground[k], objects[k], counts[k, 1], places[k], motion[n])
        place = places[k]
        write_pose(poses[k], place[0], place[1], place[2], place[3], place[4])


@compiled
def explore_scene(cells, ground, free, objects, count, seed, style, start, pose, motion, bumped):
    """Fill a walk.

    Args:
        start: float64 (5,) x, y, z, yaw, pitch; changed in place.
        pose: float32 (T, 4, 4), filled.
        motion: float32 (T, 5), filled with the requested motions; motion[t] leads from t - 1 to t.
        bumped: bool (T,), filled.
    """
    state = new_stream(seed, _WALKS)
    style = _draw_style(state, style)
    clumsy = 0.25 if uniform(state) < 0.4 else 0.0
    restless = 0.5 if uniform(state) < 0.35 else 0.06
    speed, turn_limit = between(state, 0.55, 1.0), between(state, 0.6, 1.0) * MAX_TURN
    gaze, aims = 0.0, np.array([0.0, CAMERA_HEIGHT])
    distance, queue = np.empty(GRID * GRID, np.int64), np.empty(GRID * GRID, np.int64)
    seen, trail = new_seen(), np.empty(len(pose), np.int64)
    mode, left, turn, stuck, target = _WALK, 12, 0.0, 0, -1
    request = np.zeros(5)
    for t in range(len(pose)):
        here = nearest_free(free, start[0], start[1])
        trail[t] = here
        mark_seen(cells, start[0], start[1], start[3], 3.0, seen)
        if t > 0:
            if target < 0 or distance[here] <= 1 or stuck > 3:
                target = _choose_target(state, free, here, seen, trail, t, distance, queue)
                distances(free, target, distance, queue)
                gaze, stuck = between(state, -1.5, 1.5), 0
            if left <= 0:
                mode, left = _choose_mode(state, mode, clumsy, restless)
                turn = (
                    between(state, 0.3, 1.0) * turn_limit * (1.0 if uniform(state) < 0.5 else -1.0)
                )
            left -= 1
            before = motion[t - 1]
            request[:] = 0.0
            if mode == _WALK:
                to_x, to_y = waypoint(free, distance, start[0], start[1], 4)
                _walk_motion(
                    state,
                    style,
                    start[0],
                    start[1],
                    start[3],
                    gaze,
                    to_x,
                    to_y,
                    speed,
                    turn_limit,
                    request,
                )
            elif mode == _GLANCE:
                request[3] = turn
                request[0] = 0.03 * uniform(state) if style != DRONE else 0.0
            elif mode == _PUSH:
                request[0], request[3] = MAX_FORWARD * speed, 0.1 * turn
            elif mode == _WANDER:
                _wander_motion(state, style, request, before)
            above = start[2] - height_at(ground, start[0], start[1])
            _tilt_motion(state, style, above, start[4], aims, request)
            bumped[t] = move(cells, ground, objects, count, start, request)
            stuck = stuck + 1 if bumped[t] and mode == _WALK else 0
            for k in range(5):
                motion[t, k] = request[k]
        write_pose(pose[t], start[0], start[1], start[2], start[3], start[4])


@compiled
def explore_scenes(
    cells,
    ground,
    free,
    objects,
    counts,
    index,
    seeds,
    style,
    starts,
    pose,
    motion,
    bumped,
    first,
    last,
):
    """:func:`explore_scene` for walks ``first`` to ``last`` of scenes ``index``."""
    for n in range(first, last):
        s = index[n]
        explore_scene(
            cells[s],
            ground[s],
            free[s],
            objects[s],
            counts[s, 1],
            seeds[n],
            style,
            starts[n],
            pose[n],
            motion[n],
            bumped[n],
        )
