"""A walker that goes by what it sees: the same rule in the engine and in a generated world.

On a recorded path the camera would be led through walls that a generated world imagined elsewhere;
this walker goes where the world that it sees lets it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mgenv.benchmark.replay import Paths

FORWARD, TURN = 0.2, np.radians(12.0)
CLEAR = 0.7
"""Metres ahead that must be free to go on."""


class Walker:
    """N reactive walkers: ahead where it is clear, else round, sometimes looking about."""

    def __init__(self, count: int, seed: int) -> None:
        self._generators = [np.random.default_rng([seed, index]) for index in range(count)]
        self._turn = np.ones(count)
        self._turning = np.zeros(count, dtype=int)

    def act(self, depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Motions (N, 5) from depth (N, H, W) [m]."""
        height, width = depth.shape[1:]
        band = depth[:, int(0.4 * height) : int(0.75 * height)]
        motion = np.zeros((len(depth), 5), dtype=np.float32)
        for index, view in enumerate(band):
            third = width // 3
            left, right = np.median(view[:, :third]), np.median(view[:, -third:])
            ahead = np.quantile(view[:, third:-third], 0.1)
            motion[index] = self._move(index, ahead, left > right)
        return motion

    def _move(self, index: int, ahead: float, open_left: bool) -> tuple[float, ...]:
        random = self._generators[index]
        if self._turning[index] == 0 and (ahead < CLEAR or random.random() < 0.04):
            self._turn[index] = 1.0 if open_left == (random.random() < 0.8) else -1.0
            self._turning[index] = random.integers(3, 12)
        if self._turning[index] > 0:
            self._turning[index] -= 1
            return (0.0, 0.0, 0.0, self._turn[index] * TURN, 0.0)
        return (FORWARD, 0.0, 0.0, random.normal(0.0, 0.05), 0.0)


def wander(
    world: Any, start: Paths, steps: int, seed: int, report: Callable[[int], None] | None = None
) -> Tensor:
    """Walk a world from the last pose of ``start``: uint8 (N, steps, H, W, 3)."""
    slots = range(len(start.world_ids))
    pose = start.pose[:, -1].cpu().numpy()
    frame = world.begin(slots, start.world_ids, pose=pose)
    walker = Walker(len(slots), seed)
    frames = [frame.rgb]
    for step in range(1, steps):
        frame = world.step(walker.act(frame.depth))
        frames.append(frame.rgb)
        if report is not None:
            report(step + 1)
    return torch.from_numpy(np.stack(frames, 1))
