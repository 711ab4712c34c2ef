"""Patch discriminator of rendered against generated frames, and its losses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMOOTHNESS = 20.0
"""Weight of the gradient penalty."""


class Discriminator(nn.Module):
    """Colour, log depth and the memory mask (B, 5, H, W) to logits (B, 2, H/8, W/8).

    One network sees the frame at full size, another at half size, where a patch covers more of a
    room; its logits are repeated. The mask marks what memory covers; it is the same for the true
    and the false frame.
    """

    def __init__(self, widths: tuple[int, int, int] = (64, 128, 256)) -> None:
        super().__init__()
        self.at_full, self.at_half = _patches(*widths), _patches(*widths)

    def forward(self, frame: Tensor, mask: Tensor) -> Tensor:
        both = torch.cat([frame, mask], 1)
        fine, coarse = self.at_full(both), self.at_half(F.avg_pool2d(both, 2))
        return torch.cat([fine, F.interpolate(coarse, fine.shape[-2:])], 1)


def _patches(a: int, b: int, c: int) -> nn.Sequential:
    """Convolutions from (B, 5, H, W) to one logit per patch, (B, 1, H/8, W/8)."""
    layers: list[nn.Module] = [nn.Conv2d(5, a, 3, padding=1), nn.LeakyReLU(0.2)]
    layers += [nn.Conv2d(a, a, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    for inputs, outputs, side, stride in ((a, b, 4, 2), (b, b, 3, 1), (b, c, 4, 2), (c, c, 3, 1)):
        layers.append(nn.Conv2d(inputs, outputs, side, stride, padding=1))
        layers += [nn.GroupNorm(8, outputs), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(c, 1, 3, padding=1))


def discriminator_loss(critic: Discriminator, true: Tensor, false: Tensor, mask: Tensor) -> Tensor:
    """Relativistic loss with a gradient penalty on true and false frames.

    Sources: the relativistic pairing of R3GAN (arXiv 2501.05441); the finite-difference gradient
    penalty of adversarial post-training (arXiv 2501.08316).
    """
    both = torch.cat([true, false])
    masks = torch.cat([mask, mask])
    logits = critic(both, masks)
    real, fake = logits.chunk(2)
    shifted = critic(both + 0.02 * torch.randn_like(both), masks)
    return F.softplus(fake - real).mean() + SMOOTHNESS * (logits - shifted).square().mean()


def generator_loss(critic: Discriminator, true: Tensor, false: Tensor, mask: Tensor) -> Tensor:
    """Relativistic generator loss per patch: (B, H/8, W/8)."""
    with torch.no_grad():
        real = critic(true, mask)
    return F.softplus(real - critic(false, mask)).mean(1)
