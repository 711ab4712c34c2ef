"""Frames of many places in one growing pool of rows.

A *place* is one slot's memory of one world (or everybody's, when shared): a list of rows. Observed
frames are stored once, however many places hold them. When a place is full, the most redundant
generated frame goes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mgenv.camera import DEFAULT_INTRINSICS, ImageSize, Intrinsics, picture_shape
from mgenv.errors import NotResetError, check_integer
from mgenv.memory.files import SHARED
from mgenv.memory.geometry import POINT_SIZE, sparse_points, surface_points
from mgenv.memory.step import most_redundant


class FramePool:
    """Bounded places of frames.

    Args:
        num_slots: how many slots ask.
        image_size: side of square frames, or height and width.
        frames: at most this many frames a place.
        shared: all slots in one world share one place.
        device: where frames lie.
        intrinsics: of the camera that saw them.
    """

    def __init__(
        self,
        num_slots: int,
        image_size: ImageSize,
        frames: int = 512,
        shared: bool = False,
        device: str | torch.device = "cpu",
        intrinsics: Intrinsics = DEFAULT_INTRINSICS,
    ) -> None:
        check_integer("memory_frames", frames, low=1)
        self.num_slots, self.image_size, self.max_frames = num_slots, image_size, frames
        self.shared, self.device, self.intrinsics = shared, torch.device(device), intrinsics
        self._reset()

    def _reset(self) -> None:
        self._pool = self._empty_pool(0)
        self._free: list[int] = []
        self._references: list[int] = []
        self._clock = 0
        self._digests: dict[bytes, int] = {}
        self._digest_of: dict[int, bytes] = {}
        self._places: dict[tuple[int, int], list[int]] = {}
        self._at: list[tuple[int, int] | None] = [None] * self.num_slots

    def _empty_pool(self, rows: int) -> dict[str, Tensor]:
        (height, width), device = picture_shape(self.image_size), self.device
        return {
            "rgb": torch.zeros(rows, height, width, 3, dtype=torch.uint8, device=device),
            "depth": torch.zeros(rows, height, width, dtype=torch.float16, device=device),
            "pose": torch.zeros(rows, 4, 4, device=device),
            "points": torch.zeros(rows, 256, POINT_SIZE, device=device),
            "sparse": torch.zeros(rows, 64, POINT_SIZE, device=device),
            "observed": torch.zeros(rows, dtype=torch.bool, device=device),
            "age": torch.zeros(rows, dtype=torch.int64, device=device),
        }

    # -- places ---------------------------------------------------------------------------------

    def enter(self, slots: Sequence[int], world_ids: Sequence[int]) -> None:
        """Put slots into worlds; the memory of a new world is empty."""
        for slot, world_id in zip(slots, world_ids, strict=True):
            key = (SHARED if self.shared else int(slot), int(world_id))
            self._places.setdefault(key, [])
            self._at[int(slot)] = key

    def world_ids(self) -> list[int]:
        """Worlds of which something is remembered."""
        return sorted({world_id for (_, world_id), rows in self._places.items() if rows})

    def count(self, slots: Sequence[int]) -> NDArray[np.int64]:
        """Frames remembered by each slot's place: int64 (len(slots),)."""
        return np.array([len(self._rows(slot)) for slot in slots], dtype=np.int64)

    def knows(self, slot: int, world_id: int) -> bool:
        """Whether anything of a world is remembered by a slot, wherever it is now."""
        return bool(self._places.get((SHARED if self.shared else int(slot), int(world_id))))

    def clear(self, slots: Sequence[int]) -> None:
        """Forget everything about the worlds in which ``slots`` are."""
        for slot in slots:
            rows = self._rows(slot)
            for row in rows:
                self._release(row)
            rows.clear()

    def forget(self, slots: Sequence[int]) -> None:
        """Forget every world of ``slots``, as if they were new."""
        owners = {SHARED} if self.shared else {int(slot) for slot in slots}
        for key in [key for key in self._places if key[0] in owners]:
            for row in self._places.pop(key):
                self._release(row)
        self._at = [None if key and key[0] in owners else key for key in self._at]

    def _rows(self, slot: int) -> list[int]:
        key = self._at[int(slot)]
        if key is None:
            raise NotResetError(f"Slot {slot} is in no world yet; call reset or begin first.")
        return self._places[key]

    # -- frames ---------------------------------------------------------------------------------

    def _remember(
        self, rows: list[int], frame: dict[str, Tensor], observed: bool, digest: bytes
    ) -> None:
        row = self._digests.get(digest) if observed else None
        if row is not None and row in rows:
            return
        if len(rows) >= self.max_frames:
            self._evict(rows, observed)
        if len(rows) >= self.max_frames:
            return
        if row is None:
            row = self._allocate()
            if "points" not in frame:  # the place that held it forgot it meanwhile
                frame["points"] = surface_points(frame["depth"], frame["pose"])
            frame["sparse"] = sparse_points(frame["points"])
            for name, value in frame.items():
                self._pool[name][row] = value.to(self._pool[name].dtype)
            self._pool["observed"][row] = observed
            self._pool["age"][row] = self._clock
            self._clock += 1
            if observed:
                self._digests[digest], self._digest_of[row] = row, digest
        self._references[row] += 1
        rows.append(row)

    def _evict(self, rows: list[int], for_observed: bool) -> None:
        """Drop the generated frame closest in view to another; observed ones only for observed."""
        index = torch.tensor(rows, device=self.device)
        generated = ~self._lasting(index)
        if not bool(generated.any()):
            if not for_observed:
                return
            generated = torch.ones_like(generated)
        self._release(rows.pop(int(most_redundant(self._pool["pose"][index], generated))))

    def _lasting(self, rows: Tensor) -> Tensor:
        """Pool rows (M,) that are evicted only after all generated frames: bool (M,)."""
        return self._pool["observed"][rows]

    def _allocate(self) -> int:
        if not self._free:
            size = len(self._references)
            grown = max(64, size)
            extra = self._empty_pool(grown)
            self._pool = {name: torch.cat([self._pool[name], extra[name]]) for name in extra}
            self._free = list(range(size + grown - 1, size - 1, -1))
            self._references += [0] * grown
        return self._free.pop()

    def _release(self, row: int) -> None:
        self._references[row] -= 1
        if self._references[row] == 0:
            digest = self._digest_of.pop(row, None)
            if digest is not None:
                del self._digests[digest]
            self._free.append(row)

    # -- state ----------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """A copy of everything remembered."""
        return {
            "pool": {name: value.clone() for name, value in self._pool.items()},
            "free": list(self._free),
            "references": list(self._references),
            "clock": self._clock,
            "digests": dict(self._digests),
            "places": {key: list(rows) for key, rows in self._places.items()},
            "at": list(self._at),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Resume from :meth:`get_state`."""
        self._pool = {name: value.clone() for name, value in state["pool"].items()}
        self._free, self._references = list(state["free"]), list(state["references"])
        self._digests, self._clock = dict(state["digests"]), state["clock"]
        self._digest_of = {row: digest for digest, row in self._digests.items()}
        self._places = {key: list(rows) for key, rows in state["places"].items()}
        self._at = list(state["at"])

    def fork(self, from_slot: int, to_slots: Sequence[int]) -> None:
        """Give ``to_slots`` copies of all that ``from_slot`` remembers, and its place."""
        at = self._at[from_slot]
        for slot in to_slots:
            if slot == from_slot or at is None:
                continue
            self._at[slot] = at if self.shared else (slot, at[1])
            if not self.shared:
                self._copy_places(from_slot, slot)

    def _copy_places(self, from_slot: int, to_slot: int) -> None:
        for key in [key for key in self._places if key[0] == to_slot]:
            for row in self._places.pop(key):
                self._release(row)
        for key in [key for key in self._places if key[0] == from_slot]:
            rows = list(self._places[key])
            for row in rows:
                self._references[row] += 1
            self._places[(to_slot, key[1])] = rows
