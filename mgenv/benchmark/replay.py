"""Paths through held-out worlds, what the engine shows on them, and what a world makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mgenv.models.world_model import WorldModel
from mgenv.training.data import HELD_OUT, make_walks
from mgenv.worlds.generated import GeneratedWorld


@dataclass
class Paths:
    """The truth along N paths of T frames.

    Attributes:
        rgb: uint8 (N, T, H, W, 3); depth: float (N, T, H, W) [m]; pose: (N, T, 4, 4).
    """

    world_ids: list[int]
    rgb: Tensor
    depth: Tensor
    pose: Tensor

    def until(self, frames: int) -> Paths:
        """The first ``frames`` frames."""
        return Paths(
            self.world_ids, self.rgb[:, :frames], self.depth[:, :frames], self.pose[:, :frames]
        )

    def there_and_back(self) -> Paths:
        """Out along the path and back through the same poses."""
        order = [*range(self.rgb.shape[1]), *reversed(range(self.rgb.shape[1] - 1))]
        return Paths(self.world_ids, self.rgb[:, order], self.depth[:, order], self.pose[:, order])


def held_out(count: int, first: int = HELD_OUT) -> list[int]:
    """World ids that no training ever sees."""
    return list(range(first, first + count))


def true_paths(world_ids: Sequence[int], frames: int, size: int, device: str, seed: int) -> Paths:
    """Walk the worlds in the engine; other seeds take other paths through the same rooms."""
    walks = make_walks(world_ids, frames, size, device, seed)
    return Paths(list(world_ids), walks.rgb, walks.depth.float(), walks.pose)


def make_world(model: WorldModel, count: int, device: str, **options) -> GeneratedWorld:
    """A generated world for benchmarks; weights are shared and already in place."""
    world = GeneratedWorld(model, num_envs=count, device=device, **options)
    world.seed(range(count), range(count))
    return world


def scan(world: GeneratedWorld, known: Paths) -> None:
    """Fill memory with true frames."""
    slots = range(len(known.world_ids))
    world.enter(slots, known.world_ids, "clear")
    world.remember(slots, known.rgb.cpu(), known.pose.cpu(), known.depth.cpu())


def replay(
    world: GeneratedWorld,
    paths: Paths,
    keep: bool = True,
    report: Callable[[int], None] | None = None,
) -> Tensor:
    """Follow paths in a world: its frames, uint8 (N, T, H, W, 3) on the CPU.

    Args:
        keep: begin from what is remembered rather than from the true first frame.
        report: called with the number of frames done.
    """
    slots = range(len(paths.world_ids))
    pose = paths.pose.cpu().numpy()
    memory = "keep" if keep else "clear"
    frames = [world.begin(slots, paths.world_ids, pose=pose[:, 0], memory=memory).rgb]
    still = np.zeros((len(slots), 5), dtype=np.float32)
    for time in range(1, pose.shape[1]):
        frames.append(world.step(still, pose=pose[:, time]).rgb)
        if report is not None:
            report(time + 1)
    return torch.from_numpy(np.stack(frames, 1))
