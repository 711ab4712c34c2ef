"""What worlds have shown: colour, depth and pose of frames, bounded, and older than any episode.

A *place* is one slot's memory of one world (or everybody's, when shared). Frames lie in one
growing pool of rows, a place is a list of rows. Observed frames are stored once, however many
places hold them. When a place is full, the most redundant generated frame goes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from mgenv.camera import DEFAULT_INTRINSICS, ImageSize, Intrinsics, picture_shape
from mgenv.errors import InvalidOptionError, NotResetError
from mgenv.memory.files import (
    SHARED,
    STORED,
    frame_digest,
    owners,
    read_places,
    write_places,
)
from mgenv.memory.retrieval import (
    POINT_SIZE,
    Candidates,
    nearest,
    sparse_points,
    surface_points,
)


class Memories(NamedTuple):
    """What one slot's world remembers, oldest first.

    Attributes:
        rgb: uint8 (M, H, W, 3).
        depth: float32 (M, H, W) [m].
        pose: float32 (M, 4, 4).
        observed: bool (M,); False for generated frames.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    pose: NDArray[np.float32]
    observed: NDArray[np.bool_]


class MemoryBank:
    """Bounded memory of many places.

    Args:
        num_slots: how many slots ask.
        image_size: side of square frames, or height and width.
        frames: at most this many frames a place.
        shared: all slots in one world share one place.
        device: where frames lie.
    """

    stored: tuple[str, ...] = STORED
    """What a file holds of a frame."""

    def __init__(
        self,
        num_slots: int,
        image_size: ImageSize,
        frames: int = 512,
        shared: bool = False,
        device: str | torch.device = "cpu",
        intrinsics: Intrinsics = DEFAULT_INTRINSICS,
    ) -> None:
        if frames < 1:
            raise InvalidOptionError(f"memory_frames: expected at least 1, got {frames}")
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
        """Put slots into worlds; an unknown world starts with nothing remembered."""
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

    def frames(self, slot: int) -> Memories:
        """What the slot's place remembers."""
        rows = torch.tensor(self._rows(slot), dtype=torch.int64, device=self.device)
        pool = {name: self._pool[name][rows].cpu().numpy() for name in STORED}
        depth = pool["depth"].astype(np.float32)
        return Memories(pool["rgb"], depth, pool["pose"], pool["observed"])

    def clear(self, slots: Sequence[int]) -> None:
        """Forget everything about the worlds in which ``slots`` are."""
        for slot in slots:
            rows = self._rows(slot)
            for row in rows:
                self._release(row)
            rows.clear()

    def forget(self, slots: Sequence[int]) -> None:
        """Forget every world of ``slots``, as if they had never been anywhere."""
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

    def add(
        self,
        slots: Sequence[int],
        rgb: ArrayLike | Tensor,
        depth: ArrayLike | Tensor,
        pose: ArrayLike | Tensor,
        observed: bool,
    ) -> None:
        """Remember one frame a slot.

        Args:
            rgb: uint8 (n, H, W, 3).
            depth: (n, H, W) [m].
            pose: (n, 4, 4).
            observed: seen in truth (a scan, the engine) rather than generated.
        """
        if len(slots) == 0:
            return
        rgb, depth, pose = self._tensors(len(slots), rgb, depth, pose)
        values = {"rgb": rgb, "depth": depth, "pose": pose}
        frames = [
            {name: value[index] for name, value in values.items()} for index in range(len(rgb))
        ]
        digests = [frame_digest(frame) if observed else b"" for frame in frames]
        new = [index for index, digest in enumerate(digests) if digest not in self._digests]
        if new:  # the geometry of a frame that another place holds is known
            for index, points in zip(new, surface_points(depth[new], pose[new]), strict=True):
                frames[index]["points"] = points
        for slot, frame, digest in zip(slots, frames, digests, strict=True):
            self._remember(self._rows(slot), frame, observed, digest)

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
        pose, observed = self._pool["pose"][index], self._lasting(index)
        position, forward = pose[:, :3, 3], pose[:, :3, 2]
        gap = torch.cdist(position, position) + (1 - forward @ forward.T)  # (M, M)
        gap.fill_diagonal_(torch.inf)
        redundancy = gap.amin(1)
        if not bool(observed.all()):
            redundancy = redundancy.masked_fill(observed, torch.inf)
        elif not for_observed:
            return
        self._release(rows.pop(int(redundancy.argmin())))

    def _lasting(self, rows: Tensor) -> Tensor:
        """Which pool rows (M,) of a place outlive generated frames: bool (M,)."""
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

    def _tensors(self, n: int, *arrays: ArrayLike | Tensor) -> tuple[Tensor, Tensor, Tensor]:
        picture = picture_shape(self.image_size)
        shapes = ((n, *picture, 3), (n, *picture), (n, 4, 4))
        dtypes = (torch.uint8, torch.float32, torch.float32)
        out = []
        for array, shape, dtype in zip(arrays, shapes, dtypes, strict=True):
            tensor = torch.as_tensor(array, device=self.device)
            if tuple(tensor.shape) != shape:
                raise InvalidOptionError(
                    f"frame: expected shape {shape}, got {tuple(tensor.shape)}"
                )
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise InvalidOptionError("frame: expected finite depth and pose, got NaN or inf")
            out.append(tensor.to(dtype))
        return out[0], out[1], out[2]

    # -- retrieval ------------------------------------------------------------------------------

    def table(self, slots: Sequence[int]) -> Tensor:
        """Pool rows of each slot's place, oldest first: int64 (n, C), -1 for none."""
        lists = [self._places.get(self._at[int(slot)] or (0, -1), []) for slot in slots]
        width = max([len(rows) for rows in lists] + [1])
        table = np.full((len(lists), width), -1, dtype=np.int64)
        for index, rows in enumerate(lists):
            table[index, : len(rows)] = rows
        return torch.from_numpy(table).to(self.device)

    def geometry(self) -> tuple[Tensor, Tensor, Tensor]:
        """The pool's surface points (R, P, 7), the sparse ones (R, S, 7), and observed (R,)."""
        if not self._references:
            self._free.append(self._allocate())
        return self._pool["points"], self._pool["sparse"], self._pool["observed"]

    def candidates(self, slots: Sequence[int]) -> tuple[Tensor, Candidates]:
        """All frames of each slot's place: pool rows (n, C) and their geometry."""
        table = self.table(slots)
        return table, self.select(table)

    def select(self, table: Tensor) -> Candidates:
        """The geometry of frames by pool row: (n, C), -1 for none."""
        points, _, observed = self.geometry()
        rows = table.clamp_min(0)
        return Candidates(points[rows], self._pool["pose"][rows], observed[rows], table >= 0)

    def points_near(
        self, slots: Sequence[int], position: Tensor, frames: int = 12
    ) -> tuple[Tensor, Tensor]:
        """Remembered surface points around each slot, from the frames that show most of them.

        Args:
            position: (n, 3) [m].

        Returns:
            Points (n, frames·256, 3) and whether they exist (n, frames·256).
        """
        rows = nearest(self, slots, position, frames)  # (n, frames)
        points = self.geometry()[0].index_select(0, rows.clamp_min(0).flatten())[..., :3]
        points = points.reshape(len(rows), -1, 3)
        return points, (rows >= 0).repeat_interleave(256, 1)

    def surfaces(self, slot: int) -> tuple[NDArray[np.int64], Tensor, Tensor]:
        """Pool rows (M,) of the slot's place; surface points (R, P, …) and poses of the pool."""
        rows = np.array(self._rows(slot), dtype=np.int64)
        return rows, self._pool["points"], self._pool["pose"]

    def age(self, rows: Tensor) -> Tensor:
        """A number that grows with the time of storing: like ``rows`` (…)."""
        return self._pool["age"][rows.clamp_min(0)]

    def gather(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Frames by pool row (-1 reads row 0): rgb uint8 (…, H, W, 3), depth, pose, observed."""
        rows, pool = rows.clamp_min(0), self._pool
        return (
            pool["rgb"][rows],
            pool["depth"][rows].float(),
            pool["pose"][rows],
            pool["observed"][rows],
        )

    # -- persistence ----------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write every place into one safetensors file, atomically.

        Raises:
            OutputError: the folder cannot be written.
        """
        places = {}
        for key, rows in self._places.items():
            if rows:
                index = torch.tensor(rows, dtype=torch.int64, device=self.device)
                places[key] = {name: self._pool[name][index].cpu() for name in self.stored}
        write_places(path, places, self.image_size)

    def load(self, path: str | Path, slots: Sequence[int] | None = None) -> list[int]:
        """Replace the places that the file holds; return their world ids.

        Args:
            slots: whose places are replaced, all by default; the others stay as they are.

        Raises:
            CheckpointError: the file is not a memory file, damaged, or of another image size.
        """
        places = read_places(path, self.image_size, self.stored)
        wanted = set(range(self.num_slots) if slots is None else slots) | {SHARED}
        for key, frames in places.items():
            for slot in wanted.intersection(owners(key, places, self.num_slots, self.shared)):
                self._load_place((slot, key[1]), frames)
        return sorted({world_id for _, world_id in places})

    def _load_place(self, key: tuple[int, int], frames: dict[str, Tensor]) -> None:
        rows = self._places.setdefault(key, [])
        for row in rows:
            self._release(row)
        rows.clear()
        values = {name: frames[name].to(self.device) for name in ("rgb", "depth", "pose")}
        values["points"] = surface_points(values["depth"].float(), values["pose"])
        for index, observed in enumerate(frames["observed"].tolist()):
            frame = {name: value[index] for name, value in values.items()}
            self._remember(rows, frame, observed, frame_digest(frame) if observed else b"")

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
