"""The single environment: a view of a vector environment with one slot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from mgenv.envs.infos import observation_row, row_infos
from mgenv.envs.vector_env import VectorEnv
from mgenv.tasks import Episode


class Env(gym.Env):
    """One robot in one world. Spaces, rewards and episodes are those of :class:`VectorEnv`.

    ``gymnasium.make`` limits episodes (to 200 steps unless told otherwise) with its own wrapper;
    ``max_episode_steps`` here is for environments made without it.

    Args:
        task: ``"explore"``, ``"pointnav"``, ``"imagenav"`` or ``"recall"``.
        max_episode_steps: None for no limit.
        render_mode: ``"rgb_array"`` or None.
        kwargs: all others of :class:`VectorEnv`, but ``num_envs`` and ``autoreset_mode``.
    """

    metadata: dict[str, Any] = VectorEnv.metadata

    def __init__(
        self,
        task: str = "pointnav",
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.vector_env = VectorEnv(
            1,
            task,
            max_episode_steps=max_episode_steps,
            render_mode=render_mode,
            autoreset_mode="disabled",
            **kwargs,
        )
        self.render_mode = render_mode
        self.robot = self.vector_env.robot
        self.observation_space = self.vector_env.single_observation_space
        self.action_space = self.vector_env.single_action_space

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode, see :meth:`VectorEnv.reset`."""
        observation, infos = self.vector_env.reset(seed=seed, options=options)
        self._np_random = self.vector_env.np_random[0]
        self._np_random_seed = self.vector_env.np_random_seed[0]
        return observation_row(observation, 0), row_infos(infos, 0)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Move the robot, see :meth:`VectorEnv.step`."""
        self.vector_env.check_ready()
        motion, stop = self.robot.motion(action)[None], self.robot.stops(action)[None]  # (1, …)
        observation, rewards, terminations, truncations, infos = self.vector_env.move(motion, stop)
        ended = bool(terminations[0]), bool(truncations[0])
        return observation_row(observation, 0), float(rewards[0]), *ended, row_infos(infos, 0)

    def render(self) -> NDArray[np.uint8] | None:  # type: ignore[override]
        """What the robot sees, uint8 (H, W, 3); None without a render mode."""
        frames = self.vector_env.render()
        return None if frames is None else frames[0]

    @property
    def task_description(self) -> str:
        """The task in a sentence."""
        return self.vector_env.task_description

    def episodes(self) -> list[Episode]:
        """The episode that runs now, see :meth:`VectorEnv.episodes`."""
        return self.vector_env.episodes()

    def get_state(self) -> dict[str, Any]:
        """See :meth:`VectorEnv.get_state`."""
        return self.vector_env.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        """See :meth:`VectorEnv.set_state`."""
        self.vector_env.set_state(state)
        self._np_random = self.vector_env.np_random[0]

    def close(self) -> None:
        """Free the world."""
        self.vector_env.close()
