"""Worlds as arrays: one scene, and many of them stacked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mgenv.engine.estates.banks import texels_on
from mgenv.engine.homes.furnish import MAX_OBJECTS
from mgenv.engine.homes.layout import GRID, MAX_ROOMS, flat_levels
from mgenv.engine.render.raytrace import BANK, ROOM_SIZE, SKY_SIZE
from mgenv.engine.scene.baking import MAX_ITEMS, TEXELS
from mgenv.engine.scene.shapes import OBJECT_SIZE
from mgenv.errors import InvalidOptionError


class Scene(NamedTuple):
    """One world as arrays of fixed shape; with a leading axis S, many worlds.

    Attributes:
        cells: uint8 (64, 64), [y, x], 0.25 m each: 255 solid, else the room, +64 in doorways.
        free: uint8 (64, 64), 1 where a robot standing at the cell's middle touches nothing.
        rooms: float32 (16, 36), see the column names in :mod:`mgenv.engine.render.raytrace`.
        objects: float32 (511, 16), shapes with their materials.
        belongs: uint8 (511, 2), the class of each object, an index into
            ``mgenv.engine.homes.furniture.LABELS``, and the number of its piece.
        levels: float32 (256, 3), heights [m] of floor, ceiling and roof for each value of a cell.
        ground: float32 (64, 64), the height of each cell's floor [m]; 0 in walls.
        sky: float32 (16,), see the column names in :mod:`mgenv.engine.render.raytrace`; 0 in homes.
        starts: int32 (4097,), the first entry of each cell in ``items``.
        items: uint16 (8192,), object numbers, cell by cell.
        light: uint8 (128, 128), light on the floor, 0.125 m a texel.
        counts: int64 (3,), how many rooms, objects and doors there are.
    """

    cells: NDArray[np.uint8]
    free: NDArray[np.uint8]
    levels: NDArray[np.float32]
    ground: NDArray[np.float32]
    sky: NDArray[np.float32]
    rooms: NDArray[np.float32]
    objects: NDArray[np.float32]
    belongs: NDArray[np.uint8]
    starts: NDArray[np.int32]
    items: NDArray[np.uint16]
    light: NDArray[np.uint8]
    counts: NDArray[np.int64]


_SHAPES = {
    "cells": ((GRID, GRID), np.uint8),
    "free": ((GRID, GRID), np.uint8),
    "levels": ((256, 3), np.float32),
    "ground": ((GRID, GRID), np.float32),
    "sky": ((SKY_SIZE,), np.float32),
    "rooms": ((MAX_ROOMS, ROOM_SIZE), np.float32),
    "objects": ((MAX_OBJECTS, OBJECT_SIZE), np.float32),
    "belongs": ((MAX_OBJECTS, 2), np.uint8),
    "starts": ((GRID * GRID + 1,), np.int32),
    "items": ((MAX_ITEMS,), np.uint16),
    "light": ((TEXELS, TEXELS), np.uint8),
    "counts": ((3,), np.int64),
}


def _signed(tensor: torch.Tensor) -> torch.Tensor:
    """The same memory in a type that torch can index on a GPU, which uint16 is not."""
    return tensor.view(torch.int16) if tensor.dtype == torch.uint16 else tensor


class SceneBatch:
    """Worlds stacked along a leading axis S, with copies on other devices made once.

    Attributes:
        arrays: a :class:`Scene` of arrays (S, …).
        world_ids: int64 (S,).
    """

    def __init__(self, arrays: Scene, world_ids: NDArray[np.int64]) -> None:
        self.arrays = arrays
        self.world_ids = world_ids
        self._copies: dict[str, dict[str, torch.Tensor]] = {}

    def __len__(self) -> int:
        return len(self.world_ids)

    def __getitem__(self, index: int) -> Scene:
        return Scene(*(array[index] for array in self.arrays))

    def replaced(
        self,
        rows: Sequence[int] | NDArray[np.int64],
        world_ids: Sequence[int],
        scenes: Sequence[Scene],
    ) -> SceneBatch:
        """A batch with other scenes in some rows, in the same arrays and copies."""
        for row, world_id, scene in zip(rows, world_ids, scenes, strict=True):
            self.world_ids[row] = world_id
            for whole, one in zip(self.arrays, scene, strict=True):
                whole[row] = one
        batch, changed = SceneBatch(self.arrays, self.world_ids), np.asarray(rows, np.int64)
        for device, copies in self._copies.items():
            for name, whole in self.arrays._asdict().items():
                new = _signed(torch.from_numpy(whole[changed]))
                _signed(copies[name])[changed] = new.to(device)
            batch._copies[device] = copies
        return batch

    def texels(self, device: str | torch.device = "cpu") -> torch.Tensor:
        """uint8 (N, texels, 3), the image textures that these worlds may use."""
        return texels_on(int(self.arrays.sky[:, BANK].max(initial=0.0)), str(device))

    def to(self, device: str | torch.device) -> dict[str, torch.Tensor]:
        """The arrays as tensors on a device, by name."""
        key = str(device)
        if key not in self._copies:
            named = self.arrays._asdict().items()
            self._copies[key] = {name: torch.from_numpy(a).to(device) for name, a in named}
        return self._copies[key]


def empty_batch(size: int) -> SceneBatch:
    """A batch of ``size`` rows without worlds (id -1), to be filled by ``replaced``."""
    zeros: dict[str, Any] = {n: np.zeros((size, *s), kind) for n, (s, kind) in _SHAPES.items()}
    zeros["levels"][:] = flat_levels()
    return SceneBatch(Scene(**zeros), np.full(size, -1, np.int64))


def stack(scenes: Sequence[Scene], world_ids: Sequence[int] | None = None) -> SceneBatch:
    """Put scenes into one batch."""
    arrays = Scene(*(np.stack(fields) for fields in zip(*scenes, strict=True)))
    ids = np.full(len(scenes), -1, np.int64) if world_ids is None else checked_ids(world_ids)
    return SceneBatch(arrays, ids)


def checked_ids(world_ids: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    """World ids as int64.

    Raises:
        InvalidOptionError: one is not a whole number from 0 to 2**63 - 1.
    """
    ids = np.asarray(world_ids)
    numbers = ids.ndim == 1 and len(ids) > 0 and ids.dtype.kind in "iu"
    if not numbers or (ids < 0).any() or (ids > np.iinfo(np.int64).max).any():
        raise InvalidOptionError(
            f"World ids are whole numbers from 0 to 2**63 - 1 in a list; got {world_ids!r}."
        )
    return ids.astype(np.int64)
