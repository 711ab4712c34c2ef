"""Patches, timestep embeddings and the output head.

Legend: B batch, F latent frames, S tokens a frame, L = F·S, D width, G groups of tokens that share
a timestep.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgenv.matrix_game3.network.attention import LayerNorm
from mgenv.matrix_game3.network.blocks import modulate
from mgenv.matrix_game3.network.config import TransformerConfig


def patches(x: Tensor, patch: tuple[int, ...]) -> Tensor:
    """(B, C, F, h, w) to (B, F·S, C·p·q) tokens, channels outermost."""
    _, p, q = patch
    grid = x.unflatten(4, (-1, q)).unflatten(3, (-1, p))  # (B, C, F, rows, p, columns, q)
    return grid.permute(0, 2, 3, 5, 1, 4, 6).flatten(4).flatten(1, 3)


def unpatched(tokens: Tensor, patch: tuple[int, ...], h: int, w: int) -> Tensor:
    """(B, F·S, p·q·C) tokens, channels innermost, to (B, C, F, h, w)."""
    _, p, q = patch
    grid = tokens.unflatten(2, (p, q, -1)).unflatten(1, (-1, h // p, w // q))
    return grid.permute(0, 6, 1, 2, 4, 3, 5).flatten(5).flatten(3, 4)


def sinusoids(t: Tensor, width: int) -> Tensor:
    """(...) timesteps to (..., width) cosines, then sines, computed in float64."""
    exponents = torch.arange(width // 2, dtype=torch.float64, device=t.device) / (width // 2)
    angles = t.double().unsqueeze(-1) * 10000.0**-exponents
    return torch.cat([angles.cos(), angles.sin()], -1).float()


def linear32(layer: nn.Module, x: Tensor) -> Tensor:
    """A linear layer in float32, whatever the type of its weights."""
    assert isinstance(layer, nn.Linear)
    bias = None if layer.bias is None else layer.bias.float()
    return F.linear(x.float(), layer.weight.float(), bias)


class Head(nn.Module):
    """Tokens to patches of velocity, in float32."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        dim = config.dim
        self.norm = LayerNorm(dim, config.eps, elementwise_affine=False)
        self.head = nn.Linear(dim, math.prod(config.patch_size) * config.out_dim)
        self.modulation = nn.Parameter(torch.randn(1, 2, dim) / dim**0.5)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(B, L, D) tokens and (B, G, D) time to (B, L, p·q·C)."""
        shift, scale = (self.modulation.float() + time.unsqueeze(2)).unbind(2)  # (B, G, D) each
        return linear32(self.head, modulate(self.norm(x.float()), shift, scale))
