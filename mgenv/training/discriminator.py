"""Tells rendered frames from imagined ones, patch by patch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Discriminator(nn.Module):
    """Colour, log depth and the memory mask (B, 5, H, W) to logits (B, 2, H/8, W/8).

    One net looks at the frame, one at half its size, where a patch is a larger part of a room; its
    logits are repeated. The mask tells them where the frame was imagined; it is the same for the
    true and the false one.
    """

    def __init__(self, widths: tuple[int, int, int] = (64, 128, 256)) -> None:
        super().__init__()
        self.at_full, self.at_half = _patches(*widths), _patches(*widths)

    def forward(self, frame: Tensor, mask: Tensor) -> Tensor:
        both = torch.cat([frame, mask], 1)
        fine, coarse = self.at_full(both), self.at_half(F.avg_pool2d(both, 2))
        return torch.cat([fine, F.interpolate(coarse, fine.shape[-2:])], 1)


def _patches(a: int, b: int, c: int) -> nn.Sequential:
    """(B, 5, H, W) to a logit a patch, (B, 1, H/8, W/8)."""
    layers: list[nn.Module] = [nn.Conv2d(5, a, 3, padding=1), nn.LeakyReLU(0.2)]
    layers += [nn.Conv2d(a, a, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    for inputs, outputs, side, stride in ((a, b, 4, 2), (b, b, 3, 1), (b, c, 4, 2), (c, c, 3, 1)):
        layers.append(nn.Conv2d(inputs, outputs, side, stride, padding=1))
        layers += [nn.GroupNorm(8, outputs), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(c, 1, 3, padding=1))


def discriminator_loss(
    critic: Discriminator, true: Tensor, false: Tensor, mask: Tensor, smoothness: float = 20.0
) -> Tensor:
    """Relativistic loss with smoothness around both kinds of frame.

    Sources: the pairing is R3GAN's (arXiv 2501.05441); the finite-difference gradient penalty is
    that of adversarial post-training (arXiv 2501.08316).
    """
    both = torch.cat([true, false])
    masks = torch.cat([mask, mask])
    logits = critic(both, masks)
    real, fake = logits.chunk(2)
    shifted = critic(both + 0.02 * torch.randn_like(both), masks)
    return F.softplus(fake - real).mean() + smoothness * (logits - shifted).square().mean()


def generator_loss(critic: Discriminator, true: Tensor, false: Tensor, mask: Tensor) -> Tensor:
    """How much more real the true frames look, a patch: (B, H/8, W/8)."""
    with torch.no_grad():
        real = critic(true, mask)
    return F.softplus(real - critic(false, mask)).mean(1)
