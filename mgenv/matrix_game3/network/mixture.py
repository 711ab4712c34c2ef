"""Mixture of two experts by noise level: the 28B of two 14B networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mgenv.errors import InvalidOptionError
from mgenv.matrix_game3.network.conditions import Conditions, Indices, Prompt
from mgenv.matrix_game3.network.config import TransformerConfig
from mgenv.matrix_game3.network.transformer import Transformer
from mgenv.matrix_game3.speed.parallel import Shard

TIMESTEPS = 1000
"""Timestep of pure noise."""

BOUNDARY = 0.9
"""Noise level at which experts change in the public image-to-video network of these sizes. That of
Matrix-Game 3.0 is not public."""


@dataclass(frozen=True, slots=True)
class MixtureConditions:
    """Conditions of a clip for each expert."""

    high: Conditions
    low: Conditions

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """B, T, h, w of the current latents."""
        return self.high.shape


@dataclass(frozen=True, slots=True)
class MixturePrompt:
    """A prompt as each expert's ``read`` returns it."""

    high: Prompt
    low: Prompt


class Mixture(nn.Module):
    """A high-noise expert with actions and a low-noise expert without.

    It has the interface that a rollout uses of a :class:`Transformer`.

    Args:
        high, low: the experts, with equal latents, device and precision.
        boundary: lowest noise level in [0, 1] of the expert ``high``.
    """

    def __init__(self, high: Transformer, low: Transformer, boundary: float = BOUNDARY) -> None:
        super().__init__()
        if not 0.0 <= boundary <= 1.0:
            raise InvalidOptionError(f"expected a boundary between 0 and 1, got {boundary}")
        if (high.config.in_dim, high.config.out_dim) != (low.config.in_dim, low.config.out_dim):
            raise InvalidOptionError("expected experts with the same latent channels")
        self.high, self.low, self.boundary = high, low, boundary

    def experts(self) -> tuple[Transformer, Transformer]:
        """Both experts."""
        return self.high, self.low

    @property
    def config(self) -> TransformerConfig:
        """Configuration of the high-noise expert, which takes every input."""
        return self.high.config

    @property
    def device(self) -> torch.device:
        """Device of the experts."""
        return self.high.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the blocks' matrix products."""
        return self.high.dtype

    @property
    def stream_dtype(self) -> torch.dtype:
        """Type of the tokens between blocks, in both experts."""
        return self.high.stream_dtype

    @stream_dtype.setter
    def stream_dtype(self, dtype: torch.dtype) -> None:
        self.high.stream_dtype = self.low.stream_dtype = dtype

    @property
    def shard(self) -> Shard:
        """This process's share of the tokens."""
        return self.high.shard

    def spread(self, shard: Shard) -> Mixture:
        """As :meth:`Transformer.spread`, for both experts."""
        self.high.spread(shard)
        self.low.spread(shard)
        return self

    def read(self, text: Tensor | Sequence[Tensor]) -> MixturePrompt:
        """As :meth:`Transformer.read`, for both experts."""
        return MixturePrompt(self.high.read(text), self.low.read(text))

    def prepare(
        self,
        text: Tensor | Sequence[Tensor] | MixturePrompt,
        plucker: Tensor | None = None,
        keyboard: Tensor | None = None,
        mouse: Tensor | None = None,
        memory: Tensor | None = None,
        memory_latent_idx: Indices | None = None,
        predict_latent_idx: Indices | None = None,
        *,
        shape: Sequence[int] | None = None,
    ) -> MixtureConditions:
        """As :meth:`Transformer.prepare`, for both; only the high-noise expert sees actions."""
        prompt = text if isinstance(text, MixturePrompt) else self.read(text)
        rest = (memory, memory_latent_idx, predict_latent_idx)
        return MixtureConditions(
            self.high.prepare(prompt.high, plucker, keyboard, mouse, *rest, shape=shape),
            self.low.prepare(prompt.low, plucker, None, None, *rest, shape=shape),
        )

    def forward(self, x: Tensor, t: Tensor, conditions: MixtureConditions) -> Tensor:
        """As :meth:`Transformer.forward`, by the expert for the noise level of ``t``.

        Args:
            x: (B, C, T, h, w) current latents, clean past ones first.
            t: timesteps in 0 … 1000.
            conditions: from :meth:`prepare`.

        Returns:
            float32 (B, C, T, h, w).

        Raises:
            InvalidOptionError: samples of the batch are on different sides of the boundary.
        """
        return self.velocity(x, t, conditions)

    def velocity(
        self, x: Tensor, t: Tensor, conditions: MixtureConditions, new: int = 0, draft: bool = False
    ) -> Tensor:
        """As :meth:`Transformer.velocity`, by the expert for the noise level of ``t``."""
        if self.is_noisy(t):
            return self.high.velocity(x, t, conditions.high, new, draft)
        return self.low.velocity(x, t, conditions.low, new, draft)

    def is_noisy(self, t: Tensor) -> bool:
        """Whether the noisiest latent of each sample is for the high-noise expert.

        Raises:
            InvalidOptionError: samples of the batch are on different sides of the boundary.
        """
        level = t.reshape(len(t), -1).amax(1) if t.ndim else t[None]  # (B,)
        high = (level >= self.boundary * TIMESTEPS).tolist()
        if any(high) != all(high):
            raise InvalidOptionError(
                f"expected a batch on one side of timestep {self.boundary * TIMESTEPS:g}, "
                f"got {level.tolist()}"
            )
        return high[0]
