"""Transformer inference for many small steps on a CPU.

:class:`CpuTransformer` computes what :class:`mgenv.models.transformer.Transformer` does with less
overhead: oneDNN layers (:mod:`mgenv.models.onednn_layers`), modulation computed once per noise
level, patches cut by strided convolutions, and no unused outputs of the last layer.

Legend: as in :mod:`mgenv.models.transformer`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgenv.models.attention import rope_angles
from mgenv.models.onednn_layers import (
    OneDnnConv,
    OneDnnLinear,
    OneDnnResBlock,
    through_unshuffle,
    to_onednn,
)
from mgenv.models.transformer import Block, KeysValues, Transformer

Turn = tuple[Tensor, Tensor]
"""Cosines and signed sines of the rotary embedding: (B, S, 1, H) each."""


class CpuBlock(nn.Module):
    """A :class:`mgenv.models.transformer.Block`; modulation is an argument."""

    def __init__(self, block: Block, dtype: torch.dtype) -> None:
        super().__init__()
        self.heads = block.heads
        self.qkv, self.out = OneDnnLinear(block.qkv, dtype), OneDnnLinear(block.out, dtype)
        self.up, self.down = OneDnnLinear(block.up, dtype, "gelu"), OneDnnLinear(block.down, dtype)

    def project(self, x: Tensor, modulation: Sequence[Tensor], turn: Turn) -> Sequence[Tensor]:
        """Queries and keys, normed and rotated, and values: (B, S, N, H) each."""
        shift, scale, *_ = modulation
        qkv = self.qkv(torch.addcmul(shift, normalized(x), scale))
        qk, v = qkv.unflatten(-1, (3 * self.heads, -1)).split([2 * self.heads, self.heads], 2)
        qk, (cos, sin) = normalized(qk), turn
        qk = torch.addcmul(qk * cos, qk.roll(qk.shape[-1] // 2, -1), sin)  # (B, S, 2N, H)
        return (*qk.chunk(2, 2), v)

    def finish(self, x: Tensor, attended: Tensor, modulation: Sequence[Tensor]) -> Tensor:
        """Add attention's result, then the MLP."""
        _, _, first, shift, scale, second = modulation
        x = torch.addcmul(x, self.out(attended), first)
        h = torch.addcmul(shift, normalized(x), scale)
        return torch.addcmul(x, self.down(self.up(h)), second)


