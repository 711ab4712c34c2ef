"""Attention with 8-bit products, to be put where a plain ``attend`` is.

After SageAttention2 (arXiv 2411.10958): scores are products of whole numbers, queries with a scale
a token, keys with one a block after their mean is taken away, which no softmax sees. FP8 with its
three bits of mantissa puts scores four times as far off, and a softmax sharpens that. Values are
FP8 with a scale a channel, their mean set aside, and probabilities FP8 with the largest at 256; or
both are bfloat16, which is closer and slower.

On a Hopper GPU a kernel of our own multiplies
(:mod:`mgenv.matrix_game3.kernels.eight_bit_attention_hopper`); elsewhere the plain path here does
the same arithmetic, for tests and small sizes.

Legend: B batch, L queries, K keys, N heads, H head width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mgenv.errors import InvalidOptionError, UnknownNameError
from mgenv.matrix_game3.kernels.eight_bit_parts import BLOCK, Parts
from mgenv.matrix_game3.kernels.hopper import on_hopper
from mgenv.matrix_game3.kernels.quantize import FP8, FP8_MOST, to_int8

BF16 = "bf16"
VALUES = (FP8, BF16)
_EVERY = 17
"""One token of so many is looked at for what all share: a prime, which meets every column."""
_HEADROOM = 8.0
"""How much larger than there a value may be: FP8 is as precise over 15 octaves."""
_TOP = 256.0
"""The largest probability in FP8."""
_LEAST = 1e-12


@dataclass(frozen=True)
class EightBitAttention:
    """Softmax attention of every query over every key, in 8 bits.

    Args:
        values: ``"fp8"`` or ``"bf16"``.

    Raises:
        UnknownNameError: other values.
    """

    values: str = FP8

    def __post_init__(self) -> None:
        if self.values not in VALUES:
            raise UnknownNameError("kind of values", self.values, VALUES)

    def __call__(self, q_BLNH: Tensor, k_BKNH: Tensor, v_BKNH: Tensor) -> Tensor:
        """(B, L, N, H), in the type of the queries.

        Raises:
            InvalidOptionError: on a GPU that is not Hopper, or heads there not 64 or 128 wide.
        """
        parts = split(q_BLNH, k_BKNH, v_BKNH, self.values)
        if not q_BLNH.is_cuda:
            return plain(parts).to(q_BLNH.dtype)
        q, k, v, *scales = parts
        v = in_score_order(v) if self.values == FP8 else v
        return hopper(q, k, v, *scales).to(q_BLNH.dtype)


def split(q: Tensor, k: Tensor, v: Tensor, values: str) -> Parts:
    """Quantise queries (B, L, N, H), keys and values (B, K, N, H) for :func:`plain`."""
    k = k.float() - k[:, ::_EVERY].float().mean(1, keepdim=True)
    q8, q_scale = to_int8(q)  # (B, L, N, 1)
    q_scale = q_scale * (math.log2(math.e) / q.shape[-1] ** 0.5)
    blocks = F.pad(k, (0, 0, 0, 0, 0, -k.shape[1] % BLOCK)).unflatten(1, (-1, BLOCK))
    k8, k_scale = to_int8(blocks, (2, 4))  # (B, blocks, 1, N, 1)
    k8 = k8.flatten(1, 2)[:, : k.shape[1]].contiguous()
    v, v_scale, v_mean = _split_values(v, values)
    q_scale, k_scale = q_scale[..., 0].transpose(1, 2), k_scale[:, :, 0, :, 0].transpose(1, 2)
    return Parts(q8, k8, v, q_scale.contiguous(), k_scale.contiguous(), v_scale, v_mean)


def _split_values(v: Tensor, values: str) -> tuple[Tensor, Tensor, Tensor]:
    seen = v[:, ::_EVERY].float()
    if values == BF16:
        ones = torch.ones_like(seen[:, 0])
        return v.to(torch.bfloat16).contiguous(), ones, torch.zeros_like(ones)
    mean = seen.mean(1, keepdim=True)  # (B, 1, N, H)
    most = (seen - mean).abs().amax(1, keepdim=True)  # (B, 1, N, H)
    most = torch.maximum(most, most.amax(-1, keepdim=True) / 4).clamp(min=_LEAST)
    scale = most * (_HEADROOM / FP8_MOST)
    small = ((v.float() - mean) / scale).clamp(-FP8_MOST, FP8_MOST).to(torch.float8_e4m3fn)
    return small, scale[:, 0], mean[:, 0]


def in_score_order(v: Tensor) -> Tensor:
    """FP8 values (B, K, N, H) as the kernel takes them: (B, N, H, K up to a multiple of 16).

    A thread has scores of keys 2c, 2c + 1, 2c + 8 and 2c + 9 of each 16, and of an 8-bit product's
    factors numbers 4c to 4c + 3. So keys come as 0 1 8 9 2 3 10 11 4 5 12 13 6 7 14 15, here and in
    what the kernel makes of the scores, and no thread has to hand any to another.
    """
    v = F.pad(v.view(torch.int8).permute(0, 2, 3, 1), (0, -v.shape[1] % 16))  # (B, N, H, K)
    v = v.unflatten(-1, (-1, 2, 4, 2)).transpose(-2, -3)  # key 16a + 8b + 2c + d: (…, a, c, b, d)
    return v.flatten(-4).contiguous().view(torch.float8_e4m3fn)


def plain(parts: Parts) -> Tensor:
    """float32 (B, L, N, H): exact but for the rounding of probabilities; a head at a time."""
    k_scale = parts.k_scale.repeat_interleave(BLOCK, 2)[..., : parts.k.shape[1]]  # (B, N, K)
    out = torch.empty(parts.q.shape, device=parts.q.device)
    for n in range(parts.q.shape[2]):
        q = parts.q[:, :, n].float() * parts.q_scale[:, n, :, None]
        scores = (q @ parts.k[:, :, n].float().transpose(1, 2)) * k_scale[:, n, None]  # (B, L, K)
        p = (scores - scores.amax(-1, keepdim=True)).exp2() * _TOP
        total = p.sum(-1, keepdim=True)
        out[:, :, n] = p.to(parts.v.dtype).float() @ parts.v[:, :, n].float() / total
    return out * parts.v_scale[:, None] + parts.v_mean[:, None]


def fits(device: torch.device, width: int) -> bool:
    """Whether there is a kernel for heads ``width`` wide; a CPU takes the plain path."""
    return device.type == "cpu" or (on_hopper(device) and width in (64, 128))


@torch.library.custom_op("mgenv::eight_bit_attention", mutates_args=())
def hopper(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    q_scale: Tensor,
    k_scale: Tensor,
    v_scale: Tensor,
    v_mean: Tensor,
) -> Tensor:
    """bfloat16 (B, L, N, H) of :class:`Parts`, FP8 values :func:`in_score_order`."""
    if not fits(q.device, q.shape[-1]):
        raise InvalidOptionError(
            "8-bit attention: expected a Hopper GPU and heads 64 or 128 wide, got "
            f"{torch.cuda.get_device_name(q.device)} and {q.shape[-1]}"
        )
    from mgenv.matrix_game3.kernels import eight_bit_attention_hopper

    return eight_bit_attention_hopper.attend(Parts(q, k, v, q_scale, k_scale, v_scale, v_mean))


@hopper.register_fake
def _(q: Tensor, *_: Tensor) -> Tensor:
    return torch.empty_like(q, dtype=torch.bfloat16)
