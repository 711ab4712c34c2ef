"""Where episodes happen: world ids, what is remembered before the first step, where they start.

``memory="scan"`` walks a world once in the engine and remembers what is seen; ``"fresh"``
remembers nothing but the first frame; a file brings its own places. Start and goals come from
what a place was first remembered by, so that the same seed gives the same episodes whatever was
seen since, and whichever world draws the frames.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mgenv.camera import Pose, picture_shape
from mgenv.errors import InvalidOptionError
from mgenv.memory.files import SHARED, read_places
from mgenv.tasks.base import Place
from mgenv.worlds.base import Frame, World
from mgenv.worlds.sources import fitted

CACHED_SCANS = 32
"""Scans kept in memory, of all environments of the process."""


@lru_cache(maxsize=CACHED_SCANS)
def scan(world_id: int, num_frames: int, image_size: int) -> Any:
    """The engine's walk through a world, see :func:`mgenv.engine.navigation.scan`."""
    from mgenv.engine import navigation

    return navigation.scan(world_id, num_frames=num_frames, image_size=image_size)


class Places:
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
        if self.file is not None:
            held = self.held_in(self.file)
            self.world_ids = [i for i in held if world_ids is None or i in world_ids]
            if not self.world_ids:
                raise InvalidOptionError(f"world_ids: expected some of {held} in {self.file}")
        self.known: dict[tuple[int, int], Place] = {}

    def held_in(self, path: str) -> list[int]:
        """World ids of a memory file.

        Raises:
            CheckpointError: not a memory file, damaged, or of another image size.
        """
        return sorted({key[1] for key in read_places(path, self.world.image_size)})

    def choices(self, memory: str | None, world_ids: Sequence[int] | None) -> list[int]:
        """World ids to draw an episode's from when it resets with ``memory``.

        Raises:
            CheckpointError: ``memory`` is not a memory file, damaged, or of another image size.
            InvalidOptionError: it does not hold the worlds asked for.
        """
        if memory in (None, "keep", "clear"):
            return self.world_ids
        held = self.held_in(memory)
        missing = sorted(set(world_ids or ()) - set(held))
        if missing:
            raise InvalidOptionError(f"world_id: expected one of {held} in {memory}, got {missing}")
        return [i for i in held if i in self.world_ids] or held

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
                self._know_file(slot, world_id, memory)
            elif self.world.memory.count([slot])[0] == 0:
                self._fill(slot, world_id)

    def _fill(self, slot: int, world_id: int) -> None:
        """Bring what the environment's memory mode says into an empty place."""
        key = self._key(slot, world_id)
        self.known.pop(key, None)
        if self.file is not None:
            self.world.enter([slot], [world_id], self.file)
            self._know_file(slot, world_id, self.file)
        elif self.memory == "scan":
            size = self.world.image_size
            seen = scan(world_id, self.scan_frames, max(picture_shape(size)))
            rgb, depth = fitted(seen.rgb, size), fitted(seen.depth, size)
            self.world.remember([slot], rgb[None], seen.pose[None], depth[None])
            self.known[key] = Place(rgb, seen.pose)

    def _know_file(self, slot: int, world_id: int, path: str) -> None:
        """Know all worlds of a file that was just loaded for ``slot``, which is in one of them."""
        bank = self.world.memory
        for held in (*self.held_in(path), world_id):
            bank.enter([slot], [held])
            frames = bank.frames(slot)
            rows = frames.observed if frames.observed.any() else slice(None)
            self.known[self._key(slot, held)] = Place(frames.rgb[rows], frames.pose[rows])

    def _key(self, slot: int, world_id: int) -> tuple[int, int]:
        return (SHARED if self.world.memory.shared else slot, world_id)

    def at(self, slot: int, world_id: int, remembered: bool = False) -> Place | None:
        """What the place was first remembered by.

        Args:
            remembered: where that is nothing, all that is remembered now, instead of None.
        """
        place = self.known.get(self._key(slot, world_id))
        if place is not None and len(place.pose):
            return place
        frames = self.world.memory.frames(slot) if remembered else None
        return None if frames is None else Place(frames.rgb, frames.pose)

    def start(
        self, slot: int, world_id: int, generator: np.random.Generator
    ) -> NDArray[np.float32] | None:
        """Draw where an episode starts: a known position, any heading; (4, 4).

        None where nothing is known: the first frame of the world's source.
        """
        index, yaw = generator.random(2)
        place = self.at(slot, world_id)
        if place is None:
            return None
        position = place.pose[int(index * len(place.pose)), :3, 3]
        heading = torch.tensor(2 * np.pi * yaw - np.pi, dtype=torch.float32)
        return Pose.create(torch.from_numpy(position.copy()), heading).matrix.numpy()

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
