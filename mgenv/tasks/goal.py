"""What PointNav and ImageNav share: a goal in the place, reached or not, and how directly.

Reward terms: progress towards the goal [m], success, slack a step, bumps (as in Habitat). There
is no stop action: being at the goal is success. A goal within whose radius an episode starts
counts once the robot has been outside it, so that coming home is a task too.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgenv.camera import ImageSize, planar
from mgenv.tasks.base import Outcome, Place, Task, bump_reward
from mgenv.worlds.base import Frame

SUCCESS_RADIUS = 0.5
"""A goal nearer than this is reached [m]."""

GOAL_DISTANCE = (1.0, 5.0)
"""How far goals lie from the start, in a straight line [m]."""

LINK = 0.6
"""Remembered positions this near are joined by a free line [m]: a wall with a robot's radius on
either side is thicker."""

REWARD_SUCCESS = 2.5
REWARD_SLACK = -0.01


class GoalTask(Task):
    """Reach a goal pose."""

    def __init__(self, num_envs: int, image_size: ImageSize) -> None:
        super().__init__(num_envs, image_size)
        self.state = {
            "goal": np.zeros((num_envs, 3)),  # x, y, yaw
            "robot": np.zeros((num_envs, 3)),  # x, y, yaw
            "shortest": np.zeros(num_envs),
            "walked": np.zeros(num_envs),
            "away": np.zeros(num_envs, bool),
            "success": np.zeros(num_envs, bool),
        }

    @abstractmethod
    def choose(
        self, slot: int, start: NDArray[np.float64], place: Place | None, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Draw the goal x, y, yaw (3,) of an episode that starts at x, y, yaw ``start`` (3,)."""

    @abstractmethod
    def reached(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which slots (n,) are at their goal now."""

    def begin(
        self,
        slots: NDArray[np.int64],
        frame: Frame,
        places: Sequence[Place | None],
        generators: Sequence[np.random.Generator],
    ) -> None:
        state, starts = self.state, planar(frame.pose)
        for slot, start, place, rng in zip(slots, starts, places, generators, strict=True):
            goal = self.choose(slot, start, place, rng)
            state["goal"][slot], state["robot"][slot] = goal, start
            known = np.zeros((0, 2)) if place is None else planar(place.pose)[:, :2]
            state["shortest"][slot] = shortest_path(known, start[:2], goal[:2])
        state["walked"][slots] = 0.0
        state["success"][slots] = False
        state["away"][slots] = self.distance(slots) > SUCCESS_RADIUS

    def distance(self, slots: NDArray[np.int64]) -> NDArray[np.float64]:
        """Straight-line distance on the ground plan [m]: (n,)."""
        offset = self.state["goal"][slots] - self.state["robot"][slots]
        return np.hypot(offset[:, 0], offset[:, 1])

    def step(self, slots: NDArray[np.int64], frame: Frame) -> Outcome:
        before, here = self.distance(slots), planar(frame.pose)
        moved = here - self.state["robot"][slots]
        self.state["walked"][slots] += np.hypot(moved[:, 0], moved[:, 1])
        self.state["robot"][slots] = here
        after = self.distance(slots)
        self.state["away"][slots] |= after > SUCCESS_RADIUS
        success = self.reached(slots) & self.state["away"][slots]
        self.state["success"][slots] = success
        rewards = {
            "reward_progress": before - after,
            "reward_success": REWARD_SUCCESS * success,
            "reward_slack": np.full(len(slots), REWARD_SLACK),
            "reward_bump": bump_reward(frame),
        }
        return Outcome(rewards, success)

    def info(self, slots: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        success, shortest = self.state["success"][slots], self.state["shortest"][slots]
        spl = success * shortest / np.maximum(shortest, self.state["walked"][slots])
        return {"is_success": success, "distance_to_goal": self.distance(slots), "spl": spl}


def draw_goal(place: Place, start: NDArray[np.float64], rng: np.random.Generator) -> int:
    """Index of a remembered frame 1–5 m from ``start`` (3,), else of the farthest one."""
    offset = planar(place.pose)[:, :2] - start[:2]
    distance = np.hypot(offset[:, 0], offset[:, 1])
    fitting = np.flatnonzero((distance >= GOAL_DISTANCE[0]) & (distance <= GOAL_DISTANCE[1]))
    draw = rng.random()
    if fitting.size == 0:
        return int(distance.argmax())
    return int(fitting[int(draw * fitting.size)])


def shortest_path(
    known: NDArray[np.float64], start: NDArray[np.float64], goal: NDArray[np.float64]
) -> float:
    """Length [m] of the shortest way from start (2,) to goal (2,) that memory knows of.

    Dijkstra's algorithm over the remembered positions ``known`` (M, 2). At least the straight
    line, which is also the answer where memory knows no way, and at least the way out of the
    goal's radius and back.

    Example:
        >>> corner = np.array([[0.0, 0.5], [0.0, 1.0], [0.5, 1.0], [1.0, 1.0]])
        >>> shortest_path(corner, np.array([0.0, 0.0]), np.array([1.0, 1.0]))
        2.0
    """
    straight = max(float(np.hypot(*(goal - start))), 2 * SUCCESS_RADIUS)
    points = np.concatenate([start[None], goal[None], known])  # (M + 2, 2)
    length = np.full(len(points), np.inf)
    length[0] = 0.0
    todo = np.ones(len(points), bool)
    while todo[1]:
        nearest = int(np.where(todo, length, np.inf).argmin())
        if not np.isfinite(length[nearest]) or not todo[nearest]:
            return straight
        todo[nearest] = False
        edges = np.hypot(*(points - points[nearest]).T)
        edges[edges > LINK] = np.inf
        length = np.minimum(length, length[nearest] + edges)
    return max(straight, float(length[1]))
