"""The single environment: a view of a vector environment with one slot."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from mgenv.envs.infos import observation_row, row_infos
from mgenv.envs.vector_env import VectorEnv
from mgenv.errors import InvalidOptionError
from mgenv.tasks import Episode


class Env(gym.Env):
    """One robot in one world. Spaces, rewards and episodes are those of :class:`VectorEnv`.

    ``gymnasium.make`` limits episodes (to 200 steps unless told otherwise) by its wrapper
    ``TimeLimit``, whose count is kept equal to the environment's own, so that states hold it.
    ``max_episode_steps`` here is for environments made without it.

    Args:
        task: ``"explore"``, ``"pointnav"``, ``"imagenav"`` or ``"recall"``.
        max_episode_steps: None for no limit.
        render_mode: ``"rgb_array"`` or None.
        options: see :class:`mgenv.envs.env_options.EnvOptions`.
    """

    metadata: dict[str, Any] = VectorEnv.metadata

    def __init__(
        self,
        task: str = "pointnav",
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        self.vector_env = VectorEnv(
            1,
            task,
            max_episode_steps=max_episode_steps,
            render_mode=render_mode,
            autoreset_mode="disabled",
            **options,
        )
        self.render_mode = render_mode
        self.robot = self.vector_env.robot
        self.observation_space = self.vector_env.single_observation_space
        self.action_space = self.vector_env.single_action_space
        self._time_limits: list[gym.wrappers.TimeLimit] = []

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode, see :meth:`VectorEnv.reset`."""
        observation, infos = self.vector_env.reset(seed=seed, options=options)
        self._time_limits = _time_limits_around(self)
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
        """Resume exactly, the steps made included; see :meth:`VectorEnv.set_state`."""
        self.vector_env.set_state(state)
        self._np_random = self.vector_env.np_random[0]
        for limit in self._time_limits:
            limit._elapsed_steps = self.vector_env.elapsed_steps[0]

    def fork(self) -> Env:
        """An exact, independent copy of the environment as it is, without wrappers.

        Many copies are cheaper as slots of one vector environment, see :meth:`VectorEnv.fork`.

        Raises:
            InvalidOptionError: the world was given as an object, which cannot be made again.
            NotResetError: before the first reset.
        """
        state, options = self.get_state(), dict(vars(self.vector_env.options))
        if self.vector_env.world is options["world"]:
            raise InvalidOptionError("fork: expected a world given by name or path, got an object")
        options["task"] = copy.deepcopy(options["task"])
        for limit in self._time_limits:
            options["max_episode_steps"] = limit._max_episode_steps
        other = Env(render_mode=self.render_mode, **options)
        other.vector_env.set_state(state)
        other._np_random = other.vector_env.np_random[0]
        return other

    def close(self) -> None:
        """Free the world."""
        self.vector_env.close()


def _time_limits_around(env: Env) -> list[gym.wrappers.TimeLimit]:
    """The ``TimeLimit`` wrappers that are calling ``env.reset`` now.

    A wrapper knows what it wraps, but not the other way round, so they are found on the stack.
    """
    found, frame = [], inspect.currentframe()
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, gym.wrappers.TimeLimit) and caller.unwrapped is env:
            found.append(caller)
        frame = frame.f_back
    return list({id(one): one for one in found}.values())
