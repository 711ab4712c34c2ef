"""The model's own residuals, added to its context in training (Matrix-Game 3.0's error buffer).

Residuals are in pixels and log depth, by noise level. History frames, remembered frames and canvas
sources are all pixels at this point, so one buffer serves them all.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mgenv.models.vae import channel_to_depth, depth_to_channel

LEVELS = 10
"""Buckets of noise level."""

ENTRIES = 256
"""Residuals per bucket; the oldest are overwritten."""


class ErrorBuffer:
    """Residuals predicted - true (R, 4, H, W) of colour and log depth, by noise level.

    Args:
        image_size: side of the frames.
        device: of the residuals.
    """

    def __init__(self, image_size: int, device: str | torch.device) -> None:
        shape = (LEVELS, ENTRIES, 4, image_size, image_size)
        self.residuals = torch.zeros(shape, dtype=torch.float16, device=device)
        self.filled = torch.zeros(LEVELS, dtype=torch.int64, device=device)
        self._next = torch.zeros(LEVELS, dtype=torch.int64, device=device)

    @torch.no_grad()
    def add(self, residual: Tensor, sigma: Tensor) -> None:
        """Store residuals (M, 4, H, W) made at noise levels ``sigma`` (M,)."""
        bucket = (sigma * LEVELS).long().clamp(0, LEVELS - 1)
        one_hot = torch.nn.functional.one_hot(bucket, LEVELS)
        order = (one_hot.cumsum(0) - 1).gather(1, bucket[:, None])[:, 0]
        place = (self._next[bucket] + order) % ENTRIES
        self.residuals[bucket, place] = residual.to(torch.float16)
        added = one_hot.sum(0)
        self._next.add_(added).remainder_(ENTRIES)
        self.filled.add_(added).clamp_(max=ENTRIES)

    def inject(
        self, rgb: Tensor, depth: Tensor, probability: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Add errors to a share of clips: x̃ = x + γδ.

        Args:
            rgb: (B, F, 3, H, W); depth: (B, F, 1, H, W) [m].
            probability: share of clips that get errors; γ is uniform in [0, 1], per frame.
        """
        shape = rgb.shape[:2]
        strength = self._strength(shape, probability, generator)[..., None, None, None]
        delta = self._draw(shape, generator) * strength
        noisy = channel_to_depth(depth_to_channel(depth) + delta[:, :, 3:])
        return (rgb + delta[:, :, :3]).clamp(-1, 1), noisy

    def corrupt_sources(
        self, rgb: Tensor, depth: Tensor, probability: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Add errors to the sources of a share of canvases, which then count as generated.

        Args:
            rgb: (B, K, 3, H, W); depth: (B, K, H, W) [m].

        Returns:
            rgb, depth, and observed bool (B, K), False where errors were added.
        """
        noisy, noisy_depth = self.inject(rgb, depth.unsqueeze(2), probability, generator)
        observed = (noisy - rgb).abs().amax((2, 3, 4)) < 1e-6
        return noisy, noisy_depth.squeeze(2), observed

    def _strength(
        self, shape: torch.Size, probability: float, generator: torch.Generator
    ) -> Tensor:
        device = self.residuals.device
        chosen = torch.rand(shape[0], 1, generator=generator, device=device) < probability
        return torch.rand(shape, generator=generator, device=device) * chosen

    def _draw(self, shape: torch.Size, generator: torch.Generator) -> Tensor:
        """Residuals, uniform over noise levels; zeros from an empty bucket."""
        device = self.residuals.device
        bucket = torch.randint(LEVELS, shape, generator=generator, device=device)
        uniform = torch.rand(shape, generator=generator, device=device)
        return self.residuals[bucket, (uniform * self.filled[bucket]).long()].float()
