"""How episodes are drawn, before anything of them is done."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mgenv.camera import Pose
from mgenv.tasks import Episode, Place

MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class Start:
    """The beginning of an episode.

    Attributes:
        slot: whose.
        world_id: where.
        at: x, y, z [m], yaw [rad]; None for the first frame of the world's source.
        seed: of the episode.
        place: what its place was first remembered by; None where nothing is.
        episode: the one to play again; None to draw a goal.
    """

    slot: int
    world_id: int
    at: tuple[float, float, float, float] | None
    seed: int
    place: Place | None
    episode: Episode | None = None

    @property
    def pose(self) -> NDArray[np.float32] | None:
        """A level camera there: (4, 4)."""
        if self.at is None:
            return None
        at = torch.tensor(self.at, dtype=torch.float32)
        return Pose.create(at[:3], at[3]).matrix.numpy()


def draw_start(
    slot: int, world_id: int, place: Place | None, generator: np.random.Generator
) -> Start:
    """An episode that starts at a known position with any heading."""
    index, turn = generator.random(2)
    seed = int(generator.integers(MAX_SEED))
    if place is None:
        return Start(slot, world_id, None, seed, None)
    x, y, z = place.pose[place.starts[int(index * len(place.starts))], :3, 3].tolist()
    return Start(slot, world_id, (x, y, z, 2 * np.pi * turn - np.pi), seed, place)


def replayed(slot: int, episode: Episode, place: Place | None) -> Start:
    """An episode that is played again."""
    return Start(slot, episode.world_id, episode.start, episode.seed, place, episode)
