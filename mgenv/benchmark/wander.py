"""Walks by sight through the engine and through generated worlds, by the same walkers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mgenv.benchmark.replay import Paths
from mgenv.training.walkers import Habits, Walkers

TURN = math.radians(12.0)
HABITS = Habits(forward=(0.2, 0.2), turn=(TURN, TURN), clear=(0.7, 0.7))


def wander(
    world: Any, start: Paths, steps: int, seed: int, report: Callable[[int], None] | None = None
) -> Tensor:
    """Walk a world from the last pose of ``start``: uint8 (N, steps, H, W, 3)."""
    slots = range(len(start.world_ids))
    pose = start.pose[:, -1].cpu().numpy()
    frame = world.begin(slots, start.world_ids, pose=pose)
    walkers = Walkers(len(slots), torch.Generator().manual_seed(seed), HABITS)
    frames = [frame.rgb]
    for step in range(1, steps):
        motion = walkers.act(torch.from_numpy(np.ascontiguousarray(frame.depth)))
        frame = world.step(motion.numpy())
        frames.append(frame.rgb)
        if report is not None:
            report(step + 1)
    return torch.from_numpy(np.stack(frames, 1))
