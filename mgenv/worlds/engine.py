"""The ground-truth world: the generated world was trained on its frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from mgenv.camera import DEFAULT_INTRINSICS
from mgenv.engine.motion import explorer
from mgenv.engine.motion.coverage import coverage
from mgenv.engine.motion.navigation import first_pose
from mgenv.engine.render.renderer import render
from mgenv.engine.scene.batch import Scene, empty_batch
from mgenv.engine.scene.scenes import cached_scene
from mgenv.errors import InvalidOptionError, check_integer
from mgenv.memory.bank import MemoryBank
from mgenv.memory.files import file_version, frame_digest, read_places
from mgenv.memory.step import KEYFRAME_COVERAGE
from mgenv.worlds.base import Frame
from mgenv.worlds.checks import checked_motion, checked_poses
from mgenv.worlds.slots import SlotWorld
from mgenv.worlds.sources import engine_view

VIEWS = 4
"""Number of remembered frames that are compared with a scene."""

DEPTH_ERROR = 0.1
"""Largest median relative error of depth at which remembered views belong to a scene. Depth that
`nano` estimates from a picture is off by at most 7 % in 24 scenes."""


class EngineWorld(SlotWorld):
    """N slots in procedural scenes with rendered frames and collisions.

    Frames are remembered by the rule of generated worlds (where memory covers too little of the
    view), so tasks and infos are the same. A slot's frames do not depend on other slots, to the
    bit. No random numbers are drawn.

    Args:
        num_envs: slots.
        image_size: side of the square frames.
        memory_frames: bound of each place's memory.
        share_memory: slots in one world share what they remember.
        device: device of the renderer: ``"cpu"`` or ``"cuda"``.

    Raises:
        InvalidOptionError: sizes below 1.
    """

    kind = "engine"

    def __init__(
        self,
        num_envs: int = 8,
        image_size: int = 64,
        memory_frames: int = 512,
        share_memory: bool = False,
        device: str = "cpu",
    ) -> None:
        super().__init__(num_envs, check_integer("image_size", image_size, low=1), device)
        self.intrinsics = DEFAULT_INTRINSICS
        self.memory = MemoryBank(num_envs, image_size, memory_frames, share_memory)
        self.memory.check_file = self.check_memory
        self._scenes = empty_batch(num_envs)
        self._places = np.zeros((num_envs, 5))  # x, y, z, yaw, pitch
        self._poses = np.tile(np.eye(4, dtype=np.float32), (num_envs, 1, 1))
        self._checked: set[tuple[int, bytes]] = set()
        self._last_file: tuple[str | int, ...] = ()

    # -- the spine -------------------------------------------------------------------------------

    def step(
        self, motion: ArrayLike, pose: ArrayLike | None = None, slots: Sequence[int] | None = None
    ) -> Frame:
        """Move and look; see :class:`mgenv.worlds.base.World`.

        Raises:
            InvalidActionError: a motion of another shape, or not finite.
            NotResetError: a slot has not begun.
            ClosedError: after close.
        """
        rows = np.asarray(self._rows(slots, begun=True), np.int64)
        wanted = checked_motion(motion, len(rows)).numpy()
        bumped = np.zeros(len(rows), bool)
        if pose is not None:
            self._place(rows, checked_poses(pose, len(rows)).numpy())
        else:
            scene = self._scenes.arrays
            explorer.move_many(
                scene.cells, scene.ground, scene.objects, scene.counts, rows, self._places, wanted,
                self._poses, bumped,
            )  # fmt: skip
        return self._look(rows, bumped)

    def _look(self, rows: NDArray[np.int64], bumped: NDArray[np.bool_]) -> Frame:
        """Render slots ``rows``, and remember frames that memory does not cover."""
        pose = self._poses[rows]
        rgb, depth = self._render(rows, pose)
        known = np.array(
            [self._coverage(*view) for view in zip(rows, depth, pose, strict=True)], np.float32
        )
        for k in np.flatnonzero(known < KEYFRAME_COVERAGE):
            one = slice(k, k + 1)
            self.memory.add([int(rows[k])], rgb[one], depth[one], pose[one], observed=True)
        return Frame(rgb, depth, pose, bumped, known)

    def _render(
        self, index: NDArray[np.int64], pose: NDArray[np.float32]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        rgb, depth = render(
            self._scenes, index, pose, self.image_size, device=self.device,
            intrinsics=self.intrinsics,
        )  # fmt: skip
        return rgb.cpu().numpy(), depth.cpu().numpy()

    def _coverage(self, row: int, depth: NDArray[np.float32], pose: NDArray[np.float32]) -> float:
        frames, points, poses = self.memory.surfaces(int(row))
        lens = self.intrinsics
        numbers = np.array([lens.fx, lens.fy, lens.cx, lens.cy])
        return coverage(depth, pose, points.numpy(), poses.numpy(), frames, numbers)

    # -- entering worlds -------------------------------------------------------------------------

    def seed(self, slots: Sequence[int], seeds: Sequence[int]) -> None:
        """Check the arguments; nothing in this world is random."""
        self._seeds(slots, seeds)

    def _prepare(self, world_ids: list[int]) -> list[tuple[int, Scene]]:
        return [(world_id, cached_scene(world_id)) for world_id in world_ids]

    def _arrive(self, rows: list[int], ready: list[tuple[int, Scene]]) -> None:
        ids, scenes = zip(*ready, strict=True) if ready else ((), ())
        self._scenes = self._scenes.replaced(rows, ids, scenes)

    def check_memory(self, path: str | Path) -> None:
        """Check that a file remembers the engine's scenes, by the depth of some views of each.

        The last file is read again only if it has changed.

        Raises:
            InvalidOptionError: the file holds other places.
            CheckpointError: not a memory file.
        """
        version = file_version(path)
        if version == self._last_file:
            return
        for (_, world_id), frames in read_places(path, self.image_size).items():
            seen = np.flatnonzero(frames["observed"].numpy())
            if len(seen):
                rows = seen[np.linspace(0, len(seen) - 1, VIEWS).astype(np.int64)]
                views = {name: frames[name][rows] for name in ("rgb", "depth", "pose")}
                self._check_views(path, world_id, views)
        self._last_file = version

    def _check_views(self, path: str | Path, world_id: int, views: dict[str, torch.Tensor]) -> None:
        key = (world_id, frame_digest(views))
        if key in self._checked:
            return
        true = np.stack(
            [engine_view(world_id, self.image_size, p.numpy())[1] for p in views["pose"]]
        )
        shown = views["depth"].float().numpy()
        off = float(np.median(np.abs(shown - true) / np.maximum(true, 0.1)))
        if off > DEPTH_ERROR:
            raise InvalidOptionError(
                f"memory: expected places of the engine's worlds in {path}, got another place as "
                f"world {world_id}: half of what it remembers is off by more than {off:.0%}"
            )
        self._checked.add(key)

    def begin(
        self,
        slots: Sequence[int],
        world_ids: Sequence[int],
        pose: ArrayLike | None = None,
        memory: str | Path = "keep",
    ) -> Frame:
        """Enter and return frames at ``pose``, by default the scene's first pose."""
        rows = np.asarray(self._rows(slots))
        poses = None if pose is None else checked_poses(pose, len(rows)).numpy()
        self.enter(slots, world_ids, memory)
        if poses is None:
            poses = np.stack([first_pose(self._scenes[int(row)]) for row in rows])
        self._place(rows, poses)
        self._begun[rows] = True
        return self._look(rows, np.zeros(len(rows), bool))

    def remember(
        self, slots: Sequence[int], rgb: ArrayLike, pose: ArrayLike, depth: ArrayLike | None = None
    ) -> None:
        """Put observed frames into memory; depth is rendered where None.

        Raises:
            InvalidOptionError: arrays of other shapes than (slots, T, …).
        """
        seen = self._observations(slots, rgb, pose, depth)
        for n, row in enumerate(seen.rows):
            poses, frames = seen.pose[n].numpy(), len(seen.pose[n])
            if seen.depth is None:
                near = self._render(np.repeat(row, frames), poses)[1]
            else:
                near = seen.depth[n]
            self.memory.add([row] * frames, seen.rgb[n], near, poses, True)

    def _place(self, rows: NDArray[np.int64], poses: NDArray[np.float32]) -> None:
        for row, pose in zip(rows, poses, strict=True):
            self._poses[row] = pose
            explorer.read_pose(self._poses[row], self._places[row])

    # -- state -----------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        self._rows(None)
        return self._own() | {
            "memory": self.memory.get_state(),
            "world_ids": self._scenes.world_ids.copy(),
            "places": self._places.copy(),
            "poses": self._poses.copy(),
            "begun": self._begun.copy(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Resume exactly.

        Raises:
            InvalidOptionError: the state is of another kind or size of world.
        """
        self._check_state(state)
        in_world = np.flatnonzero(state["world_ids"] >= 0)
        ids = state["world_ids"][in_world].tolist()
        scenes = [cached_scene(world_id) for world_id in ids]
        self._scenes = empty_batch(self.num_envs).replaced(in_world, ids, scenes)
        self.memory.set_state(state["memory"])
        self._places, self._poses = state["places"].copy(), state["poses"].copy()
        self._begun = state["begun"].copy()

    def fork(self, from_slot: int, to_slots: Sequence[int]) -> None:
        """Make ``to_slots`` exact, independent copies of ``from_slot``."""
        rows, source = self._rows(to_slots), self._rows([from_slot])[0]
        self.memory.fork(source, rows)
        world_ids = [int(self._scenes.world_ids[source])] * len(rows)
        self._scenes = self._scenes.replaced(rows, world_ids, [self._scenes[source]] * len(rows))
        for array in (self._places, self._poses, self._begun):
            array[rows] = array[source]
