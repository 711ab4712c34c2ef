"""One block: self-attention, camera, prompt, actions, feed-forward.

Legend: B batch, L tokens, D width, G groups of consecutive tokens that share a timestep,
N heads, H head width, K tokens of a prompt, F latent frames.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgenv.matrix_game3.kernels.quantize import QuantizedLinear
from mgenv.matrix_game3.network.action import ActionConditions, ActionModule, Actions
from mgenv.matrix_game3.network.attention import (
    CrossAttention,
    KeysValues,
    LayerNorm,
    SelfAttention,
)
from mgenv.matrix_game3.network.config import TransformerConfig
from mgenv.matrix_game3.network.rope import Rotation


@dataclass(frozen=True, slots=True)
class BlockConditions:
    """Conditions of a block that do not depend on the noise.

    Attributes:
        prompt: (B, K, N, H) keys and values.
        camera: 1 + scale and shift, (B, L, D) each, or None.
        actions: conditions of the action module, or None.
        onto_normed: whether cross-attention is added to the *normed* state.
        past: (B, l, N, H) keys and values of the l tokens before these, or None.
    """

    prompt: KeysValues
    camera: tuple[Tensor, Tensor] | None
    actions: ActionConditions | None
    onto_normed: bool
    past: KeysValues | None = None

    def of(self, frames: slice, tokens: slice, past: KVCache | None = None) -> BlockConditions:
        """Conditions of some frames, which are ``tokens`` of the sequence."""
        camera, actions = self.camera, self.actions
        if camera is not None:
            camera = camera[0][:, tokens], camera[1][:, tokens]
        if actions is not None:
            actions = actions.of(frames, None if past is None else past.mouse)
        tokens_before = None if past is None else past.tokens
        return replace(self, camera=camera, actions=actions, past=tokens_before)


class PassOptions(NamedTuple):
    """Options of a forward pass.

    Attributes:
        keep: number of first frames whose keys and values are returned.
        last: number of last frames whose output is returned; 0 for all.
        draft: whether attention may be approximate, as in steps before the last.
    """

    keep: int = 0
    last: int = 0
    draft: bool = False


FULL_PASS = PassOptions()
"""Output of all frames, exact attention, no keys and values."""


class KVCache(NamedTuple):
    """Keys and values of the first frames: of their tokens and of the mouse attention over time."""

    tokens: KeysValues
    mouse: KeysValues | None


def modulate(x: Tensor, shift_BGD: Tensor, scale_BGD: Tensor) -> Tensor:
    """x (1 + scale) + shift in float32, per group of tokens."""
    grouped = x.float().unflatten(1, (shift_BGD.shape[1], -1))  # (B, G, L/G, D)
    return (grouped * (1 + scale_BGD.unsqueeze(2)) + shift_BGD.unsqueeze(2)).flatten(1, 2)


def add_gated(x: Tensor, y: Tensor, gate_BGD: Tensor) -> Tensor:
    """x + y gate in float32, then in the type of ``x``."""
    gated = y.float().unflatten(1, (gate_BGD.shape[1], -1)) * gate_BGD.unsqueeze(2)
    return (x.float() + gated.flatten(1, 2)).to(x.dtype)


class Block(nn.Module):
    """Block ``index`` of the network."""

    def __init__(self, config: TransformerConfig, index: int) -> None:
        super().__init__()
        dim, actions = config.dim, config.actions_of(index)
        self.norm1 = LayerNorm(dim, config.eps, elementwise_affine=False)
        self.self_attn = SelfAttention(config)
        self.action_model = ActionModule(actions) if actions is not None else None
        self.norm3 = LayerNorm(dim, config.eps) if config.cross_attn_norm else nn.Identity()
        self.cross_attn = CrossAttention(config)
        self.norm2 = LayerNorm(dim, config.eps, elementwise_affine=False)
        self.ffn = nn.Sequential(
            nn.Linear(dim, config.ffn_dim),
            nn.GELU(approximate="tanh"),
            nn.Linear(config.ffn_dim, dim),
        )
        self.modulation = nn.Parameter(torch.randn(1, 6, dim) / dim**0.5)
        if config.use_memory:
            self.cam_injector_layer1 = nn.Linear(dim, dim)
            self.cam_injector_layer2 = nn.Linear(dim, dim)
            self.cam_scale_layer = nn.Linear(dim, dim)
            self.cam_shift_layer = nn.Linear(dim, dim)

    @property
    def dtype(self) -> torch.dtype:
        """Type of its matrix products."""
        layer = self.cross_attn.q
        if isinstance(layer, QuantizedLinear):
            return layer.compute_dtype
        assert isinstance(layer, nn.Linear)
        return layer.weight.dtype

    def read(self, text: Tensor) -> KeysValues:
        """Keys and values (B, K, N, H) of an embedded prompt (B, K, D)."""
        return self.cross_attn.read(text)

    def prepare(
        self,
        prompt: KeysValues,
        rays: Tensor | None,
        actions: Actions | None,
        onto_normed: bool,
    ) -> BlockConditions:
        """Compute the conditions that do not depend on the noise.

        Args:
            prompt: (B, K, N, H) from :meth:`read`.
            rays: (B, L, D) embedded Plücker rays, or None.
            actions: actions of the clip, or None.
            onto_normed: see :class:`BlockConditions`.
        """
        acted = None
        if self.action_model is not None and actions is not None:
            acted = self.action_model.prepare(actions)
        camera = self.camera(rays) if rays is not None else None
        return BlockConditions(prompt, camera, acted, onto_normed)

    def forward(
        self,
        x: Tensor,
        time: Tensor,
        rotation: Rotation,
        conditions: BlockConditions,
        frames: int,
        options: PassOptions = FULL_PASS,
    ) -> tuple[Tensor, KVCache | None]:
        """Tokens (B, L or those of the last frames, D), and keys and values of the first frames.

        Args:
            x: (B, L, D).
            time: float32 (B, G, 6, D) modulation by timestep.
            rotation: rotation of the L tokens.
            conditions: from :meth:`prepare`.
            frames: number of memory and current frames, F.
            options: see :class:`PassOptions`; ``last`` only in a block without actions.
        """
        parts = (self.modulation.float() + time).unbind(2)  # six of (B, G, D)
        h = modulate(self.norm1(x), parts[0], parts[1]).to(self.dtype)
        last = options.last * h.shape[1] // frames  # tokens
        attended, own = self.self_attn(h, rotation, conditions.past, last, options.draft)
        if last:
            assert conditions.actions is None, "action attention needs all frames"
            x = x[:, -last:]
            conditions = conditions.of(slice(-options.last, None), slice(-last, None))
            parts = [part[:, -(part.shape[1] * options.last // frames) :] for part in parts]
        x = add_gated(x, attended, parts[2])
        if conditions.camera is not None:
            scale, shift = conditions.camera
            x = (scale * x + shift).to(x.dtype)
        x, mouse = self._read(x, conditions), None
        if self.action_model is not None and conditions.actions is not None:
            places = x.unflatten(1, (frames, -1))  # (B, F, S, D)
            acted, mouse = self.action_model(places, conditions.actions)
            x = acted.flatten(1, 2).to(x.dtype)
        h = modulate(self.norm2(x), parts[3], parts[4]).to(self.dtype)
        kept = None
        if options.keep:
            tokens = own.first(options.keep * own.keys.shape[1] // frames)
            kept = KVCache(tokens, None if mouse is None else mouse.first(options.keep))
        return add_gated(x, self.ffn(h), parts[5]), kept

    def camera(self, rays: Tensor) -> tuple[Tensor, Tensor]:
        """1 + scale and shift (B, L, D) of embedded rays (B, L, D)."""
        hidden = self.cam_injector_layer2(F.silu(self.cam_injector_layer1(rays))) + rays
        return 1 + self.cam_scale_layer(hidden), self.cam_shift_layer(hidden)

    def _read(self, x: Tensor, conditions: BlockConditions) -> Tensor:
        """Add cross-attention to the prompt."""
        normed = self.norm3(x)
        read = self.cross_attn(normed.to(self.dtype), conditions.prompt)
        return ((normed if conditions.onto_normed else x) + read).to(x.dtype)
