"""State of the slots of :class:`mgenv.matrix_game3.world.MatrixGame3World`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mgenv.matrix_game3.rollout.state import RolloutState


@dataclass
class Slots:
    """State of all slots, an entry each.

    Attributes:
        tracks: state of each rollout, None before it begins.
        generators: noise generators.
        chunks: uint8 (F, H, W, 3) each, every frame of the last step.
        coverage: float32 (N,), fraction of the last step's views that was in memory.
    """

    tracks: list[RolloutState | None]
    generators: list[torch.Generator]
    chunks: list[NDArray[np.uint8]]
    coverage: NDArray[np.float32]

    @classmethod
    def empty(cls, count: int, blank: NDArray[np.uint8]) -> Slots:
        """Slots that have not begun and show ``blank`` (1, H, W, 3)."""
        generators = [torch.Generator().manual_seed(slot) for slot in range(count)]
        return cls([None] * count, generators, [blank] * count, np.zeros(count, np.float32))

    def get_state(self) -> dict[str, Any]:
        """A copy of everything."""
        return {
            "tracks": [track and track.get_state() for track in self.tracks],
            "generators": [generator.get_state() for generator in self.generators],
            "chunks": [chunk.copy() for chunk in self.chunks],
            "coverage": self.coverage.copy(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Resume from :meth:`get_state`."""
        self.tracks = [track and RolloutState.from_state(track) for track in state["tracks"]]
        for generator, value in zip(self.generators, state["generators"], strict=True):
            generator.set_state(value)
        self.chunks = [chunk.copy() for chunk in state["chunks"]]
        self.coverage = state["coverage"].copy()

    def fork(self, source: int, rows: Sequence[int]) -> None:
        """Make ``rows`` independent copies of ``source``."""
        for row in rows:
            track = self.tracks[source]
            self.tracks[row] = track and track.copy()
            self.generators[row].set_state(self.generators[source].get_state())
            self.chunks[row] = self.chunks[source].copy()
            self.coverage[row] = self.coverage[source]
