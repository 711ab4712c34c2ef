"""Where episodes happen: world ids, what is remembered before the first step, where they start.

``memory="scan"`` walks a world once in the engine and remembers what is seen; ``"fresh"``
remembers nothing but the first frame; a file brings its own places. Start and goals come from
what a place was first remembered by, so that the same seed gives the same episodes whatever was
seen since, and whichever world draws the frames.
"""

from __future__ import annotations

import copy
import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mgenv.camera import picture_shape
from mgenv.envs.starts import Start
from mgenv.errors import InvalidOptionError, NoFloorError
from mgenv.memory.files import SHARED, file_version, owners, read_places
from mgenv.tasks.base import Place, Setting, Task
from mgenv.worlds.base import ChoosyWorld, Frame, World
from mgenv.worlds.sources import fitted

CACHED_SCANS = 32
"""Scans kept in memory, of all environments of the process; places, of each environment."""


@lru_cache(maxsize=CACHED_SCANS)
def scan(world_id: int, num_frames: int, image_size: int) -> Any:
    """The engine's walk through a world, see :func:`mgenv.engine.motion.navigation.scan`."""
    from mgenv.engine.motion import navigation

    return navigation.scan(world_id, num_frames=num_frames, image_size=image_size)


class EpisodeStarts:
    """Enters slots into worlds and remembers what they start from.

    Args:
        world: whose slots are moved.
        memory: ``"scan"``, ``"fresh"`` or a memory file.
        world_ids: drawn from for each episode; all of the file where None.
        scan_frames: length of a scan.
    """

    def __init__(
        self, world: World, memory: str, world_ids: Sequence[int] | None, scan_frames: int
    ) -> None:
        self.world, self.memory, self.scan_frames = world, memory, scan_frames
        self.file = None if memory in ("scan", "fresh") else memory
        self.world_ids = list(world_ids or ())
        self.known: dict[tuple[int, int], Place] = {}
        self._alike: WeakValueDictionary[int | bytes, Place] = WeakValueDictionary()
        self._recent: deque[Place] = deque(maxlen=CACHED_SCANS)
        self._last_file: tuple[tuple[Any, ...], dict[tuple[int, int], Place]] = ((), {})
        if self.file is not None:
            held = self.held_in(self.file)
            self.world_ids = [i for i in held if world_ids is None or i in world_ids]
            if not self.world_ids:
                raise InvalidOptionError(f"world_ids: expected some of {held} in {self.file}")

    # -- what there is to know ------------------------------------------------------------------

    def held_in(self, path: str) -> list[int]:
        """World ids of a memory file.

        Raises:
            CheckpointError: not a memory file, damaged, or of another image size.
            InvalidOptionError: its places are not this world's.
        """
        return sorted({world_id for _, world_id in self._file(path)})

    def _file(self, path: str) -> dict[tuple[int, int], Place]:
        """The places of a memory file by owner and world id: its observed frames, else all."""
        version = file_version(path)
        if self._last_file[0] != version:
            if isinstance(self.world, ChoosyWorld):
                self.world.check_memory(path)
            read = read_places(path, self.world.image_size)
            self._last_file = (version, {key: self._place(one) for key, one in read.items()})
        return self._last_file[1]

    def _place(self, frames: dict[str, Tensor]) -> Place:
        """A place of frames; the same object for the same ones, so that it is planned once."""
        observed = frames["observed"].numpy()
        rows = observed if observed.any() else slice(None)
        rgb, pose = frames["rgb"].numpy()[rows], frames["pose"].numpy()[rows]
        depth = known_depth(frames["depth"].float().numpy()[rows])
        hasher = hashlib.blake2b(digest_size=16)
        for array in (rgb, pose, *(() if depth is None else (depth,))):
            hasher.update(np.ascontiguousarray(array).tobytes())
        return self._once(hasher.digest(), lambda: Place(rgb, pose, depth))

    def _once(self, key: int | bytes, make: Callable[[], Place]) -> Place:
        """The place of a key: the same object while it is in use or among the last ones made."""
        place = self._alike.get(key)
        if place is None:
            place = self._alike[key] = make()
            self._recent.append(place)
        return place

    def _in_file(self, path: str, slot: int, world_id: int) -> Place | None:
        """What ``slot`` gets to know of a world from a file."""
        held, bank = self._file(path), self.world.memory
        for key, place in held.items():
            owner = SHARED if bank.shared else slot
            if key[1] == world_id and owner in owners(key, held, bank.num_slots, bank.shared):
                return place
        return None

    def _scanned(self, world_id: int) -> Place:
        """What a walk through a world shows, see :func:`scan`."""

        def make() -> Place:
            size = self.world.image_size
            seen = scan(world_id, self.scan_frames, max(picture_shape(size)))
            return Place(fitted(seen.rgb, size), seen.pose, fitted(seen.depth, size))

        return self._once(world_id, make)

    def choices(self, memory: str | None, world_ids: Sequence[int] | None) -> list[int]:
        """World ids to draw an episode's from when it resets with ``memory``.

        Raises:
            CheckpointError: ``memory`` is not a memory file, damaged, or of another image size.
            InvalidOptionError: it does not hold the worlds asked for.
        """
        if memory == "clear" or (memory in (None, "keep") and self.file is None):
            return self.world_ids
        path = self.file if memory in (None, "keep") else memory
        assert path is not None
        held = self.held_in(path)
        missing = sorted(set(world_ids or ()) - set(held))
        if missing:
            raise InvalidOptionError(f"world_id: expected one of {held} in {path}, got {missing}")
        return [i for i in held if i in self.world_ids] or held

    def expected(
        self, slot: int, world_id: int, memory: str, forgotten: bool = False
    ) -> Place | None:
        """What the place will have been first remembered by once ``slot`` has entered it.

        Nothing changes.

        Args:
            memory: as in :meth:`enter`.
            forgotten: whether the slot forgets everything before that.

        Returns:
            None where nothing is known.

        Raises:
            NoFloorError: its frames show no floor on which a robot has room.
        """
        place = self._expected(slot, world_id, memory, forgotten)
        if place is not None and place.depth is not None and place.plan is None:
            raise NoFloorError(
                f"world {world_id}: expected frames that show a floor with room for a robot, got "
                f"none in {len(place.pose)} of them"
            )
        return place if place is not None and len(place.pose) else None

    def _expected(self, slot: int, world_id: int, memory: str, forgotten: bool) -> Place | None:
        if memory == "clear":
            return None
        if memory != "keep":
            return self._in_file(memory, slot, world_id)
        if not forgotten and self.world.memory.knows(slot, world_id):
            return self.known.get(self._key(slot, world_id))
        if self.file is not None:
            return self._in_file(self.file, slot, world_id)
        return self._scanned(world_id) if self.memory == "scan" else None

    # -- entering -------------------------------------------------------------------------------

    def enter(self, slots: Sequence[int], world_ids: Sequence[int], memory: str) -> None:
        """Move slots into worlds and fill empty places.

        Args:
            memory: ``"keep"``, ``"clear"`` (and leave the place empty) or a file.
        """
        self.world.enter(slots, world_ids, memory)
        for slot, world_id in zip(slots, world_ids, strict=True):
            if memory == "clear":
                self.known.pop(self._key(slot, world_id), None)
            elif memory != "keep":
                self._know_file(slot, memory)
            elif self.world.memory.count([slot])[0] == 0:
                self._fill(slot, world_id)

    def _fill(self, slot: int, world_id: int) -> None:
        """Bring what the environment's memory mode says into an empty place."""
        key = self._key(slot, world_id)
        self.known.pop(key, None)
        if self.file is not None:
            self.world.enter([slot], [world_id], self.file)
            self._know_file(slot, self.file)
        elif self.memory == "scan":
            seen = self.known[key] = self._scanned(world_id)
            assert seen.depth is not None
            self.world.remember([slot], seen.rgb[None], seen.pose[None], seen.depth[None])

    def _know_file(self, slot: int, path: str) -> None:
        """Know all worlds of a file that was just loaded for ``slot``."""
        for world_id in self.held_in(path):
            place = self._in_file(path, slot, world_id)
            if place is not None:
                self.known[self._key(slot, world_id)] = place

    def _key(self, slot: int, world_id: int) -> tuple[int, int]:
        return (SHARED if self.world.memory.shared else slot, world_id)

    def setting(self, start: Start, task: Task) -> Setting:
        """What a task may know of an episode's place.

        That is what the place was first remembered by; where that is nothing, its first frame,
        or all of them for tasks whose goals are frames.
        """
        place = start.place
        if place is None:
            place = self._remembered(start.slot, None if task.goal_frames else 1)
        memory = self._remembered(start.slot) if task.reads_memory else None
        return Setting(place, start.seed, start.episode, memory)

    def _remembered(self, slot: int, count: int | None = None) -> Place:
        """What is remembered now: the first ``count`` frames, or all."""
        frames = self.world.memory.frames(slot, count)
        return Place(frames.rgb, frames.pose, known_depth(frames.depth))

    def look(self, pairs: Sequence[tuple[int, int]], poses: Sequence[NDArray | None]) -> Frame:
        """First frames of (slot, world id) ``pairs``; the source's own where a pose is None."""
        groups: dict[bool, list[int]] = {}
        for row, pose in enumerate(poses):
            groups.setdefault(pose is None, []).append(row)
        parts = []
        for unknown, rows in groups.items():
            slots, world_ids = zip(*(pairs[row] for row in rows), strict=True)
            given = None if unknown else np.stack([poses[row] for row in rows])  # type: ignore
            parts.append(self.world.begin(slots, world_ids, given))
        back = np.argsort(np.concatenate(list(groups.values())))
        columns = ([getattr(part, field.name) for part in parts] for field in fields(Frame))
        return Frame(*(np.concatenate(column)[back] for column in columns))

    def forget(self, slots: Sequence[int]) -> None:
        """Leave ``slots`` as if they had never been anywhere."""
        self.world.memory.forget(slots)
        gone = {SHARED, *slots}
        self.known = {key: place for key, place in self.known.items() if key[0] not in gone}

    def get_state(self) -> dict[tuple[int, int], Place]:
        """What each slot knows of each world."""
        return copy.copy(self.known)

    def set_state(self, state: dict[tuple[int, int], Place]) -> None:
        """Resume from :meth:`get_state`."""
        self.known = copy.copy(state)

    def fork(self, from_slot: int, to_slots: Sequence[int]) -> None:
        """Let ``to_slots`` know what ``from_slot`` knows."""
        mine = [(key[1], place) for key, place in self.known.items() if key[0] == from_slot]
        self.known = {key: place for key, place in self.known.items() if key[0] not in to_slots}
        for slot in {from_slot, *to_slots}:
            self.known |= {(slot, world_id): place for world_id, place in mine}


def known_depth(depth: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Depth (M, H, W), or None where a world knows none."""
    return depth if (depth > 0).any() else None
