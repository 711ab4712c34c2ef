"""Two experts, switched by noise level: the 28B of two 14B networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from mgenv.errors import InvalidOptionError
from mgenv.models.matrix_game3.conditions import Conditions, Indices
from mgenv.models.matrix_game3.transformer import Transformer

TIMESTEPS = 1000
"""Timestep of pure noise."""


@dataclass(frozen=True, slots=True)
class MixtureConditions:
    """What a clip fixes, for each expert."""

    high: Conditions
    low: Conditions


class Mixture(nn.Module):
    """A high-noise expert that takes actions, and a low-noise one that does not.

    Args:
        high, low: the experts, of equal latents.
        boundary: noise level in [0, 1] from which on ``high`` is asked. 0.9 is that of the public
            image-to-video network of these sizes; Matrix-Game 3.0's own is not public.
    """

    def __init__(self, high: Transformer, low: Transformer, boundary: float = 0.9) -> None:
        super().__init__()
        if not 0.0 <= boundary <= 1.0:
            raise InvalidOptionError(f"expected a boundary between 0 and 1, got {boundary}")
        if (high.config.in_dim, high.config.out_dim) != (low.config.in_dim, low.config.out_dim):
            raise InvalidOptionError("expected experts with the same latent channels")
        self.high, self.low, self.boundary = high, low, boundary

    def prepare(
        self,
        text: Tensor | Sequence[Tensor],
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
        rest = (memory, memory_latent_idx, predict_latent_idx)
        return MixtureConditions(
            self.high.prepare(text, plucker, keyboard, mouse, *rest, shape=shape),
            self.low.prepare(text, plucker, None, None, *rest, shape=shape),
        )

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        text: Tensor | Sequence[Tensor] | MixtureConditions,
        plucker: Tensor | None = None,
        keyboard: Tensor | None = None,
        mouse: Tensor | None = None,
        memory: Tensor | None = None,
        memory_latent_idx: Indices | None = None,
        predict_latent_idx: Indices | None = None,
    ) -> Tensor:
        """As :meth:`Transformer.forward`, by the expert for the noise level of ``t``."""
        if isinstance(text, MixtureConditions):
            return self.velocity(x, t, text)
        rest = (memory, memory_latent_idx, predict_latent_idx)
        if self.is_noisy(t):
            return self.high(x, t, text, plucker, keyboard, mouse, *rest)
        return self.low(x, t, text, plucker, None, None, *rest)

    def velocity(self, x: Tensor, t: Tensor, conditions: MixtureConditions) -> Tensor:
        """One step's velocity, float32 (B, C, T, h, w)."""
        if self.is_noisy(t):
            return self.high.velocity(x, t, conditions.high)
        return self.low.velocity(x, t, conditions.low)

    def is_noisy(self, t: Tensor) -> bool:
        """Whether the noisiest of each sample's latents is for the high-noise expert.

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
