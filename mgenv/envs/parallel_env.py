"""Many robots in one world: a PettingZoo view of the vector environment.

The agents walk in the same world and share one memory of it: what one has seen, the others
remember. They do not see each other.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import pettingzoo
from gymnasium import spaces
from gymnasium.utils import seeding
from numpy.typing import NDArray

from mgenv.envs import options as checks
from mgenv.envs.infos import Infos, add_infos, observation_row, row_infos
from mgenv.envs.vector_env import VectorEnv
from mgenv.errors import InvalidActionError, NotResetError, check_integer

Observation = Any
"""Pictures alone, or several parts by name."""


class ParallelEnv(pettingzoo.ParallelEnv[str, Observation, Any]):
    """``robot_0`` … ``robot_{num_agents - 1}`` in one world. All else is as in :class:`VectorEnv`.

    An agent leaves when its episode ends; the others go on.

    Args:
        task: ``"explore"``, ``"pointnav"``, ``"imagenav"`` or ``"recall"``.
        world: see :class:`VectorEnv`.
        num_agents: how many robots.
        kwargs: all others of :class:`VectorEnv`, but ``num_envs``, ``autoreset_mode`` and
            ``share_memory``.
    """

    def __init__(
        self, task: str = "pointnav", world: Any = "nano", num_agents: int = 2, **kwargs: Any
    ) -> None:
        count = check_integer("num_agents", num_agents, low=1)
        self.vector_env = VectorEnv(
            count, task, world, share_memory=True, autoreset_mode="disabled", **kwargs
        )
        self.metadata = {"name": f"mgenv_{task}_v0", "is_parallelizable": True}
        self.metadata |= {"render_modes": ["rgb_array"], "render_fps": 10}
        self.render_mode = self.vector_env.render_mode
        self.possible_agents = [f"robot_{index}" for index in range(count)]
        self.agents: list[str] = []
        self._generator: np.random.Generator | None = None
        self._slots = {agent: slot for slot, agent in enumerate(self.possible_agents)}
        self.observation_spaces: dict[str, Any] = {
            agent: self._observation_space() for agent in self._slots
        }
        self.action_spaces = {
            agent: self.vector_env.robot.action_space for agent in self.possible_agents
        }

    def _observation_space(self) -> spaces.Space:
        """An agent's own, since each seeds its own."""
        return copy.deepcopy(self.vector_env.single_observation_space)

    def observation_space(self, agent: str) -> spaces.Space:
        """What ``agent`` sees; always the same object."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space:
        """What ``agent`` may do; always the same object."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Start an episode of all agents in one world.

        Args:
            seed: agent i gets seed + i; the world is drawn with ``seed`` too.
            options: ``memory`` and ``world_id`` as in :meth:`VectorEnv.reset`; others are ignored,
                as PettingZoo asks.
        """
        known = {k: v for k, v in (options or {}).items() if k in ("memory", "world_id")}
        chosen = checks.parse_reset_options(known, self.max_num_agents)
        checks.parse_seeds(seed, self.max_num_agents)
        worlds = self.vector_env.world_choices(chosen)
        if seed is not None or self._generator is None:
            self._generator, _ = seeding.np_random(seed)
        if chosen.world_ids is None:
            known["world_id"] = worlds[int(self._generator.random() * len(worlds))]
        _, infos = self.vector_env.reset(seed=seed, options=known)
        self.agents = list(self.possible_agents)
        return self._views(self.agents), self._infos(self.agents, infos)

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[
        dict[str, Observation],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Move the robots that have not ended.

        Raises:
            InvalidActionError: not exactly one good action for each of ``agents``.
            NotResetError: no agents: before reset, or all have ended.
            ClosedError: after close.
        """
        self.vector_env.check_ready()
        if not self.agents:
            raise NotResetError("Every agent's episode has ended; reset first.")
        if set(actions) != set(self.agents):
            raise InvalidActionError(f"actions: expected {self.agents}, got {sorted(actions)}")
        live, robot = self.agents, self.vector_env.robot
        slots = np.array([self._slots[agent] for agent in live])
        motion = np.stack([robot.motion(actions[agent]) for agent in live])
        stops = np.stack([robot.stops(actions[agent]) for agent in live])
        step = self.vector_env.advance(slots, motion, stops)
        over = step.terminated | step.truncated
        self.agents = [agent for agent, ended in zip(live, over, strict=True) if not ended]
        infos: Infos = {}
        add_infos(infos, self.max_num_agents, slots, step.info)
        return (
            self._views(live),
            dict(zip(live, step.reward.tolist(), strict=True)),
            dict(zip(live, step.terminated.tolist(), strict=True)),
            dict(zip(live, step.truncated.tolist(), strict=True)),
            self._infos(live, infos),
        )

    def _views(self, agents: list[str]) -> dict[str, Observation]:
        observation = self.vector_env.observation
        return {agent: observation_row(observation, self._slots[agent]) for agent in agents}

    def _infos(self, agents: list[str], infos: Infos) -> dict[str, dict[str, Any]]:
        return {agent: row_infos(infos, self._slots[agent]) for agent in agents}

    def render(self) -> NDArray[np.uint8] | None:  # type: ignore[override]
        """What all robots see, side by side: uint8 (H, N·W, 3); None without a render mode."""
        frames = self.vector_env.render()
        return None if frames is None else np.concatenate(frames, axis=1)

    def close(self) -> None:
        """Free the world."""
        self.vector_env.close()


def parallel_env(
    task: str = "pointnav", world: Any = "nano", num_agents: int = 2, **kwargs: Any
) -> ParallelEnv:
    """Many robots in one world, see :class:`ParallelEnv`.

    Example:
        >>> env = parallel_env(task="explore", world="engine", num_agents=2)
        >>> observations, infos = env.reset(seed=0)
        >>> sorted(observations)
        ['robot_0', 'robot_1']
        >>> env.close()
    """
    return ParallelEnv(task, world, num_agents, **kwargs)
