"""Layers of the causal video autoencoder (Wan2.2, arXiv 2503.20314).

Causal layers read past features from a :class:`FeatureCache`, as explicit tensors: past in, past
out. A segment is therefore a pure function, as compilers and CUDA graphs need, and a video decoded
at once runs through the same code as one decoded in segments.

Names of sub-modules are those of the public checkpoint. Shapes: B videos, C channels, T frames,
H×W cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FeatureCache:
    """Features that the causal layers of one pass keep from the segment before.

    Args:
        past: `kept` of the pass before; None at the start of a video.
        keep: whether another segment follows.
    """

    def __init__(self, past: Sequence[Tensor] | None = None, *, keep: bool = True) -> None:
        self.first = past is None
        self.kept: list[Tensor] = []
        self._past = iter(past or ())
        self._keep = keep

    def extend(self, x: Tensor, frames: int, *, pad: bool = True) -> Tensor:
        """Puts the `frames` before `x` (B, C, T, H, W) in front of it.

        Before a video there is black (zeros), or nothing without `pad`.
        """
        if not self.first:
            x = torch.cat([next(self._past), x], dim=2)  # (B, C, frames + T, H, W)
        elif pad:
            x = F.pad(x, (0, 0, 0, 0, frames, 0))  # (B, C, frames + T, H, W)
        if self._keep:
            self.kept.append(channels_innermost(x[:, :, -frames:]))
        return x


def channels_innermost(x: Tensor) -> Tensor:
    """A copy of (B, C, …) with its channels side by side in memory.

    What is kept decides how later segments lie: a single frame leaves that open, and compilers
    would then go on with channels far apart, which convolutions have to bring together again.
    """
    return x.movedim(1, -1).clone(memory_format=torch.contiguous_format).movedim(-1, 1)


class CausalConv3d(nn.Conv3d):
    """A convolution that sees the present and the frames before."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel, padding=(0, kernel // 2, kernel // 2))

    def forward(self, x: Tensor, cache: FeatureCache | None = None) -> Tensor:
        """(B, inputs, T, H, W) to (B, outputs, T, H, W); a kernel of 1 needs no cache."""
        return super().forward(x if cache is None else cache.extend(x, self.kernel_size[0] - 1))


class RMSNorm(nn.Module):
    """Divides by the root mean square over channels, then scales each channel."""

    def __init__(self, width: int, rank: int = 3) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width, *[1] * rank))

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.rsqrt(x.float().square().mean(dim=1, keepdim=True) + 1e-6)
        return x * scale.to(x.dtype) * self.gamma


class ResidualBlock(nn.Module):
    """Two causal 3×3×3 convolutions, each behind a norm and SiLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.residual = nn.ModuleDict(
            {
                "0": RMSNorm(inputs),
                "2": CausalConv3d(inputs, outputs, 3),
                "3": RMSNorm(outputs),
                "6": CausalConv3d(outputs, outputs, 3),
            }
        )
        self.shortcut = CausalConv3d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, cache: FeatureCache) -> Tensor:
        """(B, inputs, T, H, W) to (B, outputs, T, H, W)."""
        layers = self.residual
        hidden = layers["2"](F.silu(layers["0"](x)), cache)
        return self.shortcut(x) + layers["6"](F.silu(layers["3"](hidden)), cache)


class FrameAttention(nn.Module):
    """One head of attention among the cells of a frame."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = RMSNorm(width, rank=2)
        self.to_qkv = nn.Conv2d(width, 3 * width, 1)
        self.proj = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, cache: FeatureCache) -> Tensor:
        """(B, C, T, H, W) to the same; the past is not looked at."""
        return x + each_frame(self._attend, x)

    def _attend(self, frames: Tensor) -> Tensor:
        tokens = self.norm(frames).flatten(2).transpose(1, 2)  # (B·T, H·W, C)
        qkv = F.linear(tokens, self.to_qkv.weight.flatten(1), self.to_qkv.bias)
        q, k, v = (part.unsqueeze(1) for part in qkv.chunk(3, dim=-1))  # (B·T, 1, H·W, C)
        mixed = F.scaled_dot_product_attention(q, k, v).squeeze(1)  # (B·T, H·W, C)
        mixed = F.linear(mixed, self.proj.weight.flatten(1), self.proj.bias)
        return mixed.transpose(1, 2).unflatten(2, frames.shape[-2:])  # (B·T, C, H, W)


