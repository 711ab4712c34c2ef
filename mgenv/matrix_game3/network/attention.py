"""Self-attention, cross-attention to the prompt, and norms in float32.

Legend: B batch, L queries, K keys, N heads, H head width, D = N·H.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from mgenv.matrix_game3.network.config import TransformerConfig
from mgenv.matrix_game3.network.rope import Rotation, rotate
from mgenv.matrix_game3.speed.parallel import Shard


class KeysValues(NamedTuple):
    """Keys and values, (B, K, N, H) each."""

    keys: Tensor
    values: Tensor

    def first(self, count: int) -> KeysValues:
        """A copy for the first ``count`` tokens."""
        return KeysValues(*(x[:, :count].clone() for x in self))

    def after(self, past: KeysValues | None) -> KeysValues:
        """Concatenated after ``past``."""
        if past is None:
            return self
        return KeysValues(*(torch.cat(pair, 1) for pair in zip(past, self, strict=True)))


KERNELS = (
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
)
"""Attention kernels of PyTorch on a GPU, the fastest on Hopper first."""


def attention_kernels(
    kinds: Sequence[SDPBackend] = KERNELS,
) -> contextlib.AbstractContextManager[Any]:
    """Context in which attention uses the first applicable kernel of ``kinds``."""
    return sdpa_kernel(list(kinds), set_priority=True)


def attend(q_BLNH: Tensor, k_BKNH: Tensor, v_BKNH: Tensor) -> Tensor:
    """Softmax attention of every query over every key: (B, L, N, H).

    The kernel is one that :func:`torch.nn.attention.sdpa_kernel` allows in the current context.
    """
    q, k, v = (x.transpose(1, 2) for x in (q_BLNH, k_BKNH, v_BKNH))  # (B, N, L or K, H)
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2)  # (B, L, N, H)


class RMSNorm(nn.Module):
    """x / rms(x) in float32, scaled in the type of ``x``."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        normed = F.rms_norm(x.float(), x.shape[-1:], eps=self.eps).to(x.dtype)
        return normed * self.weight.to(x.dtype)


class LayerNorm(nn.LayerNorm):
    """Layer norm in float32, whatever types the input and the weights have."""

    def forward(self, input: Tensor) -> Tensor:
        weight, bias = (None if p is None else p.float() for p in (self.weight, self.bias))
        if torch.compiler.is_compiling():  # two passes are faster than Welford's method
            centred = input.float() - input.float().mean(-1, keepdim=True)
            out = centred * (centred.square().mean(-1, keepdim=True) + self.eps).rsqrt()
            out = out if weight is None else out * weight
            return (out if bias is None else out + bias).to(input.dtype)
        out = F.layer_norm(input.float(), self.normalized_shape, weight, bias, self.eps)
        return out.to(input.dtype)


class Projections(nn.Module):
    """Projections of attention; queries and keys are normed over the full width."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        dim, self.heads = config.dim, config.num_heads
        self.q: nn.Module
        self.k: nn.Module
        self.v: nn.Module
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim) for _ in range(4))
        self.norm_q = RMSNorm(dim, config.eps) if config.qk_norm else nn.Identity()
        self.norm_k = RMSNorm(dim, config.eps) if config.qk_norm else nn.Identity()
        self.attend = attend
        """Attention function; fast and distributed paths replace it."""

    def split(self, x: Tensor) -> Tensor:
        """(B, L, D) to heads (B, L, N, H)."""
        return x.unflatten(-1, (self.heads, -1))


class SelfAttention(Projections):
    """Attention over the tokens of memory, past and current frames.

    Attributes:
        qkv: one layer that replaces ``q``, ``k`` and ``v``, or None.
        shard: share of the tokens; keys and values are of all tokens, for some heads.
        one_pass: whether one GPU kernel norms and rotates queries and keys.
        draft: attention function of draft steps; None for ``attend``.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.qkv: nn.Module | None = None
        self.shard = Shard()
        self.one_pass = False
        self.draft: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None

    def forward(
        self,
        x: Tensor,
        rotation: Rotation,
        past: KeysValues | None = None,
        last: int = 0,
        draft: bool = False,
    ) -> tuple[Tensor, KeysValues]:
        """(B, L, D) to (B, L or last, D), and the keys and values of all L tokens.

        Args:
            past: keys and values of earlier tokens, or None.
            last: number of last tokens whose output is returned; 0 for all.
            draft: whether attention may be approximate.
        """
        if self.qkv is None:
            q, k, v = self.q(x), self.k(x), self.v(x)
        else:
            q, k, v = self.qkv(x).chunk(3, -1)
        queries, keys = self._turned(q, k, rotation)
        queries, *rest = self.shard.to_heads(queries, keys, self.split(v))
        own = KeysValues(*rest)
        if last:
            queries = queries[:, -last * self.shard.count :]
        attend = self.draft if draft and self.draft is not None else self.attend
        attended = attend(queries, *own.after(past))
        return self.o(self.shard.to_tokens(attended).flatten(2)), own

    def _turned(self, q: Tensor, k: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor]:
        """Queries and keys (B, L, D), normed and rotated: (B, L, N, H)."""
        if self.one_pass and isinstance(self.norm_q, RMSNorm) and isinstance(self.norm_k, RMSNorm):
            from mgenv.matrix_game3.network import rotation_triton

            weights = self.norm_q.weight, self.norm_k.weight
            return rotation_triton.norm_and_turn(q, k, *weights, *rotation, self.norm_q.eps)
        q, k = self.norm_q(q), self.norm_k(k)
        return rotate(self.split(q), rotation), rotate(self.split(k), rotation)


class CrossAttention(Projections):
    """Attention to a prompt's precomputed keys and values, (B, K, N, H) each."""

    def read(self, text: Tensor) -> KeysValues:
        """Keys and values (B, K, N, H) of an embedded prompt (B, K, D)."""
        return KeysValues(self.split(self.norm_k(self.k(text))), self.split(self.v(text)))

    def forward(self, x: Tensor, prompt: KeysValues) -> Tensor:
        """(B, L, D) to (B, L, D)."""
        queries = self.split(self.norm_q(self.q(x)))
        return self.o(self.attend(queries, *prompt).flatten(2))
