"""The World protocol: N slots that turn a requested camera motion into the next frame.

A slot is one camera in one world. What a world has shown is kept in its memory, which outlives
episodes. A world knows nothing of robots or tasks.
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
    """What N slots see.

    Attributes:
        rgb: uint8 (N, H, W, 3).
        depth: float32 (N, H, W), metres along the optical axis.
        pose: float32 (N, 4, 4), camera-to-world.
        bumped: bool (N,), whether a wall or an object shortened the last motion.
        coverage: float32 (N,) in [0, 1], the share of the view that memory had seen before.
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
        """What was seen of every world."""
        ...

    def seed(self, slots: Sequence[int], seeds: Sequence[int]) -> None:
        """Give each slot its own generator."""
        ...

    def enter(
        self, slots: Sequence[int], world_ids: Sequence[int], memory: str | Path = "keep"
    ) -> None:
        """Move slots into worlds without showing anything yet.

        Args:
            memory: ``"keep"``, ``"clear"`` (forget all of those worlds) or a file to load into
                the places of ``slots`` only.
        """
        ...

    def begin(
        self,
        slots: Sequence[int],
        world_ids: Sequence[int],
        pose: ArrayLike | None = None,
        memory: str | Path = "keep",
    ) -> Frame:
        """Enter worlds and look: frames of ``slots`` only, in their order.

        Args:
            pose: (len(slots), 4, 4), or None for the first frame of the world's source.
        """
        ...

    def step(
        self, motion: ArrayLike, pose: ArrayLike | None = None, slots: Sequence[int] | None = None
    ) -> Frame:
        """Move and look: frames of ``slots`` only, in their order.

        Args:
            motion: (len(slots), 5), see :mod:`mgenv.camera`.
            pose: (len(slots), 4, 4), where the camera ends whatever the walls say (replay,
                benchmarks).
            slots: the slots to step, all by default; others stay exactly as they are.
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
        """Free what the world holds; later use raises :class:`mgenv.errors.ClosedError`."""
        ...


@dataclass(frozen=True)
class WorldEntry:
    """What a registry may hold of a world in place of its class.

    Attributes:
        load: called with ``num_envs``, ``device`` and the world's own options.
        default_memory: how its places come to be known, ``"scan"`` or ``"fresh"``.
    """

    load: Callable[..., World]
    default_memory: str = "scan"


@runtime_checkable
class ClipWorld(World, Protocol):
    """A world whose step is a clip of several frames: ``step`` then also takes a motion a frame.

    Its motions are (n, 5), held for the clip, or (n, F, 5).
    """

    @property
    def frames_per_step(self) -> int:
        """F that ``step`` always takes."""
        ...

    @property
    def chunks(self) -> list[NDArray[np.uint8]]:
        """Every frame of each slot's last step, uint8 (F, H, W, 3)."""
        ...


@runtime_checkable
class ChoosyWorld(World, Protocol):
    """A world that is what it is: a memory of another place does not fit it."""

    def check_memory(self, path: str | Path) -> None:
        """Make sure that a memory file holds this world's places; nothing changes.

        Raises:
            InvalidOptionError: it holds other places.
            CheckpointError: it is not a memory file.
        """
        ...
