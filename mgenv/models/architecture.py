"""Interface between a generated world and its network.

A checkpoint's header names its architecture. The architecture alone decides what state the network
keeps, how it samples and how it is made fast.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mgenv.memory.reprojection import Canvas
from mgenv.registry import Registry


class State(Protocol):
    """State of a network after the frames of B slots."""

    def tensors(self) -> list[Tensor]:
        """All tensors, in the order of the constructor's arguments."""
        ...

    def view(self, part: slice | Tensor) -> Any:
        """State of some slots; a range is not copied."""
        ...

    def select(self, rows: Tensor) -> Any:
        """A copy of some slots."""
        ...

    def assign(self, rows: Tensor, other: Any) -> None:
        """Overwrite some slots."""
        ...

    def copy_(self, other: Any) -> None:
        """Overwrite all slots."""
        ...

    def forget(self, rows: Tensor) -> None:
        """Reset some slots."""
        ...


class Runner(Protocol):
    """A trained network on a device.

    Attributes:
        noise_shape: shape of the noise of one slot, sampling steps first.
    """

    noise_shape: tuple[int, ...]

    def begin_state(self, batch: int) -> State:
        """State before the first frame."""
        ...

    def observe(self, state: Any, frame: Tensor, pose: Tensor) -> State:
        """State after one more frame: colour and log depth (B, 4, H, W), pose (B, 4, 4)."""
        ...

    def imagine(self, canvas: Canvas, pose: Tensor, state: Any, noise: Tensor) -> Tensor:
        """Latents of the frames at ``pose`` (B, 4, 4), from noise (steps, B, …)."""
        ...

    def decode(self, latents: Tensor, canvas: Canvas) -> Tensor:
        """Colour and log depth (B, 4, H, W) in [-1, 1]."""
        ...

    def estimate_depth(self, rgb: Tensor) -> Tensor:
        """Depth (B, H, W) [m] from colour (B, 3, H, W)."""
        ...


@dataclass(frozen=True)
class Architecture:
    """A kind of world model.

    Attributes:
        build: makes a network with random weights from its configuration as plain values. The
            network's ``config`` has ``image_size`` and ``to_dict()``; its ``architecture`` is the
            registered name.
        run: makes a runner from a network, a device and the number of sampling steps. The network
            is not changed.
    """

    build: Callable[[dict[str, Any]], nn.Module]
    run: Callable[[Any, torch.device, int], Runner]


ARCHITECTURES = Registry(
    "architecture", "mgenv.architectures", {"flow-transformer": "mgenv.models.inference:ENTRY"}
)
"""Architectures by name; packages add theirs by entry points ``mgenv.architectures``."""
