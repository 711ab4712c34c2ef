"""Refines decoded frames with the canvas: blending, edges, sharpness of holes.

A gate per pixel takes remembered content from the canvas directly, not through the autoencoder.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgenv.config import option, settings
from mgenv.models.vae import ResBlock


@settings
class RefinerConfig:
    """Sizes of the refiner."""

    widths: tuple[int, int] = option((48, 96), "channels at 1/2 and 1/4 scale")


class Refiner(nn.Module):
    """Decoded frame and canvas to colour and log depth."""

    def __init__(self, config: RefinerConfig) -> None:
        super().__init__()
        self.config = config
        a, b = config.widths
        self.inner = nn.Conv2d(48, a, 3, padding=1)
        self.fine = nn.Sequential(ResBlock(a), ResBlock(a))
        self.down = nn.Conv2d(a, b, 3, stride=2, padding=1)
        self.coarse = nn.Sequential(ResBlock(b), ResBlock(b), ResBlock(b))
        self.up = nn.Conv2d(b, 4 * a, 1)
        self.last = nn.Sequential(ResBlock(a), ResBlock(a), nn.GroupNorm(8, a), nn.SiLU())
        self.out = nn.Conv2d(a, 20, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, decoded: Tensor, canvas: Tensor, mask: Tensor, evidence: Tensor) -> Tensor:
        """Refine frames.

        Args:
            decoded: (B, 4, H, W) colour and log depth from the decoder.
            canvas: (B, 4, H, W) colour and log depth from memory, holes filled.
            mask: (B, 1, H, W) 1 where memory covers the pixel.
            evidence: (B, 3, H, W) quality of the canvas, as in :class:`Canvas`.

        Returns:
            (B, 4, H, W) colour and log depth, about [-1, 1].
        """
        whole = torch.cat([decoded, canvas, mask, evidence], 1)
        x = F.pixel_unshuffle(whole, 2)  # (B, 48, H/2, W/2)
        x = self.fine(self.inner(x))
        x = x + F.pixel_shuffle(self.up(self.coarse(self.down(x))), 2)
        change, gate = F.pixel_shuffle(self.out(self.last(x)), 2).split([4, 1], 1)
        gate = torch.sigmoid(gate + 4 * mask - 2)
        return gate * canvas + (1 - gate) * decoded + change
