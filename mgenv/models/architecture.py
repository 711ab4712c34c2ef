"""The seam of world models: what a generated world asks of a network, whatever it is made of.

A checkpoint's header carries the name of its architecture. What a network keeps of the past, how it
samples and what makes it fast are its own affair.
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
    """What a network keeps of the past of B slots."""

    def tensors(self) -> list[Tensor]:
        """All of it, as the class takes them again."""
        ...

    def view(self, part: slice | Tensor) -> Any:
        """Some slots, of a range not copied."""
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
        """Start some slots afresh."""
        ...


class Runner(Protocol):
    """A trained network that runs on a device.

    Attributes:
        noise_shape: of one slot's draws: sampling steps first.
    """

    noise_shape: tuple[int, ...]

    def begin_state(self, batch: int) -> State:
        """Nothing seen yet."""
        ...

    def observe(self, state: Any, frame: Tensor, pose: Tensor) -> State:
        """The state with one more frame: colour and log depth (B, 4, H, W), pose (B, 4, 4)."""
        ...

    def imagine(self, canvas: Canvas, pose: Tensor, state: Any, noise: Tensor) -> Tensor:
        """Latents of the frames at ``pose`` (B, 4, 4), from noise (steps, B, …)."""
        ...

    def decode(self, latents: Tensor, canvas: Canvas) -> Tensor:
        """Colour and log depth (B, 4, H, W) in [-1, 1]."""
        ...

    def estimate_depth(self, rgb: Tensor) -> Tensor:
        """Depth (B, H, W) [m] of colour (B, 3, H, W) alone."""
        ...


@dataclass(frozen=True)
class Architecture:
    """A kind of world model.

    Attributes:
        build: a network with random weights from the plain values of its configuration. Its
            ``config`` has ``image_size`` and ``to_dict()``, and its ``architecture`` is the name.
        run: a network, a device and the number of sampling steps to a runner; the network itself
            stays as it is.
    """

    build: Callable[[dict[str, Any]], nn.Module]
    run: Callable[[Any, torch.device, int], Runner]


ARCHITECTURES = Registry(
    "architecture", "mgenv.architectures", {"flow-transformer": "mgenv.models.inference:ENTRY"}
)
"""Architectures by name; packages add theirs by entry points ``mgenv.architectures``."""
