"""Doorways: share passed of those that the engine's robots pass."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mgenv.benchmark.pushes import TOO_DEEP, deepest, shown_steps, true_ways
from mgenv.benchmark.robots import STEP, Robots
from mgenv.camera import CAMERA_HEIGHT, Pose
from mgenv.engine.homes.layout import BARRED, CELL, DOORWAY, WALL
from mgenv.engine.motion.navigation import Recording, overlaps
from mgenv.engine.scene.baking import ROBOT_RADIUS
from mgenv.engine.scene.batch import Scene
from mgenv.engine.scene.scenes import cached_scene

BEFORE = 1.0
"""Distance of a robot's start before the middle of a doorway [m]."""

ASIDE, ASKEW = 0.05, np.radians(5.0)
"""Largest lateral offset [m] and turn [rad] of a start."""

TRIES, STEPS = 2, 10
"""Robots of each doorway and direction; steps of each."""

BEHIND = CELL / 2 + ROBOT_RADIUS
"""Distance behind the middle of a doorway from which a robot has passed [m]."""


class Doorway(NamedTuple):
    """The middle of a doorway x, y [m], the heading through it [rad], and its width [m]."""

    x: float
    y: float
    yaw: float
    width: float


def doorways(scene: Scene) -> list[Doorway]:
    """The doorways of a world, each in both directions."""
    found = []
    for axis, cells in enumerate((scene.cells, scene.cells.T)):  # walls at x, walls at y
        for line in range(1, len(cells) - 1):
            for first, end in _gaps(cells[:, line - 1 : line + 2]):
                along, middle = (line + 0.5) * CELL, (first + end) / 2 * CELL
                x, y = (along, middle) if axis == 0 else (middle, along)
                for turn in (0.0, np.pi):
                    yaw = axis * np.pi / 2 + turn
                    found.append(Doorway(x, y, yaw, (end - first) * CELL))
    return found


def _gaps(cells: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Runs of doorway cells in the middle column of (GRID, 3), walls at both ends, rooms aside."""
    door = (cells[:, 1] >= DOORWAY) & (cells[:, 1] < BARRED)
    edges = np.flatnonzero(np.diff(np.pad(door, 1).astype(np.int8)))
    return [
        (int(first), int(end))
        for first, end in edges.reshape(-1, 2)
        if 0 < first and end < len(cells)
        and (cells[[first - 1, end], 1] == WALL).all()
        and (cells[first:end, [0, 2]] < DOORWAY).all()
    ]  # fmt: skip


class Passages(NamedTuple):
    """Robots before doorways, and the doorways: float64 (N, 4), see :class:`Doorway`."""

    robots: Robots
    doors: NDArray[np.float64]


def passages(scans: dict[int, Recording], each: int, seed: int) -> Passages | None:
    """Robots before the narrowest doorways of worlds, that the engine lets pass in full view.

    Args:
        scans: of each world; known frames must show all that a robot touches on its way.
        each: at most so many robots a world.

    Returns:
        None where there are none.
    """
    ids, poses, known, doors = [], [], [], []
    narrowest = min((d.width for w in scans for d in doorways(cached_scene(w))), default=0.0)
    for world_id, scan in scans.items():
        rng = np.random.default_rng([seed, world_id])
        for door in doorways(cached_scene(world_id)):
            for _ in range(TRIES if door.width == narrowest else 0):
                ids.append(world_id)
                poses.append(_before(door, rng))
                known.append(scan)
                doors.append(door)
    if not ids:
        return None
    robots, numbers = Robots(ids, np.stack(poses), known), np.array(doors, np.float64)
    rows = _first_of_each(ids, passable(robots, numbers), each, seed)
    return Passages(robots.chosen(rows), numbers[rows]) if len(rows) else None


def passable(robots: Robots, doors: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Doorways (N,) that the engine's robots pass, whose surroundings are known."""
    scenes = robots.scenes()
    truth = true_ways(scenes, robots.pose, STEPS)
    known = shown_steps(scenes, robots, truth, truth, np.zeros((len(truth), STEPS))) == STEPS
    free = overlaps(scenes, np.arange(len(truth)), truth[:, 0]) <= 0
    return np.logical_and.reduce([free, known, behind(truth, doors)])


def _before(door: Doorway, rng: np.random.Generator) -> NDArray[np.float32]:
    aside, askew = rng.uniform(-ASIDE, ASIDE), rng.uniform(-ASKEW, ASKEW)
    cos, sin = np.cos(door.yaw), np.sin(door.yaw)
    place = [door.x - BEFORE * cos - aside * sin, door.y - BEFORE * sin + aside * cos]
    position = torch.tensor([*place, CAMERA_HEIGHT], dtype=torch.float32)
    return Pose.create(position, torch.tensor(door.yaw + askew, dtype=torch.float32)).matrix.numpy()


def _first_of_each(
    ids: list[int], good: NDArray[np.bool_], each: int, seed: int
) -> NDArray[np.int64]:
    """At most ``each`` rows of every world, drawn among the good ones."""
    order = np.random.default_rng(seed).permutation(np.flatnonzero(good))
    taken: dict[int, list[int]] = {}
    for row in order:
        taken.setdefault(ids[row], []).append(int(row))
    return np.sort([row for rows in taken.values() for row in rows[:each]]).astype(np.int64)


def behind(position: NDArray[np.float64], doors: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether robots (N, T + 1, 3) got behind their doorways, through these: (N,)."""
    offset = position[..., :2] - doors[:, None, :2]
    cos, sin = np.cos(doors[:, 2, None]), np.sin(doors[:, 2, None])
    along = offset[..., 0] * cos + offset[..., 1] * sin
    aside = offset[..., 1] * cos - offset[..., 0] * sin
    within = np.abs(aside) < doors[:, 3, None] / 2
    return np.asarray(((along >= BEHIND) & within).any(1))


def doorway_row(place: str, walls: str, asked: Passages, position: NDArray) -> dict[str, Any]:
    """What became of robots at ``position`` (N, T + 1, 3)."""
    through = (deepest(asked.robots.scenes(), position.astype(np.float64)) > TOO_DEEP).any(1)
    passed = behind(position.astype(np.float64), asked.doors) & ~through
    return {
        "place": place,
        "walls": walls,
        "doorways": len(passed),
        "width [m]": float(asked.doors[0, 3]),
        "steps": position.shape[1] - 1,
        "metres asked for": STEP * (position.shape[1] - 1),
        "passed": float(passed.mean()),
        "through the frame": float(through.mean()),
    }
