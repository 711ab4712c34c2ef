"""Keys and values of recent frames."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mgenv.models.transformer import KeysValues, Transformer, TransformerConfig, pose_features


@dataclass
class History:
    """The last ``history`` clean frames of B slots.

    Attributes:
        cache: (layers, 2, B, history·S, N, H) rotated keys, and values.
        present: bool (B, history), oldest first.
        pose: (B, 4, 4) of the last frame.
        time: (B,) int64 index of the next frame.
    """

    cache: Tensor
    present: Tensor
    pose: Tensor
    time: Tensor

    @classmethod
    def empty(cls, config: TransformerConfig, batch: int, device: torch.device | str) -> History:
        """History without frames."""
        tokens, head = config.history * config.tokens, config.width // config.heads
        shape = (config.depth, 2, batch, tokens, config.heads, head)
        return cls(
            cache=torch.zeros(shape, device=device),
            present=torch.zeros(batch, config.history, dtype=torch.bool, device=device),
            pose=torch.eye(4, device=device).repeat(batch, 1, 1),
            time=torch.zeros(batch, dtype=torch.int64, device=device),
        )

    def tensors(self) -> list[Tensor]:
        """All tensors, in the order of the constructor's arguments."""
        return [self.cache, self.present, self.pose, self.time]

    def keys_values(self) -> KeysValues:
        """Keys and values, a pair per layer."""
        return [(layer[0], layer[1]) for layer in self.cache]

    def view(self, part: slice | Tensor) -> History:
        """History of some slots; a range is not copied."""
        cache = self.cache[:, :, part]
        return History(cache, self.present[part], self.pose[part], self.time[part])

    def select(self, rows: Tensor) -> History:
        """A copy of some slots."""
        return History(self.cache[:, :, rows], self.present[rows], self.pose[rows], self.time[rows])

    def assign(self, rows: Tensor, other: History) -> None:
        """Overwrite some slots."""
        self.cache[:, :, rows] = other.cache.to(self.cache.dtype)
        self.present[rows], self.pose[rows] = other.present, other.pose
        self.time[rows] = other.time

    def copy_(self, other: History) -> None:
        """Overwrite all slots."""
        self.cache.copy_(other.cache)
        self.present.copy_(other.present)
        self.pose.copy_(other.pose)
        self.time.copy_(other.time)

    def forget(self, rows: Tensor) -> None:
        """Reset some slots."""
        self.present[rows] = False
        self.time[rows] = 0

    @torch.no_grad()
    def append(self, network: Transformer, latents: Tensor, pose: Tensor) -> History:
        """History with one more frame; latents (B, C, h, w), pose (B, 4, 4)."""
        tokens = network.config.tokens
        motion = pose_features(pose, self.pose, self.present[:, -1])
        past = [(keys[:, tokens:], values[:, tokens:]) for keys, values in self.keys_values()]
        present = torch.cat([self.present[:, 1:], torch.ones_like(self.present[:, :1])], 1)
        new = network.history(latents[:, None], motion[:, None], self.time[:, None], present, past)
        cache = torch.empty_like(self.cache)
        cache[:, :, :, :-tokens] = self.cache[:, :, :, tokens:]
        for layer, (keys, values) in zip(cache, new, strict=True):
            layer[0, :, -tokens:], layer[1, :, -tokens:] = keys, values
        return History(cache, present, pose, self.time + 1)
