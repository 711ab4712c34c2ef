"""Attention in 8 bits is close to what it stands for."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgenv.errors import UnknownNameError
from mgenv.matrix_game3.kernels.eight_bit_attention import (
    BF16,
    FP8,
    VALUES,
    EightBitAttention,
    in_score_order,
    plain,
    split,
)

WITHIN = {FP8: 0.041, BF16: 0.014}
"""Relative error over normal queries, keys and values: three bits of mantissa, and seven."""
SHARP = {FP8: 0.055, BF16: 0.045}
"""Where softmax takes one key of many: nine times the scores."""
HOPPER = torch.cuda.is_available() and torch.cuda.get_device_capability()[0] == 9


def inputs(length: int, keys: int, batch: int = 1, heads: int = 2, width: int = 128):
    generator = torch.Generator().manual_seed(0)
    shapes = ((batch, size, heads, width) for size in (length, keys, keys))
    return tuple(torch.randn(shape, generator=generator) for shape in shapes)


def exact(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    parts = (x.float().transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(*parts).transpose(1, 2)


def error(out: Tensor, truth: Tensor) -> float:
    return float((out.double() - truth.double()).norm() / truth.double().norm())


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize(("length", "keys", "batch"), [(256, 1024, 1), (65, 129, 2), (1, 300, 3)])
def test_it_is_close_to_attention(values, length, keys, batch):
    q, k, v = inputs(length, keys, batch)
    out = EightBitAttention(values)(q, k, v)
    assert out.shape == q.shape and out.dtype == q.dtype
    assert 0.0 < error(out, exact(q, k, v)) < 1.1 * WITHIN[values]


@pytest.mark.parametrize("values", VALUES)
def test_sharp_attention_is_close_too(values):
    q, k, v = inputs(256, 2048)
    out = EightBitAttention(values)(3 * q, 3 * k, v)
    assert error(out, exact(3 * q, 3 * k, v)) < SHARP[values]


def test_one_key_is_certain():
    q, k, v = inputs(4, 1)
    assert error(EightBitAttention(BF16)(q, k, v), v.expand_as(q)) < 0.01


@pytest.mark.parametrize("values", VALUES)
def test_what_all_keys_have_in_common_costs_nothing(values):
    q, k, v = inputs(128, 1024)
    common = 20 * torch.randn(1, 1, 2, 128, generator=torch.Generator().manual_seed(1))
    assert error(EightBitAttention(values)(q, k + common, v), exact(q, k, v)) < WITHIN[values]


def test_what_all_values_have_in_common_costs_nothing():
    q, k, v = inputs(128, 1024)
    out = EightBitAttention(FP8)(q, k, v + 20)
    assert error(out - 20, exact(q, k, v)) < WITHIN[FP8]


def test_a_large_value_between_the_tokens_looked_at_is_kept():
    """FP8 has room above what some tokens show."""
    q, k, v = inputs(64, 512)
    v[:, 5] *= 5
    assert error(EightBitAttention(FP8)(q, k, v), exact(q, k, v)) < WITHIN[FP8]


def test_channels_that_are_quiet_where_looked_at_are_kept():
    """As those may be that only tell one column of a picture from the others."""
    q, k, v = inputs(64, 640)
    v.unflatten(1, (-1, 40))[:, :, ::8, :, :64] = 0.0
    assert error(EightBitAttention(FP8)(q, k, v), exact(q, k, v)) < WITHIN[FP8]
    v[:, ::17, :, :64] = 0.0
    assert error(EightBitAttention(FP8)(q, k, v), exact(q, k, v)) < WITHIN[FP8]


def test_tokens_and_blocks_have_scales_of_their_own():
    """A large query, or a block of large keys that none attends to, does not spoil the others."""
    q, k, v = inputs(128, 1024)
    large = torch.cat([q[:, :1] * 1000, q[:, 1:]], 1)
    out = EightBitAttention(BF16)(large, k, v)
    assert error(out[:, 1:], exact(q, k, v)[:, 1:]) < WITHIN[BF16]
    q[..., 0], k[..., 0] = 10.0, 0.0
    k[:, 128:256, :, 0], k[:, 128:256, :, 1:] = -300.0, 0.0
    assert error(EightBitAttention(BF16)(q, k, v), exact(q, k, v)) < 0.12


def test_many_weak_keys_count():
    """Four thousand at a two-thousandth of the strongest, between as many that do not matter."""
    q, k, v = torch.zeros(1, 2, 1, 64), torch.zeros(1, 8192, 1, 64), torch.ones(1, 8192, 1, 64)
    q[..., 0], k[:, ::2, :, 0], k[:, 1::2, :, 0] = 8.0, -30.0, -11 * math.log(2)
    k[:, 1, :, 0], v[:, 3::2] = 0.0, -1.0
    assert error(EightBitAttention(FP8)(q, k, v), exact(q, k, v)) < 0.2


def test_parts_stand_for_what_was_split():
    q, k, v = inputs(100, 300)
    parts = split(q, k, v, FP8)
    assert (parts.q.dtype, parts.k.dtype, parts.v.dtype) == (
        torch.int8,
        torch.int8,
        torch.float8_e4m3fn,
    )
    assert parts.q_scale.shape == (1, 2, 100) and parts.k_scale.shape == (1, 2, 3)
    back = parts.v.float() * parts.v_scale[:, None] + parts.v_mean[:, None]
    assert error(back, v) < 0.03
    assert all(x.is_contiguous() for x in parts)


def test_values_in_score_order_meet_probabilities_in_the_same():
    """The product over keys does not care for their order, if it is the same for both."""
    v = torch.randn(2, 40, 3, 8, generator=torch.Generator().manual_seed(2))
    v = v.to(torch.float8_e4m3fn)
    ordered = in_score_order(v)
    assert ordered.shape == (2, 3, 8, 48) and ordered.dtype == v.dtype
    order = torch.tensor([0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15])
    order = (order + 16 * torch.arange(3)[:, None]).flatten()
    filled = F.pad(v.float(), (0, 0, 0, 0, 0, 8))
    assert torch.equal(ordered.float(), filled[:, order].permute(0, 2, 3, 1))


class _Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attend = EightBitAttention()

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return self.attend(2 * q, k, v)


def test_it_is_traced_whole():
    q, k, v = inputs(20, 150, width=24)
    layer = _Layer()
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(q, k, v), layer(q, k, v))


def test_other_values_are_named():
    with pytest.raises(UnknownNameError, match="int8"):
        EightBitAttention("int8")


@pytest.mark.gpu
@pytest.mark.skipif(not HOPPER, reason="a Hopper GPU is needed")
@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("width", [64, 128])
@pytest.mark.parametrize(("length", "keys", "batch"), [(1, 128, 1), (130, 77, 2), (1000, 3001, 3)])
def test_the_kernel_gives_what_the_plain_path_gives(values, width, length, keys, batch):
    q, k, v = (x.cuda().bfloat16() for x in inputs(length, keys, batch, 5, width))
    out = EightBitAttention(values)(q, k, v)
    assert error(out, plain(split(q, k, v, values))) < {FP8: 0.037, BF16: 0.005}[values]
    assert error(out, exact(q, k, v)) < 1.1 * WITHIN[values]


@pytest.mark.gpu
@pytest.mark.skipif(not HOPPER, reason="a Hopper GPU is needed")
def test_the_kernel_can_be_compiled_and_captured():
    q, k, v = (x.cuda().bfloat16() for x in inputs(300, 500))
    layer = torch.compile(_Layer(), fullgraph=True)
    truth = layer(q, k, v)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = layer(q, k, v)
    graph.replay()
    assert torch.equal(out, truth)
