"""The ceiling: a policy that knows the true map, its own pose and the goal.

It walks down the distances to the goal on the free cells of the engine's scene, in the engine and
in generated worlds alike. What it does not reach, no policy has to.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from mgenv.agents.drive import Drive, towards
from mgenv.camera import planar, planar_from
from mgenv.engine.homes.layout import CELL, GRID, WALL
from mgenv.engine.motion import paths
from mgenv.engine.scene.batch import Scene
from mgenv.engine.scene.scenes import cached_scene

ARRIVED = 0.1
"""A goal nearer than this needs no further step [m]."""

AHEAD = 6
"""Cells that the next waypoint may lie ahead on the path."""

CAREFUL = 6
"""Steps that a robot which something stopped goes from cell to cell, before it cuts corners."""

NEAREST = 32
"""Free cells that may be the goal's, and points of a line that must not lie in walls."""

SIGHT = 5.0
"""How far a robot that explores sees the floor [m]."""


class PlannerPolicy:
    """Goes the shortest way on the true map; in Explore to the nearest cell that it has not seen.

    It is privileged: :meth:`see` takes poses and worlds from the infos, and the goals come from
    the environments themselves.

    Args:
        envs: where it acts; their worlds must be the engine's, whoever draws them.
        seed: not used: nothing is drawn.
    """

    name = "planner"

    def __init__(self, envs: gym.vector.VectorEnv, seed: int = 0) -> None:
        count, parts = envs.num_envs, getattr(envs.single_observation_space, "spaces", None) or {}
        self._envs: Any = envs.unwrapped
        self._drive = Drive(envs)
        self._faces = "goal_pixels" in parts
        self._explores = self._envs.task == "explore"
        self._routes: list[_Route | None] = [None] * count
        self._poses = np.zeros((count, 3))  # x, y [m], yaw
        self._worlds = np.zeros(count, np.int64)
        self._careful = np.zeros(count, np.int64)

    def see(self, infos: dict[str, Any]) -> None:
        """Take where each robot is from the infos of a step or reset."""
        told = infos["_pose"]
        self._poses[told] = planar(infos["pose"][told])
        self._worlds[told] = infos["world_id"][told]
        self._careful[told & infos["bumped"]] = CAREFUL

    def reset(self, slots: NDArray[np.bool_]) -> None:
        """Plan anew in ``slots`` bool (N,)."""
        self._careful[slots] = 0
        episodes = None if self._explores else self._envs.episodes()
        for slot in np.flatnonzero(slots).tolist():
            scene = cached_scene(int(self._worlds[slot]))
            goal = None if episodes is None else np.array(episodes[slot].goal, np.float64)
            self._routes[slot] = _Frontier(scene) if goal is None else _Route(scene, goal)

    def act(self, observations: Any) -> Any:
        """Actions (N, …)."""
        targets, goals = np.empty((len(self._poses), 2)), np.full((len(self._poses), 3), np.nan)
        for slot, route in enumerate(self._routes):
            assert route is not None, "reset comes before act"
            ahead = 1 if self._careful[slot] else AHEAD
            targets[slot] = route.waypoint(self._poses[slot], ahead)
            goals[slot] = route.goal
        self._careful = np.maximum(self._careful - 1, 0)
        return self._head_for(targets, goals)

    def _head_for(self, targets: NDArray[np.float64], goals: NDArray[np.float64]) -> Any:
        """Actions towards ``targets`` (N, 2); facing as ``goals`` (N, 3) and stopping there."""
        local = planar_from(self._poses, targets)
        forward, turn = towards(np.hypot(*local.T), np.arctan2(local[:, 1], local[:, 0]))
        there = np.hypot(*(goals[:, :2] - self._poses[:, :2]).T) <= ARRIVED
        aside = np.remainder(goals[:, 2] - self._poses[:, 2] + np.pi, 2 * np.pi) - np.pi
        aside = np.where(there & self._faces, aside, 0.0)
        rest, face = towards(np.zeros(len(there)), aside)
        forward, turn = np.where(there, rest, forward), np.where(there, face, turn)
        return self._drive(forward, turn, there & (np.abs(aside) < 0.1))


class _Route:
    """The distances to a goal x, y, yaw (3,) on a scene's free cells."""

    def __init__(self, scene: Scene, goal: NDArray[np.float64]) -> None:
        self.scene, self.goal = scene, goal
        self._distance = np.empty(GRID * GRID, np.int64)
        self._queue = np.empty(GRID * GRID, np.int64)
        self._aim(_nearest_free(scene, goal[:2]))

    def _aim(self, cell: int) -> int:
        """Distances to ``cell``; how many cells lead there."""
        return paths.distances(self.scene.free, cell, self._distance, self._queue)

    def waypoint(self, robot: NDArray[np.float64], ahead: int) -> NDArray[np.float64]:
        """Where a robot at x, y, yaw (3,) heads for, at most ``ahead`` cells on: (2,) [m]."""
        free, (x, y, _) = self.scene.free, robot
        if self._distance[paths.nearest_free(free, x, y)] <= 1:
            return self.goal[:2]
        return np.array(paths.waypoint(free, self._distance, x, y, ahead))


def _nearest_free(scene: Scene, point: NDArray[np.float64]) -> int:
    """The number of the free cell nearest to ``point`` (2,) that no wall parts from it."""
    rows = np.argwhere(scene.free)  # (F, 2) row, column
    middles = (rows[:, ::-1] + 0.5) * CELL
    far = np.hypot(*(middles - point).T)
    for k in np.argsort(far)[:NEAREST]:
        line = point + np.linspace(0.0, 1.0, NEAREST)[:, None] * (middles[k] - point)
        column, row = (line // CELL).astype(np.int64).T
        if (scene.cells[row, column] != WALL).all():
            return int(rows[k, 0] * GRID + rows[k, 1])
    return paths.nearest_free(scene.free, *point)


class _Frontier(_Route):
    """The distances to the nearest free cell that was not seen yet."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.goal = scene, np.full(3, np.nan)
        self._distance = np.empty(GRID * GRID, np.int64)
        self._queue = np.empty(GRID * GRID, np.int64)
        self._seen, self._target = paths.new_seen(), -1

    def waypoint(self, robot: NDArray[np.float64], ahead: int) -> NDArray[np.float64]:
        x, y, yaw = robot
        here = paths.nearest_free(self.scene.free, x, y)
        paths.mark_seen(self.scene.cells, x, y, yaw, SIGHT, self._seen)
        self._seen[here] = 1
        if self._target < 0 or self._seen[self._target]:
            cells = self._queue[: self._aim(here)]
            unseen = cells[self._seen[cells] == 0]
            self._target = int(unseen[0] if len(unseen) else cells[-1])
            self._aim(self._target)
        return np.array(paths.waypoint(self.scene.free, self._distance, x, y, ahead))
