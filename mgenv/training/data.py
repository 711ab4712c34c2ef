"""Walks through engine worlds, rendered and kept on the training device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from mgenv.engine.scene.world_ids import HELD_OUT
from mgenv.memory.geometry import surface_points

CHUNK = 64
"""Worlds that are built and rendered together."""


@dataclass
class Walks:
    """W walks of T frames.

    Attributes:
        rgb: uint8 (W, T, H, W, 3).
        depth: float16 (W, T, H, W) [m].
        pose: float32 (W, T, 4, 4).
        motion: float32 (W, T, 5), requested; motion[:, t] leads to frame t.
        bumped: bool (W, T).
        points: float32 (W, T, 256, 7), see :func:`surface_points`.
    """

    rgb: Tensor
    depth: Tensor
    pose: Tensor
    motion: Tensor
    bumped: Tensor
    points: Tensor

    @property
    def count(self) -> tuple[int, int]:
        """Number of walks, and of frames per walk."""
        return self.rgb.shape[0], self.rgb.shape[1]


def make_walks(
    world_ids: Sequence[int],
    frames: int,
    image_size: int,
    device: str | torch.device,
    seed: int = 0,
) -> Walks:
    """Explore each world once and render the walk."""
    parts = []
    for start in range(0, len(world_ids), CHUNK):
        ids = world_ids[start : start + CHUNK]
        parts.append(_render_chunk(ids, frames, image_size, device, seed))
    return Walks(*[torch.cat([getattr(p, f.name) for p in parts]) for f in fields(Walks)])


def _render_chunk(
    ids: Sequence[int], frames: int, image_size: int, device: str | torch.device, seed: int
) -> Walks:
    from mgenv.engine.motion import navigation
    from mgenv.engine.render import renderer
    from mgenv.engine.scene import scenes

    batch = scenes.make_scenes(list(ids))
    seeds = [seed * HELD_OUT + int(world_id) for world_id in ids]
    walk = navigation.explore_many(batch, frames, seeds)
    index = np.repeat(np.arange(len(ids)), frames)
    pose = torch.as_tensor(np.asarray(walk.pose, dtype=np.float32))  # (W, T, 4, 4)
    rgb, depth = renderer.render(
        batch, index, pose.reshape(-1, 4, 4).numpy(), image_size=image_size, device=str(device)
    )
    shape = (len(ids), frames)
    depth = depth.reshape(*shape, image_size, image_size)
    pose = pose.to(device)
    return Walks(
        rgb=rgb.reshape(*shape, image_size, image_size, 3),
        depth=depth.half(),
        pose=pose,
        motion=torch.as_tensor(np.asarray(walk.motion, np.float32)).to(device),
        bumped=torch.as_tensor(np.asarray(walk.bumped)).to(device),
        points=surface_points(depth, pose),
    )
