"""Straight pushes compared with the engine: walls walked through, stops without an obstacle.

Positions are (N, T + 1, 3) [m], of N robots before and after each of T steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mgenv.benchmark.robots import STEP, Robots
from mgenv.camera import DEFAULT_INTRINSICS, Pose
from mgenv.engine.motion.navigation import Recording, collide, overlaps
from mgenv.engine.scene.baking import ROBOT_RADIUS
from mgenv.engine.scene.batch import SceneBatch

AT = (4, 8, 16, 24, 40)
"""Steps after which pushes are judged."""

TOO_DEEP = 0.15
"""Penetration depth in the engine's geometry above which a robot walks through it [m]."""

TOUCH = 0.02
"""Penetration depth up to which a robot counts as touching only [m]."""

SLOWER, IN_A_ROW = 0.5, 3
"""A robot is blocked if it moves less than this fraction of the engine's way from the same place.
It has stopped if it is blocked so many times in a row, or in its last step."""

EARLY, FOR_NOTHING = 0.5, 1.0
"""It stopped early if the engine makes this fraction of a step from there, and for nothing if the
engine makes the way of so many steps within the next IN_A_ROW steps."""

BETWEEN = 5
"""Samples per step at which a robot is compared with the engine's geometry."""

HEIGHTS, RING = (0.15, 0.5, 0.9), 8
"""Of the points of a body that known frames must show [m]: heights and how many around."""

STOOD, BLIND = 0.45, 1.0
"""As near as this to a known camera [m], free space counts as shown; the floor does not show."""


@dataclass
class Judged:
    """Results of N pushes.

    Attributes:
        inside: bool (N, T), a step led deep into something true.
        early, held: bool (N, T), a step was much shorter than the engine's from the same place,
            which goes on for a moment there, or freely.
        position, truth: (N, T + 1, 3) of this world's robots and of the engine's [m].
        until: int (N,), the last step that is judged.
    """

    inside: NDArray[np.bool_]
    early: NDArray[np.bool_]
    held: NDArray[np.bool_]
    position: NDArray[np.float64]
    truth: NDArray[np.float64]
    until: NDArray[np.int64]


def directions(pose: NDArray, length: float = STEP) -> NDArray[np.float64]:
    """Ways (N, 3) of ``length`` [m] along the headings of poses (N, 4, 4)."""
    yaw = np.arctan2(pose[:, 1, 2], pose[:, 0, 2]).astype(np.float64)
    return length * np.stack([np.cos(yaw), np.sin(yaw), np.zeros(len(yaw))], -1)


def true_ways(scenes: SceneBatch, pose: NDArray, steps: int) -> NDArray[np.float64]:
    """Where the engine's robots are pushed: positions (N, T + 1, 3)."""
    index, way = np.arange(len(pose)), directions(pose)
    places = [pose[:, :3, 3].astype(np.float64)]
    for _ in range(steps):
        places.append(collide(scenes, index, places[-1], way)[0])
    return np.stack(places, 1)


def unhindered(pose: NDArray, steps: int) -> NDArray[np.float64]:
    """Where robots are pushed that walk through everything: positions (N, T + 1, 3)."""
    way = np.arange(steps + 1)[None, :, None] * directions(pose)[:, None]
    return pose[:, None, :3, 3] + way


def judge(scenes: SceneBatch, robots: Robots, position: NDArray, shown_only: bool) -> Judged:
    """Compare pushes with the engine.

    Args:
        position: (N, T + 1, 3) of this world's robots.
        shown_only: judge a push until it leaves what the robot's known frames show.
    """
    position = position.astype(np.float64)
    steps = position.shape[1] - 1
    truth = true_ways(scenes, robots.pose, steps)
    deep = deepest(scenes, position)
    until = np.full(len(robots), steps)
    if shown_only:
        until = shown_steps(scenes, robots, position, truth, deep)
    early, held = held_up(scenes, position, directions(robots.pose))
    return Judged(deep > TOO_DEEP, early, held, position, truth, until)


def deepest(scenes: SceneBatch, position: NDArray[np.float64]) -> NDArray[np.float64]:
    """How deep bodies get into true things on each step: (N, T) [m]."""
    share = np.arange(1, BETWEEN + 1)[:, None] / BETWEEN
    start, end = position[:, :-1, None], position[:, 1:, None]
    places = start + share * (end - start)  # (N, T, BETWEEN, 3)
    index = np.repeat(np.arange(len(position)), places[0, ..., 0].size)
    return overlaps(scenes, index, places.reshape(-1, 3)).reshape(places.shape[:3]).max(-1)


