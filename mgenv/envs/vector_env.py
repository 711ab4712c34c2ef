"""The environment: N robots in N slots of one world. Everything else is a view of this class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from mgenv.camera import planar
from mgenv.config import make_settings, part
from mgenv.envs import options as checks
from mgenv.envs.base_vector_env import BaseVectorEnv
from mgenv.envs.clips import clip_frames
from mgenv.envs.env_options import EnvOptions, checked
from mgenv.envs.infos import Infos, add_infos, final_infos
from mgenv.envs.observer import Observation, Rows
from mgenv.envs.sb3_hint import WithSB3Hint
from mgenv.envs.starts import Start, draw_start, replayed
from mgenv.errors import InvalidOptionError, NotResetError, check_integer
from mgenv.robots import Robot
from mgenv.tasks import Task
from mgenv.worlds import load_world
from mgenv.worlds.base import Frame, World
from mgenv.worlds.options import WorldOptions


@dataclass
class Transition:
    """What a step of n slots led to, one row each."""

    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    info: Rows


class VectorEnv(BaseVectorEnv, metaclass=WithSB3Hint):
    """World × Robot × Task, batched.

    Each slot has a generator of its own, and (unless ``share_memory``) a memory of its own of
    each world, so that what happens in it depends on its seed and its actions only.

    ## Action Space
    The robot's, see :mod:`mgenv.robots`. ``differential``: Box(-1, 1, (2,)) = forward (0.25 m a
    step), yaw (15° a step, left positive). NaN, shapes and values outside are errors. With
    ``action_chunks``, a leading axis of frames: Box(-1, 1, (F, 2)), F the world's
    ``frames_per_step`` (40), an action a frame as chunking policies give them. With ``stop``, one
    axis more, which ends the episode where it is above 0 (``keyboard_mouse``: a key ``stop``).

    ## Observation Space
    Dict of ``pixels`` uint8 (H, W, 3); with ``"depth"`` in ``obs_type`` also ``depth`` float32
    (H, W, 1) in [0, 20] m; with ``"agent_pos"`` ``agent_pos`` float32 (4,) = x (ahead), y (left)
    [m], sin and cos of the heading in the frame of the episode's start, as odometry gives them.
    PointNav: ``goal`` float32 (2,) = distance [m], bearing [rad, left +] of the straight line;
    ImageNav and Recall: ``goal_pixels`` uint8 (H, W, 3); Recall: ``recalled`` float32 (3,) =
    distance along the floor [m], bearing of the next waypoint [rad], match in [0, 1]: what the
    world's memory says of the goal picture, zeros for nothing. Where there is nothing but pixels,
    their Box itself instead of a Dict.

    ## Rewards
    The sum of the task's terms, each of which is an info of its own (``reward_…``), see
    :mod:`mgenv.tasks`.

    ## Infos
    Arrays of length N, each beside a mask ``_name``. Tasks with a goal: ``distance_to_goal`` now,
    ``geodesic_distance`` and ``straight_distance`` of the start [m], ``is_success``, ``spl``,
    ``soft_spl``, ``collisions``; distances are along the floor that memory knows. Explore:
    ``explored_area`` [m²], ``explored_share`` of the floor that can be reached, ``path_length``
    [m], ``explored_share_per_metre``. Where a step is a clip (world
    ``"matrix-game-3"``), ``frames`` holds all of its frames, uint8 (F, H, W, 3) each.

    ## Starting State
    A world id drawn from ``world_ids``; with ``memory="scan"`` or a file a remembered position
    and any heading, with ``"fresh"`` the first frame of the world's source. Goals can be reached
    and lie 1.5–12 m away along the floor: PointNav's anywhere on it, of the wanted ``difficulty``;
    ImageNav's and Recall's at a remembered frame which the start does not show. Where no floor is
    known, PointNav's goal lies ahead.

    ## Episode End
    Terminated within 0.5 m of the goal along the floor (ImageNav: and 45° of its heading; Explore
    never is); with ``stop`` where the robot stops, a success only there. Truncated after
    ``max_episode_steps``.

    ## Seeds and memory
    Memory outlives episodes. A slot that is reset with a seed starts over, as if it were new: the
    seed and the actions since give the same rollout, always. ``options={"memory": "keep"}``
    beside the seed keeps what it remembers.

    ## Version History
    v0: first version.

    Args:
        num_envs: slots.
        task, world, robot, options: see :class:`mgenv.envs.env_options.EnvOptions`.
        autoreset_mode: ``"next_step"``, ``"same_step"`` or ``"disabled"``.
        render_mode: ``"rgb_array"`` or None.

    Raises:
        MgenvError: an argument is not what is accepted.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(
        self,
        num_envs: int = 1,
        task: str | Task | type[Task] = "pointnav",
        world: str | Path | World = "nano",
        robot: str | Robot | type[Robot] = "differential",
        *,
        autoreset_mode: str | AutoresetMode = "next_step",
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        check_integer("num_envs", num_envs, low=1)
        named = {"task": task, "world": world, "robot": robot}
        asked = checked(make_settings(EnvOptions, named | options))
        self.render_mode = checks.check_render_mode(render_mode, self.metadata["render_modes"])
        self.autoreset_mode = checks.parse_autoreset_mode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self._assemble(_make_world(asked, num_envs), asked)

    # -- reset ----------------------------------------------------------------------------------

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> tuple[Observation, Infos]:
        """Start episodes in all slots, or in those of a mask.

        Args:
            seed: an int (slot i gets seed + i) or one for each slot; None goes on.
            options: ``reset_mask`` bool (num_envs,); ``memory`` ``"keep"`` (what was remembered,
                the default), ``"clear"`` (forget the place, its scan too) or a file; ``world_id``
                one for all or one a slot; ``episodes``, one a slot, to play these again, see
                :class:`mgenv.tasks.Episode` and :meth:`episodes`.

        Returns:
            Observations of all slots; infos, masked to those that were reset.

        Raises:
            MgenvError: an argument is not what is accepted; nothing has changed then.
        """
        self._check_open()
        seeds = checks.parse_seeds(seed, self.num_envs)
        chosen = checks.parse_reset_options(options, self.num_envs)
        missing = np.setdiff1d(np.flatnonzero(~self._episodes.started), chosen.slots)
        if missing.size:
            raise NotResetError(f"The first reset must hold every slot; got none for {missing}.")
        memory = chosen.memory or "keep"
        worlds = self.world_choices(chosen)
        new, generators, used = self._episodes.prepare(chosen.slots, seeds)
        drawn = dict(zip(chosen.slots.tolist(), generators, strict=True))
        draws = [int(drawn[slot].integers(2**31)) for slot in new]
        gone = self._forgotten(new, keep=chosen.memory == "keep")
        starts = self._draw(chosen, generators, worlds, memory, gone)
        self._episodes.adopt(chosen.slots, generators, used)
        self.world.seed(new, draws)
        if gone:
            self._places.forget(gone)
        infos: Infos = {}
        add_infos(infos, self.num_envs, chosen.slots, self._begin(starts, memory))
        return self.observation, infos

    def world_choices(self, chosen: checks.ResetOptions) -> list[int]:
        """World ids that a reset with these options draws from."""
        return self._places.choices(chosen.memory, chosen.world_ids)

    def _forgotten(self, new: list[int], keep: bool) -> list[int]:
        """Which of the slots that are given a seed start over, as if they had never been."""
        whole = not self.world.memory.shared or len(new) == self.num_envs
        return [slot for slot in new if self._episodes.started[slot] and whole and not keep]

    def _draw(
        self,
        chosen: checks.ResetOptions,
        generators: Sequence[np.random.Generator],
        worlds: Sequence[int],
        memory: str = "keep",
        gone: Sequence[int] = (),
    ) -> list[Start]:
        """How the episodes of a reset begin; nothing but the generators changes.

        Raises:
            MgenvError: a place has no floor, or a given episode cannot be played.
        """
        world_ids = chosen.world_ids
        if world_ids is None:
            world_ids = [worlds[int(rng.random() * len(worlds))] for rng in generators]
        starts = []
        for row, (slot, rng) in enumerate(zip(chosen.slots.tolist(), generators, strict=True)):
            place = self._places.expected(slot, world_ids[row], memory, slot in gone)
            start = draw_start(slot, world_ids[row], place, rng)
            if chosen.episodes is not None:
                self._task.check(chosen.episodes[row], place)
                start = replayed(slot, chosen.episodes[row], place)
            starts.append(start)
        return starts

    def _begin(self, starts: Sequence[Start], memory: str = "keep") -> Rows:
        """Start episodes: infos, one row each."""
        slots = np.array([start.slot for start in starts])
        pairs = [(start.slot, start.world_id) for start in starts]
        self._places.enter(slots.tolist(), [start.world_id for start in starts], memory)
        frame = self._places.look(pairs, [start.pose for start in starts])
        here = planar(frame.pose)
        settings = [self._places.setting(start, self._task) for start in starts]
        self._task.begin(slots, frame, settings)
        self._episodes.begin(starts, frame)
        self._wheels.begin(slots, here, [start.seed for start in starts])
        self._observer.see(slots, frame, here, here)
        return self._info(slots, frame)

    # -- step -----------------------------------------------------------------------------------

    def step(self, actions: Any) -> tuple[Observation, NDArray, NDArray, NDArray, Infos]:
        """Move every robot.

        Slots whose episode ended are reset in the next step (``next_step``, their action is
        ignored), in the same step (``same_step``, with ``final_obs`` and ``final_info``) or by the
        caller (``disabled``).

        Raises:
            InvalidActionError: actions of the wrong shape or type, out of range or not finite.
            NotResetError: before the first reset, or after an episode's end if ``disabled``.
            ClosedError: after close.
        """
        self.check_ready()
        batch = (self.num_envs,)
        return self.move(self.robot.motion(actions, batch), self.robot.stops(actions, batch))

    def move(
        self, motion: NDArray[np.float32], stops: NDArray[np.bool_] | None = None
    ) -> tuple[Observation, NDArray, NDArray, NDArray, Infos]:
        """As :meth:`step`, from camera motions (num_envs, 5), see :mod:`mgenv.camera`.

        With ``action_chunks`` they are (num_envs, F, 5), one a frame.

        Args:
            stops: (num_envs,), which robots end their episodes; none by default.
        """
        n, done = self.num_envs, self._episodes.done
        resting, moving = np.flatnonzero(done), np.flatnonzero(~done)
        if resting.size and self.autoreset_mode is AutoresetMode.DISABLED:
            raise NotResetError(f"Episodes of slots {resting} are over; reset them with a mask.")
        rewards, terminations, truncations = np.zeros(n), np.zeros(n, bool), np.zeros(n, bool)
        infos: Infos = {}
        if moving.size:
            step = self.advance(moving, motion[moving], None if stops is None else stops[moving])
            rewards[moving], terminations[moving] = step.reward, step.terminated
            truncations[moving] = step.truncated
            if self.autoreset_mode is AutoresetMode.SAME_STEP:
                resting = self._finish(moving, step, infos)
            else:
                add_infos(infos, n, moving, step.info)
        if resting.size:
            add_infos(infos, n, resting, self._begin(self._next(resting)))
        return self.observation, rewards, terminations, truncations, infos

    def _next(self, slots: NDArray[np.int64]) -> list[Start]:
        """How the next episodes of ``slots`` (n,) begin."""
        generators = [self._episodes.generator(slot) for slot in slots]
        chosen = checks.ResetOptions(slots, None, None)
        return self._draw(chosen, generators, self._places.world_ids)

    def advance(
        self,
        slots: NDArray[np.int64],
        motion: NDArray[np.float32],
        stops: NDArray[np.bool_] | None = None,
    ) -> Transition:
        """Move the robots of some slots (n,) by ``motion`` (n, 5); the others stay as they are."""
        frame = self.world.step(motion, slots=slots.tolist())
        outcome = self._task.step(slots, frame, stops)
        self._episodes.elapsed[slots] += 1
        truncated = self._episodes.elapsed[slots] >= (self.max_episode_steps or np.inf)
        self._episodes.done[slots] = outcome.terminated | truncated
        here = self._wheels.roll(slots, planar(frame.pose))
        self._observer.see(slots, frame, self._episodes.start[slots], here)
        info = self._info(slots, frame) | outcome.rewards
        return Transition(outcome.reward, outcome.terminated, truncated, info)

    def _finish(self, moving: NDArray[np.int64], step: Transition, infos: Infos) -> NDArray:
        """Infos of a same-step autoreset, all but those of the new episodes: slots that ended."""
        over = self._episodes.done[moving]
        on = {name: value[~over] for name, value in step.info.items()}
        if not over.all():
            add_infos(infos, self.num_envs, moving[~over], on)
        if over.any():
            last = {name: value[over] for name, value in step.info.items()}
            seen = self._observer.observation(moving[over])
            infos |= final_infos(self.num_envs, moving[over], seen, last)
        return moving[over]

    def _info(self, slots: NDArray[np.int64], frame: Frame) -> Rows:
        return {
            "pose": frame.pose.astype(np.float32),
            "world_id": self._episodes.world_id[slots],
            "bumped": frame.bumped.astype(bool),
            "coverage": frame.coverage.astype(np.float64),
            "memory_frames": self.world.memory.count(slots.tolist()),
            **clip_frames(self._clips, slots),
        } | self._task.info(slots)


def _make_world(options: EnvOptions, num_envs: int) -> World:
    """The world of checked options, loaded unless it is an object already.

    Raises:
        InvalidOptionError: an object with another number of slots.
        MgenvError: it cannot be loaded.
    """
    world = options.world
    if not isinstance(world, World):
        own = vars(part(options, WorldOptions)) | {"weights": options.weights}
        own["reproducible"] = options.reproducible or None  # many worlds always are
        world = load_world(world, num_envs=num_envs, **(own | dict(options.world_options or {})))
    if world.num_envs != num_envs:
        raise InvalidOptionError(f"world: expected {num_envs} slots, got {world.num_envs}")
    return world