class CpuTransformer(nn.Module):
    """Velocity of the flow for one frame; the methods are those of the transformer.

    Args:
        network: the trained transformer; consumed.
        levels: noise levels of the sampler.
    """

    def __init__(self, network: Transformer, levels: Sequence[float], dtype: torch.dtype) -> None:
        super().__init__()
        self.config = network.config
        patch = self.config.patch
        self._levels = {
            sigma.item(): _level(network, sigma, dtype) for sigma in torch.tensor([0.0, *levels])
        }
        self.frame_in, self.canvas_in, self.cells_in = (
            OneDnnConv(_over_patches(layer, patch), dtype)
            for layer in (network.frame_in, network.canvas_in, network.cells_in)
        )
        self.pose_in = to_onednn(network.pose_in, dtype)
        self.kind = network.kind.detach().to(dtype)
        self.noisy_in, self.head = (OneDnnConv(x, dtype) for x in (network.noisy_in, network.head))
        self.before = OneDnnResBlock(network.before, dtype)
        self.after = to_onednn(network.after, dtype)
        self.cells_out = OneDnnLinear(_channels_last(network.cells_out, patch), dtype)
        self.blocks = [CpuBlock(x, dtype) for x in network.blocks if isinstance(x, Block)]

    def history(
        self, latents: Tensor, pose: Tensor, time: Tensor, present: Tensor, past: KeysValues
    ) -> KeysValues:
        """Keys and values of one clean frame; F is 1."""
        x = self._tokens(self.frame_in(latents[:, 0])) + self._pose(pose[:, 0], 0)
        context, own = self._with_room(past, 1), self.config.tokens
        self._pass(x, 0.0, time[:, 0], context, self._keep(present, 0), False)
        return [(keys[:, -own:], values[:, -own:]) for keys, values in context]

    def memory(
        self, canvas: Tensor, pose: Tensor, time: Tensor, context: KeysValues, present: Tensor
    ) -> KeysValues:
        """Keys and values of history followed by the canvas, and room for the noisy frame's."""
        x = self._tokens(self.canvas_in(canvas)) + self._pose(pose, 1)
        context = self._with_room(context, 2)
        self._pass(x, 0.0, time, context, self._keep(present, 1), False)
        return context

    def velocity(
        self,
        noisy: Tensor,
        sigma: Tensor,
        canvas: Tensor,
        pose: Tensor,
        time: Tensor,
        context: KeysValues,
        present: Tensor,
    ) -> Tensor:
        """Flow velocity of noisy latents (B, C, h, w) at one of the noise levels."""
        level = sigma[0].item()
        _, (scale, shift) = self._levels[level]
        fine = torch.addcmul(shift, self.noisy_in(torch.cat([noisy, canvas], 1)), scale)
        fine = self.before(fine)  # (B, cells, h, w)
        x = self._tokens(self.cells_in(fine)) + self._pose(pose, 2)
        x = self._pass(x, level, time, context, self._keep(present, 2), True)
        coarse = self._cells(self.cells_out(normalized(x) * x.shape[-1] ** 0.5))
        return self.head(self.after(fine + coarse)).float()

    # -- helpers ---------------------------------------------------------------------------------

    def _pass(
        self, x: Tensor, level: float, time: Tensor, context: KeysValues, keep: Tensor, whole: bool
    ) -> Tensor:
        """Tokens (B, S, D) through all layers.

        Keys and values are written to ``context`` in place, as the last that ``keep`` covers.

        Args:
            whole: whether the last layer's output is needed.
        """
        turn, (modulations, _) = self._turn(time), self._levels[level]
        seen, own = keep.shape[-1], self.config.tokens
        for layer, (block, modulation) in enumerate(zip(self.blocks, modulations, strict=True)):
            q, k, v = block.project(x, modulation, turn)
            keys, values = (t[:, :seen] for t in context[layer])
            keys[:, -own:], values[:, -own:] = k, v
            if whole or layer + 1 < len(self.blocks):
                x = block.finish(x, attend_masked(q, keys, values, keep), modulation)
        return x

    def _with_room(self, context: KeysValues, frames: int) -> KeysValues:
        """A copy with room for more frames' keys and values."""
        room = (0, 0, 0, 0, 0, frames * self.config.tokens)
        return [(F.pad(keys, room), F.pad(values, room)) for keys, values in context]

    def _turn(self, time: Tensor) -> Turn:
        angles = rope_angles(time, self.config.rows, self.config.width // self.config.heads)
        cos, sin = angles.cos(), angles.sin()
        turn = torch.stack([torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)])
        turn *= turn.shape[-1] ** 0.5  # normalized() is RMS norm without this factor
        cos, sin = turn.to(self.kind.dtype).unsqueeze(3)
        return cos, sin

    def _pose(self, pose: Tensor, kind: int) -> Tensor:
        return (self.pose_in(pose) + self.kind[kind]).unsqueeze(1)

    def _keep(self, present: Tensor, more: int) -> Tensor:
        """Attention mask (B, 1, 1, K): 0 for tokens of frames that exist, -inf for others."""
        missing = F.pad(~present, (0, more)).to(self.kind.dtype)  # (B, W + more)
        missing = missing.masked_fill(missing > 0, -torch.inf)
        return missing.repeat_interleave(self.config.tokens, 1)[:, None, None]

    def _tokens(self, x: Tensor) -> Tensor:
        """(B, D, rows, rows), channels last, to (B, S, D)."""
        return x.permute(0, 2, 3, 1).flatten(1, 2)

    def _cells(self, x: Tensor) -> Tensor:
        """(B, S, patch²·C) to (B, C, h, w), channels last."""
        rows, patch, side = self.config.rows, self.config.patch, self.config.side
        x = x.view(len(x), rows, rows, patch, patch, -1).transpose(2, 3)
        return x.reshape(len(x), side, side, -1).permute(0, 3, 1, 2)


def normalized(x: Tensor) -> Tensor:
    """Unit vectors along the last axis: RMS norm without the factor √width."""
    return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(1e-12)


def attend_masked(q_BLNH: Tensor, k_BKNH: Tensor, v_BKNH: Tensor, keep: Tensor) -> Tensor:
    """Softmax attention with ``keep`` (B, 1, 1, K) added to the logits: (B, L, D)."""
    q, k, v = (t.transpose(1, 2) for t in (q_BLNH, k_BKNH, v_BKNH))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=keep).transpose(1, 2).flatten(2)


def _level(
    network: Transformer, sigma: Tensor, dtype: torch.dtype
) -> tuple[list[list[Tensor]], tuple[Tensor, Tensor]]:
    """Modulation of each layer and of the cells (scale, shift) at a noise level.

    Scales that follow a norm include the factor √D, which :func:`normalized` leaves out.
    """
    embedding = network._time(sigma[None])
    shared = network._modulation(embedding)[0, 0]  # (6, D)
    one = torch.tensor([0, 1, 1, 0, 1, 1])[:, None]
    root = torch.tensor([0, 0.5, 0, 0, 0.5, 0])[:, None]
    factor = shared.shape[-1] ** root
    layers = [
        list(((shared + block.modulation + one) * factor).detach().to(dtype).unbind())
        for block in network._layers()
    ]
    scale, shift = network.time_cells(embedding).detach().to(dtype)[..., None, None].chunk(2, 1)
    return layers, (1 + scale, shift)


def _over_patches(linear: nn.Linear, patch: int) -> nn.Conv2d:
    """A linear layer over patches of cells as a convolution over cells."""
    conv = nn.Conv2d(linear.in_features, linear.out_features, 1)
    conv.weight.data, conv.bias = linear.weight.detach()[..., None, None], linear.bias
    return through_unshuffle(conv, patch)


def _channels_last(linear: nn.Linear, patch: int) -> nn.Linear:
    """Reorder a linear layer's outputs, patches of cells, to channels last within a patch."""
    turned = nn.Linear(linear.in_features, linear.out_features)
    for new, old in ((turned.weight, linear.weight), (turned.bias, linear.bias)):
        parts = old.detach().view(-1, patch**2, *old.shape[1:]).transpose(0, 1)
        new.data = parts.flatten(0, 1)
    return turned
