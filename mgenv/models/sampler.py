"""Few-step sampling of a flow: jump to the clean estimate, add less noise, jump again."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

SHIFT = 2.0


def noise_levels(steps: int) -> list[float]:
    """Noise levels from 1 down to 0, ``steps`` + 1 of them.

    Example:
        >>> noise_levels(1)
        [1.0, 0.0]
    """
    uniform = [1 - index / steps for index in range(steps + 1)]
    return [SHIFT * u / (1 + (SHIFT - 1) * u) for u in uniform]


def clean_estimate(noisy: Tensor, velocity: Tensor, sigma: Tensor | float) -> Tensor:
    """Data that the velocity at noise level ``sigma`` points to: x0 = x - sigma v."""
    return noisy - sigma * velocity


def add_noise(clean: Tensor, noise: Tensor, sigma: Tensor | float) -> Tensor:
    """The straight path of flow matching: (1 - sigma) x0 + sigma noise (arXiv 2210.02747)."""
    return (1 - sigma) * clean + sigma * noise


def sample(
    velocity: Callable[[Tensor, Tensor], Tensor], noise: Callable[[], Tensor], steps: int
) -> Tensor:
    """Draw latents.

    Args:
        velocity: (noisy (B, C, h, w), sigma (B,)) -> velocity.
        noise: fresh standard normal latents (B, C, h, w), one call a step.
        steps: evaluations of the network.
    """
    levels = noise_levels(steps)
    noisy = noise()
    clean = noisy
    for index, sigma in enumerate(levels[:-1]):
        at = torch.full((len(noisy),), sigma, device=noisy.device)
        clean = clean_estimate(noisy, velocity(noisy, at), sigma)
        if index + 1 < steps:
            noisy = add_noise(clean, noise(), levels[index + 1])
    return clean
