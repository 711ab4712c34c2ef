"""What a vector environment is made of and what it shows; :mod:`mgenv.envs.vector_env` moves it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from mgenv.config import part
from mgenv.envs.clips import chunked, clip_world
from mgenv.envs.env_options import EnvOptions
from mgenv.envs.episode_starts import EpisodeStarts
from mgenv.envs.episodes import Episodes
from mgenv.envs.observer import Observation, Observer
from mgenv.envs.wheels import Wheels
from mgenv.errors import ClosedError, NotResetError, check_integer
from mgenv.robots import StoppingRobot
from mgenv.tasks import Episode, TaskOptions, make_task
from mgenv.worlds.base import World
from mgenv.worlds.states import check_state


class BaseVectorEnv(gym.vector.VectorEnv):
    """N slots: spaces, rendering, state and end.

    Attributes:
        world: whose slots these are.
        robot: what their actions are.
        options: what it was made from, checked.
        task: its name.
    """

    options: EnvOptions

    def _assemble(self, world: World, options: EnvOptions) -> None:
        """Put the parts together and work out the spaces.

        Args:
            world: made from the options.
            options: checked.

        Raises:
            InvalidOptionError: chunks in a world that makes single frames.
        """
        self.num_envs, self.world, self.options = world.num_envs, world, options
        self._clips = clip_world(world)
        robot = StoppingRobot(options.robot) if options.stop else options.robot
        self.robot = chunked(robot, self._clips) if options.action_chunks else robot
        self._places = EpisodeStarts(world, options.memory, options.world_ids, options.scan_frames)
        asked = part(options, TaskOptions)
        self._task = make_task(options.task, self.num_envs, world.image_size, asked)
        self.task = self._task.name
        self._wheels = Wheels(self.num_envs, noisy=options.odometry == "noisy")
        self._episodes = Episodes(self.num_envs)
        self._observer = Observer(self._task, options.obs_type)
        self.single_observation_space = self._observer.space
        self.single_action_space = self.robot.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    @property
    def replayable(self) -> bool:
        """Whether other environments can play :meth:`episodes` again.

        They cannot where goals are remembered frames and ``memory="fresh"`` brings none.
        """
        return not (self._task.goal_frames and self._places.memory == "fresh")

    # -- what is seen ---------------------------------------------------------------------------

    @property
    def observation(self) -> Observation:
        """A copy of the last observation of every slot."""
        return self._observer.observation()

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """What each robot sees, uint8 (H, W, 3) each; None without a render mode."""
        self.check_ready()
        if self.render_mode is None:
            return None
        return tuple(self._observer.rows()["pixels"])

    @property
    def task_description(self) -> str:
        """The task in a sentence, for policies that take instructions."""
        return self._task.description

    def episodes(self) -> list[Episode]:
        """The episode that runs in each slot now; ``reset`` plays it again.

        ``reset(options={"episodes": envs.episodes()})``.
        """
        self.check_ready()
        return [self._episode(slot) for slot in range(self.num_envs)]

    def _episode(self, slot: int) -> Episode:
        rows = self._episodes
        start = tuple(rows.asked[slot].tolist())
        goal = self._task.goal_of(slot) or {
            "goal": (start[0], start[1], start[3]), "difficulty": "easy",
            "geodesic": 0.0, "straight": 0.0,
        }  # fmt: skip
        return Episode(int(rows.world_id[slot]), start, seed=int(rows.seed[slot]), **goal)

    @property
    def max_episode_steps(self) -> int | None:
        """Steps after which an episode is truncated."""
        return self.options.max_episode_steps

    @property
    def _max_episode_steps(self) -> int | None:
        """The limit, where evaluation tools look for it."""
        return self.max_episode_steps

    @property
    def elapsed_steps(self) -> list[int]:
        """Steps made in each slot's episode."""
        return self._episodes.elapsed.tolist()

    @property
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """One generator a slot."""
        return tuple(self._episodes.generator(slot) for slot in range(self.num_envs))

    @property
    def np_random_seed(self) -> tuple[int | None, ...]:  # type: ignore[override]
        """One seed a slot."""
        return tuple(self._episodes.seeds)

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """An attribute, or what a method returns, for each slot (the same for all but tuples)."""
        found = getattr(self, name)
        value: Any = found(*args, **kwargs) if callable(found) else found
        per_slot = isinstance(value, tuple) and len(value) == self.num_envs
        return value if per_slot else (value,) * self.num_envs

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """An attribute for each slot."""
        return self.call(name)

    # -- state ----------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Everything that the next step depends on: world, memory, task, generators, episodes."""
        self.check_ready()
        return {
            "num_envs": self.num_envs,
            "task": self.task,
            "options": self._alike(),
            "world": self.world.get_state(),
            "places": self._places.get_state(),
            "goals": self._task.get_state(),
            "episodes": self._episodes.get_state(),
            "wheels": self._wheels.get_state(),
            "observation": self._observer.rows(),
        }

    def _alike(self) -> dict[str, Any]:
        """What environments must agree in so that one can go on where another was."""
        names = [one.name for one in fields(TaskOptions)] + ["obs_type", "odometry"]
        return {name: getattr(self.options, name) for name in names}

    def set_state(self, state: dict[str, Any]) -> None:
        """Resume exactly from :meth:`get_state` of an environment made alike.

        Raises:
            InvalidOptionError: the state is of another world, task or number of slots, or none at
                all; nothing has changed then.
        """
        self._check_open()
        own = {"num_envs": self.num_envs, "task": self.task, "options": self._alike()}
        check_state(state, own)
        self.world.set_state(state["world"])
        self._places.set_state(state["places"])
        self._task.set_state(state["goals"])
        self._episodes.set_state(state["episodes"])
        self._wheels.set_state(state["wheels"])
        self._observer.set_state(state["observation"])

    def fork(self, from_slot: int, to_slots: Sequence[int]) -> None:
        """Make ``to_slots`` exact, independent copies of ``from_slot``.

        Raises:
            InvalidOptionError: a slot that does not exist.
        """
        self.check_ready()
        for slot in (from_slot, *to_slots):
            check_integer("slot", slot, high=self.num_envs)
        targets = [int(slot) for slot in to_slots if slot != from_slot]
        slots = (self._places, self._task, self._episodes, self._wheels, self._observer)
        for state in (self.world, *slots):
            state.fork(from_slot, targets)

    # -- end ------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self.closed:
            raise ClosedError("The environment is closed; make a new one.")

    def check_ready(self) -> None:
        """Raise ClosedError after close, NotResetError before the first reset."""
        self._check_open()
        if not self._episodes.started.all():
            raise NotResetError("Expected reset() before this.")

    def close_extras(self, **kwargs: Any) -> None:
        """Free the world, unless it was the caller's."""
        if self.world is not self.options.world:
            self.world.close()