def each_frame(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Applies a layer of images to every frame of (B, C, T, H, W)."""
    batch, _, frames = x.shape[:3]
    y = layer(x.transpose(1, 2).flatten(0, 1))  # (B·T, C, H, W)
    return y.unflatten(0, (batch, frames)).transpose(1, 2)  # (B, C, T, H, W)


class Downsample(nn.Module):
    """Halves the sides, and the number of frames if `temporal`."""

    def __init__(self, width: int, *, temporal: bool) -> None:
        super().__init__()
        self.resample = nn.ModuleDict({"1": nn.Conv2d(width, width, 3, stride=2)})
        if temporal:
            self.time_conv = nn.Conv3d(width, width, (3, 1, 1), stride=(2, 1, 1))
        self.temporal = temporal

    def forward(self, x: Tensor, cache: FeatureCache) -> Tensor:
        """(B, C, T, H, W) to (B, C, T/2, H/2, W/2); the first frame of a video stays one."""
        x = each_frame(self.resample["1"], F.pad(x, (0, 1, 0, 1)))  # (B, C, T, H/2, W/2)
        if not self.temporal:
            return x
        joined = cache.extend(x, 1, pad=False)
        if not cache.first:
            return self.time_conv(joined)  # (B, C, T/2, H/2, W/2)
        if x.shape[2] == 1:
            return x
        return torch.cat([x[:, :, :1], self.time_conv(joined)], dim=2)  # (B, C, (T+1)/2, …)


class Upsample(nn.Module):
    """Doubles the sides, and the number of frames if `temporal`."""

    folded: Tensor | None

    def __init__(self, width: int, *, temporal: bool) -> None:
        super().__init__()
        self.resample = nn.ModuleDict({"1": nn.Conv2d(width, width, 3, padding=1)})
        if temporal:
            self.time_conv = nn.Conv3d(width, 2 * width, (3, 1, 1))
        self.temporal = temporal
        self.register_buffer("folded", None, persistent=False)

    @torch.no_grad()
    def fold(self) -> None:
        """Makes one transposed convolution of enlargement and convolution, for inference.

        An enlarged row is a row written twice, so neighbouring taps fall on the same cell and can
        be added beforehand: 4 products a pixel and channel instead of 9.
        """
        weight = cast(nn.Conv2d, self.resample["1"]).weight
        taps = weight.float()  # (outputs, inputs, 3, 3)
        for dim in (2, 3):
            low, centre, high = taps.unbind(dim)
            taps = torch.stack([high, centre + high, low + centre, low], dim)
        kernel = taps.transpose(0, 1).to(weight.dtype)
        self.folded = kernel.contiguous()  # (inputs, outputs, 4, 4)

    def forward(self, x: Tensor, cache: FeatureCache) -> Tensor:
        """(B, C, T, H, W) to (B, C, 2T, 2H, 2W); the first frame of a video stays one."""
        if self.temporal:
            pairs = self.time_conv(cache.extend(x, 2)).chunk(2, dim=1)
            x = torch.stack(pairs, dim=3).flatten(2, 3)  # (B, C, 2T, H, W)
            x = x[:, :, 1:] if cache.first else x
        return each_frame(self._enlarge, x)

    def _enlarge(self, frames: Tensor) -> Tensor:
        if self.folded is not None:
            bias = cast(nn.Conv2d, self.resample["1"]).bias
            return F.conv_transpose2d(frames, self.folded, bias, stride=2, padding=1)
        return self.resample["1"](F.interpolate(frames, scale_factor=2.0, mode="nearest-exact"))


def average_down(x: Tensor, outputs: int, time: int, space: int) -> Tensor:
    """Shortcut without weights: cells of a block become channels, groups of which are averaged.

    Args:
        x: (B, C, T, H, W); an incomplete first block is filled with zeros in front.
        outputs: channels afterwards; a divisor of C · time · space².
        time, space: frames and cells (a side) of a block.

    Returns:
        (B, outputs, T/time, H/space, W/space)
    """
    x = F.pad(x, (0, 0, 0, 0, -x.shape[2] % time, 0))
    x = x.unflatten(4, (-1, space)).unflatten(3, (-1, space)).unflatten(2, (-1, time))
    x = x.permute(0, 1, 3, 5, 7, 2, 4, 6)  # (B, C, time, space, space, T', H', W')
    return x.flatten(1, 4).unflatten(1, (outputs, -1)).mean(dim=2)


def repeat_up(x: Tensor, outputs: int, time: int, space: int, *, first: bool) -> Tensor:
    """Shortcut without weights: channels are repeated, then unfolded into the cells of a block.

    Args:
        x: (B, C, T, H, W)
        outputs: channels afterwards; a multiple of C / (time · space²).
        time, space: frames and cells (a side) of a block.
        first: whether the video begins here; its first latent gives one frame.

    Returns:
        (B, outputs, T · time, H · space, W · space), less time - 1 frames if `first`.
    """
    repeats = outputs * time * space**2 // x.shape[1]
    x = x.unsqueeze(2).expand(-1, -1, repeats, -1, -1, -1).flatten(1, 2)
    x = x.unflatten(1, (outputs, time, space, space))  # (B, C', time, space, space, T, H, W)
    x = x.permute(0, 1, 5, 2, 6, 3, 7, 4).flatten(2, 3).flatten(3, 4).flatten(4, 5)
    return x[:, :, time - 1 :] if first else x
