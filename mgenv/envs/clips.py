"""Worlds whose step is a clip: an action a frame goes in, every frame comes out in the infos."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgenv.errors import InvalidOptionError
from mgenv.robots import ChunkRobot, Robot
from mgenv.worlds.base import ClipWorld, World


def clip_world(world: World) -> ClipWorld | None:
    """The world itself if its step is a clip, else None."""
    return world if isinstance(world, ClipWorld) else None


def chunked(robot: Robot, clips: ClipWorld | None) -> Robot:
    """A robot that takes an action for each frame of a step.

    Raises:
        InvalidOptionError: a step of the world is one frame.
    """
    if clips is None:
        raise InvalidOptionError(
            "action_chunks: expected a world whose step is a clip of frames (matrix-game-3), "
            "got one that makes a single frame a step"
        )
    return ChunkRobot(robot, clips.frames_per_step)


def clip_frames(clips: ClipWorld | None, slots: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """The info ``frames``: for each of ``slots`` (n,) a copy, uint8 (F, H, W, 3), F its own."""
    if clips is None:
        return {}
    chunks, frames = clips.chunks, np.empty(len(slots), object)
    for row, slot in enumerate(slots):
        frames[row] = chunks[slot].copy()
    return {"frames": frames}
