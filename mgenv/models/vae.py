"""Frames to latents and back: colour and depth in one autoencoder, stride 8.

The decoder runs in every environment step, so it is narrow (about 0.1 GMAC a frame). Depth is
encoded as normalised log depth, which makes errors relative to the distance.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgenv.config import option, settings

NEAR, FAR = 0.1, 20.0
UNKNOWN_DEPTH = -2.0
"""Value of the depth channel where depth was not measured."""
_LOG_NEAR, _LOG_FAR = math.log(NEAR), math.log(FAR)


def depth_to_channel(depth: Tensor) -> Tensor:
    """Depth [m] to log depth in [-1, 1]."""
    log = depth.clamp(NEAR, FAR).log()
    return (log - _LOG_NEAR) / (_LOG_FAR - _LOG_NEAR) * 2 - 1


def channel_to_depth(channel: Tensor) -> Tensor:
    """Inverse of :func:`depth_to_channel`."""
    unit = (channel.clamp(-1, 1) + 1) / 2
    return (unit * (_LOG_FAR - _LOG_NEAR) + _LOG_NEAR).exp()


@settings
class VAEConfig:
    """Sizes of the autoencoder."""

    latent_channels: int = option(24, "channels of a latent cell")
    encoder_widths: tuple[int, int, int] = option((32, 80, 112), "channels at 1/2, 1/4, 1/8 scale")
    decoder_widths: tuple[int, int, int] = option((32, 80, 128), "channels at 1/2, 1/4, 1/8 scale")


class ResBlock(nn.Module):
    """Two 3×3 convolutions with a group norm in front."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.silu(self.first(F.silu(self.norm(x)))))


def _stage(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*[ResBlock(width) for _ in range(blocks)])


class Encoder(nn.Module):
    """(B, 4, H, W) colour and log depth to mean and log variance (B, 2C, H/8, W/8)."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        a, b, c = config.encoder_widths
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(16, a, 3, padding=1),
            _stage(a, 1),
            nn.Conv2d(a, b, 3, stride=2, padding=1),
            _stage(b, 2),
            nn.Conv2d(b, c, 3, stride=2, padding=1),
            _stage(c, 2),
            nn.GroupNorm(8, c),
            nn.SiLU(),
            nn.Conv2d(c, 2 * config.latent_channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Decoder(nn.Module):
    """Latents (B, C, h, w) to colour and log depth (B, 4, 8h, 8w)."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        a, b, c = config.decoder_widths
        self.layers = nn.Sequential(
            nn.Conv2d(config.latent_channels, c, 3, padding=1),
            _stage(c, 2),
            nn.Conv2d(c, 4 * b, 1),
            nn.PixelShuffle(2),
            _stage(b, 2),
            nn.Conv2d(b, 4 * a, 1),
            nn.PixelShuffle(2),
            _stage(a, 1),
            nn.GroupNorm(8, a),
            nn.SiLU(),
            nn.Conv2d(a, 16, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def forward(self, latents: Tensor) -> Tensor:
        return self.layers(latents)


class VAE(nn.Module):
    """Autoencoder with latents scaled to unit variance a channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder, self.decoder = Encoder(config), Decoder(config)
        self.register_buffer("mean", torch.zeros(config.latent_channels))
        self.register_buffer("std", torch.ones(config.latent_channels))

    def encode(self, rgb: Tensor, depth: Tensor | None) -> Tensor:
        """Normalised latents.

        Args:
            rgb: (..., 3, H, W) in [-1, 1].
            depth: (..., 1, H, W) [m], or None if unknown.

        Returns:
            (..., C, H/8, W/8), zero mean and unit variance a channel over the training data.
        """
        channel = UNKNOWN_DEPTH if depth is None else depth_to_channel(depth)
        x = torch.cat([rgb, channel + torch.zeros_like(rgb[..., :1, :, :])], -3)
        moments = self.encoder(x.flatten(0, -4)).unflatten(0, x.shape[:-3])
        mean = moments[..., : self.config.latent_channels, :, :]
        return (mean - self.mean[:, None, None]) / self.std[:, None, None]

    def decode(self, latents: Tensor) -> Tensor:
        """Latents (..., C, h, w) to colour and log depth (..., 4, 8h, 8w), about [-1, 1]."""
        raw = latents * self.std[:, None, None] + self.mean[:, None, None]
        return self.decoder(raw.flatten(0, -4)).unflatten(0, latents.shape[:-3])
