"""The memory bank: colour, depth and pose of observed and generated frames, bounded in size.

It outlives episodes.

Frames go in, are found again by their geometry, and lie in files; :mod:`mgenv.memory.pool` keeps
them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from mgenv.camera import picture_shape
from mgenv.errors import InvalidOptionError
from mgenv.memory.files import (
    SHARED,
    STORED,
    frame_digest,
    frame_digests,
    owners,
    read_places,
    write_places,
)
from mgenv.memory.geometry import surface_points
from mgenv.memory.pool import FramePool
from mgenv.memory.retrieval import Pool, Retrieved, retrieve


class Memories(NamedTuple):
    """Remembered frames of one slot's place, oldest first.

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


class MemoryBank(FramePool):
    """Bounded memory of many places.

    A place is one slot's memory of one world (or everybody's, when shared).

    Args:
        num_slots: how many slots ask.
        image_size: side of square frames, or height and width.
        frames: at most this many frames a place.
        shared: all slots in one world share one place.
        device: where frames lie.
        intrinsics: of the camera that saw them.
    """

    stored: tuple[str, ...] = STORED
    """What a file holds of a frame."""

    check_file: Callable[[str | Path], None] | None = None
    """Called with every file before it is read; raises where its places are not to be loaded."""

    # -- frames ---------------------------------------------------------------------------------

    def frames(self, slot: int, count: int | None = None) -> Memories:
        """Frames of the slot's place, oldest first; the first ``count``, all by default."""
        rows = torch.tensor(self._rows(slot)[:count], dtype=torch.int64, device=self.device)
        pool = {name: self._pool[name][rows].cpu().numpy() for name in STORED}
        depth = pool["depth"].astype(np.float32)
        return Memories(pool["rgb"], depth, pool["pose"], pool["observed"])

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
        digests = frame_digests(values) if observed else [b""] * len(frames)
        new = [index for index, digest in enumerate(digests) if digest not in self._digests]
        if new:  # the geometry of a frame that another place holds is known
            for index, points in zip(new, surface_points(depth[new], pose[new]), strict=True):
                frames[index]["points"] = points
        for slot, frame, digest in zip(slots, frames, digests, strict=True):
            self._remember(self._rows(slot), frame, observed, digest)

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

    def geometry(self) -> Pool:
        """The geometry of all frames of all places."""
        if not self._references:
            self._free.append(self._allocate())
        pool = self._pool
        return Pool(pool["points"], pool["sparse"], pool["observed"], pool["pose"])

    def retrieve(
        self, slots: Sequence[int], pose: ArrayLike | Tensor, k: int, rule: str = "visible"
    ) -> Retrieved:
        """The ``k`` remembered frames of each slot's place that explain most of its view.

        Args:
            pose: (len(slots), 4, 4) views.
            rule: see :func:`mgenv.memory.retrieval.retrieve`.
        """
        return retrieve(self.geometry(), self.table(slots), pose, k, rule, self.intrinsics)

    def surfaces(self, slot: int) -> tuple[NDArray[np.int64], Tensor, Tensor]:
        """Pool rows (M,) of the slot's place; surface points (R, P, …) and poses of the pool."""
        rows = np.array(self._rows(slot), dtype=np.int64)
        return rows, self._pool["points"], self._pool["pose"]

    def poses(self) -> Tensor:
        """Poses of all rows of the pool: (R, 4, 4)."""
        return self._pool["pose"]

    def depths(self, rows: Tensor) -> Tensor:
        """Depth maps by pool row (-1 reads row 0): float32 (…, H, W) [m]."""
        return self._pool["depth"][rows.clamp_min(0)].float()

    def age(self, rows: Tensor) -> Tensor:
        """Insertion counter of each row, of the shape of ``rows`` (…)."""
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

    # -- files ----------------------------------------------------------------------------------

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
            InvalidOptionError: ``check_file`` says that its places are not this world's.
        """
        if self.check_file is not None:
            self.check_file(path)
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
