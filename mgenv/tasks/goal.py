"""Tasks with a goal: distance along the floor, success and path efficiency.

Distances are geodesic, along the floor that memory knows; without known floor, straight lines. Off
that floor, the distance is the straight line to where the robot left it, and on from there.

Reward terms: progress towards the goal [m], success, slack per step, bumps (as in Habitat). Without
the option ``stop``, being at the goal is success; with it, stopping there. Where an episode starts
within the goal's radius, success needs the robot to leave the radius first.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgenv.camera import ImageSize, planar
from mgenv.errors import InvalidOptionError
from mgenv.memory.floor_plan import FloorPlan
from mgenv.tasks.base import Outcome, Place, Rows, Setting, Task, TaskOptions, bump_reward, ended
from mgenv.tasks.episode import Episode, difficulty_of
from mgenv.worlds.base import Frame

SUCCESS_RADIUS = 0.5
"""Geodesic distance below which a goal is reached [m]."""

REWARD_SUCCESS = 2.5
REWARD_SLACK = -0.01


class GoalTask(Task):
    """Reach a goal pose."""

    def __init__(
        self, num_envs: int, image_size: ImageSize, options: TaskOptions | None = None
    ) -> None:
        super().__init__(num_envs, image_size, options)
        self.state = {
            "goal": np.zeros((num_envs, 3)),  # x, y, yaw
            "start": np.zeros((num_envs, 3)),  # x, y, yaw
            "robot": np.zeros((num_envs, 3)),  # x, y, yaw
            "anchor": np.zeros((num_envs, 3)),  # last x, y on the floor, and the distance there
            "distance": np.zeros(num_envs),
            "geodesic": np.zeros(num_envs),
            "walked": np.zeros(num_envs),
            "collisions": np.zeros(num_envs, np.int64),
            "steps": np.zeros(num_envs, np.int64),
            "seed": np.zeros(num_envs, np.int64),
            "goal_frame": np.full(num_envs, -1, np.int64),
            "away": np.zeros(num_envs, bool),
            "success": np.zeros(num_envs, bool),
            "plan": np.full(num_envs, None, object),
            "field": np.full(num_envs, None, object),
        }

    @abstractmethod
    def choose(
        self, start: NDArray[np.float32], place: Place | None, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], int]:
        """Draw the goal of an episode that starts at pose ``start`` (4, 4).

        Returns:
            x, y, yaw (3,) and the index of the place's frame that is the goal picture, or -1.
        """

    def reached(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Slots that are at their goal: bool (n,)."""
        return self.state["distance"][slots] < SUCCESS_RADIUS

    # -- episodes -------------------------------------------------------------------------------

    def begin(self, slots: NDArray[np.int64], frame: Frame, settings: Sequence[Setting]) -> None:
        for slot, pose, setting in zip(slots, frame.pose, settings, strict=True):
            goal, index = self._goal(pose, setting)
            self._aim(int(slot), planar(pose), goal, setting)
            self.state["goal_frame"][slot] = index
        for name in ("walked", "collisions", "steps", "success"):
            self.state[name][slots] = 0
        self.state["away"][slots] = self.state["distance"][slots] > SUCCESS_RADIUS

    def _goal(self, pose: NDArray[np.float32], setting: Setting) -> tuple[NDArray[np.float64], int]:
        if setting.episode is not None:
            return np.array(setting.episode.goal), setting.episode.goal_frame
        return self.choose(pose, setting.place, np.random.default_rng(setting.seed))

    def _aim(
        self, slot: int, start: NDArray[np.float64], goal: NDArray[np.float64], setting: Setting
    ) -> None:
        """Set the slot's goal (3,) for an episode that begins at ``start`` (3,)."""
        state, plan = self.state, None if setting.place is None else setting.place.plan
        plan, field, far = way_to(plan, start, goal)
        state["plan"][slot], state["field"][slot] = plan, field
        state["goal"][slot], state["start"][slot], state["robot"][slot] = goal, start, start
        state["anchor"][slot] = [*start[:2], far]
        state["distance"][slot] = state["geodesic"][slot] = far
        state["seed"][slot] = setting.seed

    def goal_of(self, slot: int) -> dict[str, Any]:
        state, straight = self.state, float(self._straight(np.array([slot]))[0])
        return {
            "goal": tuple(state["goal"][slot].tolist()),
            "difficulty": difficulty_of(state["geodesic"][slot], straight),
            "geodesic": float(state["geodesic"][slot]),
            "straight": straight,
            "goal_frame": int(state["goal_frame"][slot]),
        }

    def check(self, episode: Episode, place: Place | None) -> None:
        super().check(episode, place)
        if place is None or place.plan is None:
            return
        if not place.plan.leads(episode.goal[:2], episode.start[:2]):
            raise InvalidOptionError(
                f"episode: expected a goal that can be reached in world {episode.world_id}, got "
                f"{list(episode.goal[:2])} from {list(episode.start[:2])}"
            )

    # -- steps ----------------------------------------------------------------------------------

    def step(
        self, slots: NDArray[np.int64], frame: Frame, stopped: NDArray[np.bool_] | None = None
    ) -> Outcome:
        before = self.state["distance"][slots]
        self._move(slots, frame)
        after = self.state["distance"][slots]
        self.state["away"][slots] |= after > SUCCESS_RADIUS
        over, success = ended(slots, stopped), self.reached(slots) & self.state["away"][slots]
        if self.options.stop:
            success &= over
        self.state["success"][slots] = success
        rewards = {
            "reward_progress": before - after,
            "reward_success": REWARD_SUCCESS * success,
            "reward_slack": np.full(len(slots), REWARD_SLACK),
            "reward_bump": bump_reward(frame),
        }
        return Outcome(rewards, over | success)

    def _move(self, slots: NDArray[np.int64], frame: Frame) -> None:
        """Update positions, counters and distances to the goals."""
        state, here = self.state, self._add_path(slots, frame)
        state["collisions"][slots] += frame.bumped
        state["steps"][slots] += 1
        for slot, spot in zip(slots, here[:, :2], strict=True):
            state["distance"][slot] = self._distance(slot, spot)

    def _distance(self, slot: int, spot: NDArray[np.float64]) -> float:
        """Geodesic distance from ``spot`` (2,) to the slot's goal [m]."""
        state = self.state
        if state["field"][slot] is None:
            return float(np.hypot(*(state["goal"][slot, :2] - spot)))
        far = float(state["plan"][slot].lookup(state["field"][slot], spot))
        if np.isfinite(far):
            state["anchor"][slot] = [*spot, far]
            return far
        x, y, left = state["anchor"][slot]
        return float(left + np.hypot(spot[0] - x, spot[1] - y))

    def info(self, slots: NDArray[np.int64]) -> Rows:
        state = self.state
        success, geodesic = state["success"][slots], state["geodesic"][slots]
        # An episode that starts at its goal must leave the radius and come back.
        shortest = np.where(geodesic < SUCCESS_RADIUS, 2 * SUCCESS_RADIUS, geodesic)
        directness = shortest / np.maximum(shortest, state["walked"][slots])
        progress = 1.0 - state["distance"][slots] / np.maximum(geodesic, 1e-9)
        return {
            "is_success": success,
            "distance_to_goal": state["distance"][slots],
            "geodesic_distance": geodesic,
            "straight_distance": self._straight(slots),
            "spl": success * directness,
            "soft_spl": np.maximum(progress, 0.0) * directness,
            "collisions": state["collisions"][slots],
        }

    def _straight(self, slots: NDArray[np.int64]) -> NDArray[np.float64]:
        """Straight-line distance from start to goal [m]: (n,)."""
        offset = self.state["goal"][slots] - self.state["start"][slots]
        return np.hypot(offset[:, 0], offset[:, 1])


def way_to(
    plan: FloorPlan | None, start: NDArray[np.float64], goal: NDArray[np.float64]
) -> tuple[FloorPlan | None, NDArray[np.float32] | None, float]:
    """Distance field of ``goal`` (3,) on the plan, and the distance from ``start`` (3,) [m].

    Returns:
        The plan, its distance field and the geodesic distance; without a plan or a path, None,
        None and the straight-line distance.
    """
    straight = float(np.hypot(*(goal - start)[:2]))
    if plan is None:
        return None, None, straight
    field = plan.distances(goal[:2])
    far = float(plan.lookup(field, start[:2]))
    return (plan, field, far) if np.isfinite(far) else (None, None, straight)
