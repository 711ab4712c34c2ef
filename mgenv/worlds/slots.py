"""Base class of worlds: slot numbers, world ids, seeds, checks and closing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from mgenv.camera import ImageSize, picture_shape
from mgenv.errors import ClosedError, InvalidOptionError, NotResetError, check_integer
from mgenv.memory.bank import MemoryBank
from mgenv.worlds.base import Frame
from mgenv.worlds.checks import checked_depth, checked_pictures, checked_poses
from mgenv.worlds.states import check_state


class Observations(NamedTuple):
    """Observed frames of n slots, T each.

    Attributes:
        rows: the slots (n,).
        rgb: uint8 (n, T, H, W, 3).
        pose: float32 (n, T, 4, 4).
        depth: float32 (n, T, H, W) [m], or None where it was not given.
    """

    rows: list[int]
    rgb: NDArray[np.uint8]
    pose: Tensor
    depth: NDArray[np.float32] | None


class SlotWorld:
    """Base class of worlds.

    Attributes:
        kind: name of the class of world in saved states.
        num_envs: slots.
        image_size: side of square frames, or height and width.
        memory: remembered frames of every world.
    """

    kind: ClassVar[str]
    memory: MemoryBank

    def __init__(self, num_envs: int, image_size: ImageSize, device: str | torch.device) -> None:
        self.num_envs = check_integer("num_envs", num_envs, low=1)
        self.image_size: Any = image_size
        self.device = torch.device(device)
        self._begun = np.zeros(self.num_envs, bool)
        self._closed = False

    def enter(
        self, slots: Sequence[int], world_ids: Sequence[int], memory: str | Path = "keep"
    ) -> None:
        """Move slots into worlds without looking; see :class:`mgenv.worlds.base.World`.

        Raises:
            InvalidOptionError: a world id is not an integer of at least 0, their number is not
                that of slots, or ``memory`` is of other places.
            CheckpointError: ``memory`` is not a memory file.
        """
        rows = self._rows(slots)
        ids = self._world_ids(world_ids, rows)
        ready = self._prepare(ids)
        if memory not in ("keep", "clear"):
            self.memory.load(memory, rows)
        self.memory.enter(rows, ids)
        if memory == "clear":
            self.memory.clear(rows)
        self._begun[rows] = False
        self._arrive(rows, ready)

    def _prepare(self, world_ids: list[int]) -> Any:
        """Compute the argument of :meth:`_arrive`; may raise, changes nothing."""
        return world_ids

    def _arrive(self, rows: list[int], ready: Any) -> None:
        """Called after slots ``rows`` have entered other worlds."""

    def close(self) -> None:
        """Close the world; later use raises :class:`ClosedError`."""
        self._closed = True

    # -- checks ----------------------------------------------------------------------------------

    def _rows(self, slots: Sequence[int] | None, begun: bool = False) -> list[int]:
        """Checked slot numbers, all by default.

        Raises:
            ClosedError: after close.
            InvalidOptionError: a slot does not exist or is given twice.
            NotResetError: ``begun`` is set and a slot has not begun.
        """
        if self._closed:
            raise ClosedError("Expected an open world; this one has been closed.")
        rows = list(range(self.num_envs)) if slots is None else [int(slot) for slot in slots]
        wrong = [row for row in rows if not 0 <= row < self.num_envs]
        if wrong:
            raise InvalidOptionError(f"slots: expected 0 … {self.num_envs - 1}, got {wrong}")
        if len(set(rows)) < len(rows):
            raise InvalidOptionError(f"slots: expected each once, got {rows}")
        waiting = [row for row in rows if not self._begun[row]]
        if begun and waiting:
            raise NotResetError(f"Slots {waiting} have not begun; call begin (or reset) first.")
        return rows

    def _world_ids(self, world_ids: Sequence[int], rows: list[int]) -> list[int]:
        ids = list(world_ids)
        if len(ids) != len(rows):
            raise InvalidOptionError(f"world_ids: expected {len(rows)}, one a slot, got {len(ids)}")
        for world_id in ids:
            check_integer("world_id", world_id, low=0)
        return [int(world_id) for world_id in ids]

    def _seeds(self, slots: Sequence[int], seeds: Sequence[int]) -> list[tuple[int, int]]:
        """Pairs of a slot and its seed."""
        rows = self._rows(slots)
        if len(seeds) != len(rows):
            raise InvalidOptionError(f"seeds: expected {len(rows)}, one a slot, got {len(seeds)}")
        return [(row, int(seed)) for row, seed in zip(rows, seeds, strict=True)]

    def _observations(
        self, slots: Sequence[int], rgb: ArrayLike, pose: ArrayLike, depth: ArrayLike | None
    ) -> Observations:
        """Checked arguments of ``remember``."""
        rows, picture = self._rows(slots), picture_shape(self.image_size)
        colours = checked_pictures(rgb, (len(rows), *picture))
        shape = colours.shape[:2]
        poses = checked_poses(pose, shape)
        near = None if depth is None else checked_depth(depth, (*shape, *picture))
        return Observations(rows, colours, poses, near)

    def _nothing(self) -> Frame:
        """Frame of no slots."""
        picture = picture_shape(self.image_size)
        return Frame(
            rgb=np.zeros((0, *picture, 3), np.uint8),
            depth=np.zeros((0, *picture), np.float32),
            pose=np.zeros((0, 4, 4), np.float32),
            bumped=np.zeros(0, bool),
            coverage=np.zeros(0, np.float32),
        )

    # -- state -----------------------------------------------------------------------------------

    def _own(self) -> dict[str, Any]:
        """Values that identify the world of a state."""
        return {"world": self.kind, "num_envs": self.num_envs, "image_size": self.image_size}

    def _check_state(self, state: dict[str, Any]) -> None:
        """Check that a state fits this world.

        Raises:
            InvalidOptionError: another kind or size of world.
        """
        self._rows(None)
        check_state(state, self._own())