def held_up(
    scenes: SceneBatch, position: NDArray[np.float64], way: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Steps (N, T) that ended early, and those that ended for nothing.

    The engine is asked where the same motion ``way`` (N, 3) leads from where each step began.
    """
    starts = position[:, :-1]
    index = np.repeat(np.arange(len(way)), starts.shape[1])
    asked = np.repeat(way, starts.shape[1], 0)
    places = [starts.reshape(-1, 3)]
    for _ in range(IN_A_ROW):
        places.append(collide(scenes, index, places[-1], asked)[0])
    once, on = (
        np.linalg.norm(place - places[0], axis=-1).reshape(starts.shape[:2])
        for place in (places[1], places[-1])
    )
    own = np.linalg.norm(np.diff(position, axis=1), axis=-1)
    step = np.linalg.norm(way, axis=-1)[:, None]
    slow = own < SLOWER * once
    return slow & (once >= EARLY * step), slow & (on >= FOR_NOTHING * step)


# -- what known frames show -----------------------------------------------------------------------


def shown_steps(
    scenes: SceneBatch,
    robots: Robots,
    position: NDArray[np.float64],
    truth: NDArray[np.float64],
    deep: NDArray[np.float64],
) -> NDArray[np.int64]:
    """The last step (N,) before either robot stands where no known frame shows its surroundings.

    A robot that is inside something is not asked: it may have walked through what was shown.
    """
    until = np.empty(len(robots), np.int64)
    for n, known in enumerate(robots.known):
        own = _shown(scenes, n, known, position[n, 1:]) | (deep[n] > TOUCH)
        out = ~(own & _shown(scenes, n, known, truth[n, 1:]))
        until[n] = np.argmax(out) if out.any() else len(out)
    return until


def _shown(
    scenes: SceneBatch, n: int, known: Recording, place: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether all upright lines of a body at places (T, 3) are shown."""
    angle = 2 * np.pi * np.arange(RING) / RING
    ring = ROBOT_RADIUS * np.stack([np.cos(angle), np.sin(angle), 0 * angle], -1)
    lines = (place[:, None] + np.concatenate([np.zeros((1, 3)), ring])).reshape(-1, 3)
    seen = np.stack([seen_points(known, _at_height(lines, height)) for height in HEIGHTS], -1)
    index = np.full(len(lines), n)
    camera = known.pose[:, :2, 3]
    near = np.linalg.norm(lines[:, None, :2] - camera, axis=-1).min(1)
    free = overlaps(scenes, index, lines, 0.02) <= 0
    low = ~free & (overlaps(scenes, index, lines + [0, 0, 0.8], 0.02) <= 0)
    shown = seen.all(-1) | (near < STOOD) & free | (near < BLIND) & seen[:, -1] & ~low
    return shown.reshape(len(place), -1).all(-1)


def _at_height(lines: NDArray[np.float64], height: float) -> NDArray[np.float64]:
    """Points at a height [m] above the floor that cameras at (P, 3) stand on."""
    return np.concatenate([lines[:, :2], lines[:, 2:] - 1.0 + height], -1)


def seen_points(known: Recording, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points (P, 3) known frames show as free or as a surface: (P,)."""
    where = torch.from_numpy(points.astype(np.float32))
    image, far = DEFAULT_INTRINSICS.project(
        Pose(torch.from_numpy(known.pose)).inv_do(where.expand(len(known.pose), -1, -1))
    )  # (K, P, 2), (K, P)
    inside = ((image >= 0) & (image < 1)).all(-1)
    pixel = (image.clamp(0, 0.999) * known.depth.shape[-1]).long()
    frame = torch.arange(len(known.pose))[:, None]
    shown = torch.from_numpy(known.depth)[frame, pixel[..., 1], pixel[..., 0]]
    return (inside & (far <= shown + 0.1 + 0.04 * far)).any(0).numpy()


# -- figures --------------------------------------------------------------------------------------


def push_rows(place: str, walls: str, judged: Judged, at: Sequence[int]) -> list[dict[str, Any]]:
    """A row for each number of steps; pushes of which nothing can be judged are left out."""
    counted = judged.until > 0
    rows = []
    for steps in at:
        last = np.minimum(judged.until, steps)[counted]
        rows.append(
            {"place": place, "walls": walls, "steps": steps, "pushes": int(counted.sum())}
            | {"steps judged": float(last.mean()) if len(last) else None}
            | _figures(judged, counted, last)
        )
    return rows


def _figures(judged: Judged, counted: NDArray[np.bool_], last: NDArray[np.int64]) -> dict[str, Any]:
    """Of the pushes ``counted``, each up to its step ``last``."""
    n = np.arange(len(last))
    own, truth = judged.position[counted], judged.truth[counted]
    ends, true_ends = own[n, last], truth[n, last]
    way = np.linalg.norm(ends - own[:, 0], axis=-1)
    true_way = np.linalg.norm(true_ends - truth[:, 0], axis=-1)
    return {
        "walked through": _share(_so_far(judged.inside[counted], last)),
        "stopped for nothing": _share(stopped(judged.held[counted], last)),
        "stopped early": _share(stopped(judged.early[counted], last)),
        "r of ways": _correlation(way, true_way),
        "error of ways [m]": _median(np.abs(way - true_way)),
        "error of positions [m]": _median(np.linalg.norm(ends - true_ends, axis=-1)),
    }


def stopped(held: NDArray[np.bool_], last: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether pushes were held up several times in a row, or at their end."""
    run = held[:, IN_A_ROW - 1 :].copy()
    for k in range(IN_A_ROW - 1):
        run &= held[:, k : k + run.shape[1]]
    long = np.pad(run, ((0, 0), (IN_A_ROW - 1, 0)))[:, : held.shape[1]]
    return _so_far(long, last) | held[np.arange(len(held)), last - 1]


def _so_far(flags: NDArray[np.bool_], last: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether any of (N, T) is set up to step ``last`` (N,)."""
    return (flags & (np.arange(flags.shape[1]) < last[:, None])).any(1)


def _share(flags: NDArray[np.bool_]) -> float | None:
    return float(flags.mean()) if len(flags) else None


def _median(values: NDArray[np.float64]) -> float | None:
    return float(np.median(values)) if len(values) else None


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    if len(a) < 2 or min(a.std(), b.std()) < 1e-6:
        return None
    return float(np.corrcoef(a, b)[0, 1])
