"""Inference layers on oneDNN for x86 CPUs: weights in its blocked layout, fused activations.

Each layer casts its input to the type of its weights, so no autocast is needed. The operators are
the ones that torch.compile emits for a model with frozen weights.
"""

from __future__ import annotations

import platform

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgenv.models.refiner import Refiner
from mgenv.models.vae import ResBlock

OPERATORS = (
    "_reorder_convolution_weight",
    "_convolution_pointwise",
    "_reorder_linear_weight",
    "_linear_pointwise",
)
"""Private operators, which may change between versions. Without them, plain layers are used."""

REGISTER, MANY_PIXELS = 16, 1024
"""Channels per group and pixels. Below both, group norm is faster in float32, including casts."""


def has_onednn() -> bool:
    """Whether this machine and this build of torch have the operators."""
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    there = all(hasattr(torch.ops.mkldnn, name) for name in OPERATORS)
    return x86 and torch.backends.mkldnn.is_available() and there


class OneDnnConv(nn.Module):
    """A convolution, then an activation (``"none"`` or ``"swish"``); channels last."""

    def __init__(self, conv: nn.Conv2d, dtype: torch.dtype, activation: str = "none") -> None:
        super().__init__()
        assert not isinstance(conv.padding, str)
        self._weight, self._packed = conv.weight.detach().to(dtype), None
        self._bias = None if conv.bias is None else conv.bias.detach().to(dtype)
        self._places = conv.padding, conv.stride, conv.dilation, conv.groups
        self._activation = activation

    def forward(self, x: Tensor, add: Tensor | None = None) -> Tensor:
        """Convolve x (B, C, H, W); ``add`` is added to the result."""
        x = x.to(self._weight.dtype, memory_format=torch.channels_last)
        if self._packed is None:  # the best layout depends on the input size
            self._packed = torch.ops.mkldnn._reorder_convolution_weight(
                self._weight, *self._places, x.shape
            )
        what = self._packed, self._bias, *self._places
        if add is None:
            convolve = torch.ops.mkldnn._convolution_pointwise.default
            return convolve(x, *what, self._activation, [], "")
        convolve = torch.ops.mkldnn._convolution_pointwise.binary
        return convolve(x, add, *what, "add", None, None, [], None)


class OneDnnLinear(nn.Module):
    """A linear layer, then an activation (``"none"``, ``"swish"`` or ``"gelu"``)."""

    def __init__(self, linear: nn.Linear, dtype: torch.dtype, activation: str = "none") -> None:
        super().__init__()
        self._dtype, self._activation = dtype, activation
        self._bias = None if linear.bias is None else linear.bias.detach().to(dtype)
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach().to(dtype))

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        return torch.ops.mkldnn._linear_pointwise.default(
            x.to(self._dtype), self._weight, self._bias, self._activation, [], "none"
        )


class OneDnnResBlock(nn.Module):
    """Equals :class:`mgenv.models.vae.ResBlock`."""

    def __init__(self, block: ResBlock, dtype: torch.dtype) -> None:
        super().__init__()
        self.norm = block.norm.float()
        self.few_channels = block.norm.num_channels // block.norm.num_groups < REGISTER
        self.first = OneDnnConv(block.first, dtype, "swish")
        self.second = OneDnnConv(block.second, dtype)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(F.silu(self._normed(x))), add=x)

    def _normed(self, x: Tensor) -> Tensor:
        if self.few_channels and x.shape[-2] * x.shape[-1] < MANY_PIXELS:
            return self.norm(x.float()).to(x.dtype)
        return self.norm(x)


class OneDnnRefiner(nn.Module):
    """Equals :class:`mgenv.models.refiner.Refiner`; blends in float32."""

    def __init__(self, refiner: Refiner, dtype: torch.dtype) -> None:
        super().__init__()
        self.inner = OneDnnConv(through_unshuffle(refiner.inner, 2), dtype)
        self.fine, self.down, self.coarse, self.up, self.last, self.out = (
            to_onednn(part, dtype)
            for part in (
                refiner.fine, refiner.down, refiner.coarse, refiner.up, refiner.last, refiner.out
            )
        )  # fmt: skip

    def forward(self, decoded: Tensor, canvas: Tensor, mask: Tensor, evidence: Tensor) -> Tensor:
        """As the refiner's."""
        decoded = decoded.float().contiguous()
        x = self.fine(self.inner(torch.cat([decoded, canvas, mask, evidence], 1)))
        x = x + F.pixel_shuffle(self.up(self.coarse(self.down(x))), 2)
        out = F.pixel_shuffle(self.out(self.last(x)), 2).float().contiguous()
        change, gate = out.split([4, 1], 1)
        return torch.lerp(decoded, canvas, torch.sigmoid(gate + 4 * mask - 2)) + change


def to_onednn(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Replace the layers of ``module``, which is consumed, by oneDNN layers."""
    if isinstance(module, ResBlock):
        return OneDnnResBlock(module, dtype)
    if isinstance(module, Refiner):
        return OneDnnRefiner(module, dtype)
    if isinstance(module, nn.Conv2d):
        return OneDnnConv(module, dtype)
    if isinstance(module, nn.Linear):
        return OneDnnLinear(module, dtype)
    if isinstance(module, nn.Sequential) and isinstance(module[0], nn.PixelUnshuffle):
        factor, conv, *others = module
        assert isinstance(factor, nn.PixelUnshuffle) and isinstance(conv, nn.Conv2d)
        module = nn.Sequential(through_unshuffle(conv, factor.downscale_factor), *others)
    for name, child in module.named_children():
        setattr(module, name, to_onednn(child, dtype))
    return module.to(dtype) if isinstance(module, nn.GroupNorm) else module


def through_unshuffle(conv: nn.Conv2d, factor: int) -> nn.Conv2d:
    """Fold ``pixel_unshuffle`` and the convolution after it into one strided convolution."""
    assert conv.stride == (1, 1) and conv.kernel_size[0] == conv.kernel_size[1]
    outputs, inputs, side, _ = conv.weight.shape
    inputs, wide = inputs // factor**2, side * factor
    padding = int(conv.padding[0]) * factor
    whole = nn.Conv2d(inputs, outputs, wide, stride=factor, padding=padding)
    parts = conv.weight.detach().view(outputs, inputs, factor, factor, side, side)
    whole.weight.data = parts.permute(0, 1, 4, 2, 5, 3).reshape(outputs, inputs, wide, wide)
    whole.bias = conv.bias
    return whole
