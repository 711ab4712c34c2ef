"""The model's own residuals, drawn as errors on its context (Matrix-Game 3.0's error buffer).

Residuals are kept in pixels and log depth, by noise level: a history frame, a remembered frame and
a canvas source all pass through pixels here, so one buffer serves them all.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mgenv.models.vae import channel_to_depth, depth_to_channel


class ErrorBuffer:
    """Residuals predicted - true (R, 4, H, W) of colour and log depth, by noise level.

    Args:
        image_size: side of the frames.
        device: where residuals lie.
        levels: buckets of noise level.
        entries: residuals a bucket; the oldest are overwritten.
    """

    def __init__(
        self, image_size: int, device: str | torch.device, levels: int = 10, entries: int = 256
    ) -> None:
        shape = (levels, entries, 4, image_size, image_size)
        self.residuals = torch.zeros(shape, dtype=torch.float16, device=device)
        self.filled = torch.zeros(levels, dtype=torch.int64, device=device)
        self._next = torch.zeros(levels, dtype=torch.int64, device=device)

    @torch.no_grad()
    def add(self, residual: Tensor, sigma: Tensor) -> None:
        """Store residuals (M, 4, H, W) made at noise levels ``sigma`` (M,)."""
        levels, entries = self.residuals.shape[:2]
        bucket = (sigma * levels).long().clamp(0, levels - 1)
        one_hot = torch.nn.functional.one_hot(bucket, levels)
        order = (one_hot.cumsum(0) - 1).gather(1, bucket[:, None])[:, 0]
        place = (self._next[bucket] + order) % entries
        self.residuals[bucket, place] = residual.to(torch.float16)
        added = one_hot.sum(0)
        self._next.add_(added).remainder_(entries)
        self.filled.add_(added).clamp_(max=entries)

    def inject(
        self, rgb: Tensor, depth: Tensor, probability: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """x̃ = x + γδ on a share of clips.

        Args:
            rgb: (B, F, 3, H, W); depth: (B, F, 1, H, W) [m].
            probability: share of clips whose frames carry errors; γ is uniform in [0, 1] a frame.
        """
        shape = rgb.shape[:2]
        strength = self._strength(shape, probability, generator)[..., None, None, None]
        delta = self._draw(shape, generator) * strength
        noisy = channel_to_depth(depth_to_channel(depth) + delta[:, :, 3:])
        return (rgb + delta[:, :, :3]).clamp(-1, 1), noisy

    def corrupt_sources(
        self, rgb: Tensor, depth: Tensor, probability: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Turn the sources of a share of canvases into what generated frames look like.

        Args:
            rgb: (B, K, 3, H, W); depth: (B, K, H, W) [m].

        Returns:
            rgb, depth, and observed (B, K) bool, False where errors were put on.
        """
        clean, noisy = rgb, depth.unsqueeze(2)
        rgb, noisy = self.inject(rgb, noisy, probability, generator)
        observed = ((rgb - clean).abs().amax((2, 3, 4))) < 1e-6
        return rgb, noisy.squeeze(2), observed

    def _strength(
        self, shape: torch.Size, probability: float, generator: torch.Generator
    ) -> Tensor:
        device = self.residuals.device
        chosen = torch.rand(shape[0], 1, generator=generator, device=device) < probability
        return torch.rand(shape, generator=generator, device=device) * chosen

    def _draw(self, shape: torch.Size, generator: torch.Generator) -> Tensor:
        """Residuals, uniform over noise levels; zero from a bucket that is still empty."""
        levels, device = len(self.filled), self.residuals.device
        bucket = torch.randint(levels, shape, generator=generator, device=device)
        uniform = torch.rand(shape, generator=generator, device=device)
        return self.residuals[bucket, (uniform * self.filled[bucket]).long()].float()
