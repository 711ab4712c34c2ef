"""Encoder and decoder of the video autoencoder: stages of residual blocks around a narrow middle.

Every stage that changes the resolution has a shortcut without weights around it, so that the
convolutions only add what re-arranging cells into channels, or channels into cells, cannot give.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mgenv.matrix_game3.vae.blocks import (
    CausalConv3d,
    Downsample,
    FeatureCache,
    FrameAttention,
    ResidualBlock,
    RMSNorm,
    Upsample,
    average_down,
    repeat_up,
)
from mgenv.matrix_game3.vae.config import VaeConfig


class Head(nn.ModuleDict):
    """Norm, SiLU and a causal convolution: the last layers of either half."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__({"0": RMSNorm(inputs), "2": CausalConv3d(inputs, outputs, 3)})

    def forward(self, x: Tensor, cache: FeatureCache) -> Tensor:
        """(B, inputs, T, H, W) to (B, outputs, T, H, W)."""
        return self["2"](F.silu(self["0"](x)), cache)


def _middle(width: int) -> nn.ModuleList:
    return nn.ModuleList(
        [ResidualBlock(width, width), FrameAttention(width), ResidualBlock(width, width)]
    )


def _blocks(inputs: int, outputs: int, count: int) -> list[nn.Module]:
    return [ResidualBlock(inputs if i == 0 else outputs, outputs) for i in range(count)]


class DownStage(nn.Module):
    """Residual blocks, then half the sides, with a weightless shortcut around it all.

    `temporal` is None in the last stage, which keeps the sides.
    """

    def __init__(self, inputs: int, outputs: int, blocks: int, temporal: bool | None) -> None:
        super().__init__()
        layers = _blocks(inputs, outputs, blocks)
        if temporal is not None:
            layers.append(Downsample(outputs, temporal=temporal))
        self.downsamples = nn.ModuleList(layers)
        self.outputs = outputs
        self.time = 2 if temporal else 1
        self.space = 1 if temporal is None else 2

    def forward(self, x: Tensor, cache: FeatureCache) -> Tensor:
        """(B, inputs, T, H, W) to (B, outputs, T/time, H/space, W/space)."""
        shortcut = average_down(x, self.outputs, self.time, self.space)
        for layer in self.downsamples:
            x = layer(x, cache)
        return x + shortcut


class UpStage(nn.Module):
    """Residual blocks, then double the sides, with a weightless shortcut around it all.

    `temporal` is None in the last stage, which keeps the sides and has no such shortcut.
    """

    def __init__(self, inputs: int, outputs: int, blocks: int, temporal: bool | None) -> None:
        super().__init__()
        layers = _blocks(inputs, outputs, blocks)
        if temporal is not None:
            layers.append(Upsample(outputs, temporal=temporal))
        self.upsamples = nn.ModuleList(layers)
        self.outputs = outputs
        self.time = 2 if temporal else 1
        self.enlarges = temporal is not None

    def forward(self, x: Tensor, cache: FeatureCache) -> Tensor:
        """(B, inputs, T, H, W) to (B, outputs, T · time, 2H, 2W)."""
        y = x
        for layer in self.upsamples:
            y = layer(y, cache)
        if not self.enlarges:
            return y
        return y + repeat_up(x, self.outputs, self.time, 2, first=cache.first)


class Encoder(nn.Module):
    """Folded frames (B, 12, F, H/2, W/2) to mean and log variance (B, 2C, T, h, w)."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        widths, temporal = config.encoder_widths, (*config.encoder_temporal, None)
        self.conv1 = CausalConv3d(config.image_channels, widths[0], 3)
        self.downsamples = nn.ModuleList(
            DownStage(inputs, outputs, config.encoder_blocks, halve)
            for inputs, outputs, halve in zip(widths[:-1], widths[1:], temporal, strict=True)
        )
        self.middle = _middle(widths[-1])
        self.head = Head(widths[-1], 2 * config.latent_channels)

    def forward(self, x: Tensor, cache: FeatureCache) -> Tensor:
        x = self.conv1(x, cache)
        for layer in (*self.downsamples, *self.middle, self.head):
            x = layer(x, cache)
        return x


class Decoder(nn.Module):
    """Latents (B, C, T, h, w) to folded frames (B, 12, F, H/2, W/2)."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        widths, temporal = config.decoder_widths, (*config.decoder_temporal, None)
        self.conv1 = CausalConv3d(config.latent_channels, widths[0], 3)
        self.middle = _middle(widths[0])
        self.upsamples = nn.ModuleList(
            UpStage(inputs, outputs, config.decoder_blocks, double)
            for inputs, outputs, double in zip(widths[:-1], widths[1:], temporal, strict=True)
        )
        self.head = Head(widths[-1], config.image_channels)

    def forward(self, x: Tensor, cache: FeatureCache) -> Tensor:
        x = self.conv1(x, cache)
        for layer in (*self.middle, *self.upsamples, self.head):
            x = layer(x, cache)
        return x
