"""How tests go through generated worlds."""

from __future__ import annotations

import numpy as np
import torch

from mgenv.worlds.base import Frame
from mgenv.worlds.generated import GeneratedWorld

FORWARD = np.array([0.2, 0.0, 0.0, 0.0, 0.0], np.float32)
TURN = np.array([0.0, 0.0, 0.0, 0.3, 0.0], np.float32)
IDS = [1_000_000, 1_000_001]


def tensor(array) -> torch.Tensor:
    return torch.as_tensor(np.asarray(array, np.float32))


def steps(world: GeneratedWorld, motion, count: int = 3, slots=None) -> list[Frame]:
    number = world.num_envs if slots is None else len(slots)
    return [world.step(np.tile(motion, (number, 1)), slots=slots) for _ in range(count)]


def row(frame: Frame, index: int) -> dict:
    return {name: value[index] for name, value in vars(frame).items()}
