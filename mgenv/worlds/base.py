"""The World protocol: N slots that turn a requested camera motion into the next frame.

A slot is one camera in one world. A world remembers frames across episodes. It does not depend on
robots or tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mgenv.camera import ImageSize
from mgenv.memory.bank import MemoryBank


@dataclass
class Frame:
    """Frames of N slots.

    Attributes:
        rgb: uint8 (N, H, W, 3).
        depth: float32 (N, H, W), metres along the optical axis.
        pose: float32 (N, 4, 4), camera-to-world.
        bumped: bool (N,), whether a collision shortened the last motion.
        coverage: float32 (N,) in [0, 1], fraction of the view that was in memory before.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    pose: NDArray[np.float32]
    bumped: NDArray[np.bool_]
    coverage: NDArray[np.float32]


@runtime_checkable
class World(Protocol):
    """N slots that turn a requested camera motion into the next frame."""

    num_envs: int

    @property
    def image_size(self) -> ImageSize:
        """Side of square frames, or height and width."""
        ...

    @property
    def memory(self) -> MemoryBank:
        """Remembered frames of every world."""
        ...

    def seed(self, slots: Sequence[int], seeds: Sequence[int]) -> None:
        """Give each slot its own generator."""
        ...

    def enter(
        self, slots: Sequence[int], world_ids: Sequence[int], memory: str | Path = "keep"
    ) -> None:
        """Move slots into worlds without making a frame.

        Args:
            memory: ``"keep"``, ``"clear"`` (forget these worlds) or a file to load into the
                places of ``slots`` only.
        """
        ...

    def begin(
        self,
        slots: Sequence[int],
        world_ids: Sequence[int],
        pose: ArrayLike | None = None,
        memory: str | Path = "keep",
    ) -> Frame:
        """Enter worlds and return the first frames of ``slots``, in their order.

        Args:
            pose: (len(slots), 4, 4), or None for the first frame of the world's source.
        """
        ...

    def step(
        self, motion: ArrayLike, pose: ArrayLike | None = None, slots: Sequence[int] | None = None
    ) -> Frame:
        """Move and return the new frames of ``slots``, in their order.

        Args:
            motion: (len(slots), 5), see :mod:`mgenv.camera`.
            pose: (len(slots), 4, 4), poses to move to without collisions (replay, benchmarks).
            slots: the slots to step, all by default; others do not change.
        """
        ...

    def remember(
        self, slots: Sequence[int], rgb: ArrayLike, pose: ArrayLike, depth: ArrayLike | None = None
    ) -> None:
        """Put observed frames into the memory of those slots' worlds.

        Args:
            rgb: uint8 (len(slots), T, H, W, 3).
            pose: (len(slots), T, 4, 4).
            depth: float (len(slots), T, H, W) [m]; estimated by the model where None.
        """
        ...

    def get_state(self) -> dict[str, Any]:
        """Everything that the next step depends on, memory and generators included."""
        ...

    def set_state(self, state: dict[str, Any]) -> None:
        """Resume exactly from ``get_state``."""
        ...

    def fork(self, from_slot: int, to_slots: Sequence[int]) -> None:
        """Make ``to_slots`` exact, independent copies of ``from_slot``."""
        ...

    def close(self) -> None:
        """Free resources; later use raises :class:`mgenv.errors.ClosedError`."""
        ...


@dataclass(frozen=True)
class WorldEntry:
    """Registry entry of a world that is made by a function.

    Attributes:
        load: called with ``num_envs``, ``device`` and the world's own options.
        default_memory: default of the option ``memory``, ``"scan"`` or ``"fresh"``.
    """

    load: Callable[..., World]
    default_memory: str = "scan"


@runtime_checkable
class ClipWorld(World, Protocol):
    """A world whose step is a clip of several frames.

    ``step`` takes motions (n, 5), held for the clip, or (n, F, 5), one a frame.
    """

    @property
    def frames_per_step(self) -> int:
        """Number of motions F that every step accepts."""
        ...

    @property
    def chunks(self) -> list[NDArray[np.uint8]]:
        """Every frame of each slot's last step, uint8 (F, H, W, 3)."""
        ...


@runtime_checkable
class ChoosyWorld(World, Protocol):
    """A world with fixed places: memory of other places is rejected."""

    def check_memory(self, path: str | Path) -> None:
        """Check that a memory file holds this world's places; nothing changes.

        Raises:
            InvalidOptionError: the file holds other places.
            CheckpointError: not a memory file.
        """
        ...
