"""Queries and keys are normed and turned at once as they are one after the other."""

from __future__ import annotations

import pytest
import torch

from mgenv.matrix_game3.network.attention import SelfAttention
from mgenv.matrix_game3.network.config import TransformerConfig
from mgenv.matrix_game3.network.rope import Rotation
from tests.interpreted import interpret

CASES = [(1, 1, 5, 3, 16), (2, 1, 7, 2, 32), (2, 2, 4, 24, 128)]
"""Batch, batch of the angles, tokens, heads, channels a head."""


def attention(heads: int, width: int) -> SelfAttention:
    config = TransformerConfig(dim=heads * width, num_heads=heads, ffn_dim=8, num_layers=1)
    made = SelfAttention(config).requires_grad_(False)
    for norm in (made.norm_q, made.norm_k):
        norm.weight.copy_(torch.rand(heads * width) + 0.5)
    return made


def inputs(batch: int, tables: int, tokens: int, heads: int, width: int):
    """Queries and keys as parts of one product, angles as a part of those of more tokens."""
    product = torch.randn(batch, tokens, 3 * heads * width)
    angles = torch.randn(tables, tokens + 3, heads, width // 2)
    return product, Rotation(angles.cos(), angles.sin())


def check(case: tuple[int, ...], device: str, dtype: torch.dtype, most: float) -> None:
    torch.manual_seed(0)
    made, (product, angles) = attention(*case[3:]).to(device), inputs(*case)
    rotation = Rotation(*(x.to(device) for x in angles)).of(slice(2, case[2] + 2))
    product = product.to(device)
    truth = made._turned(*product.chunk(3, -1)[:2], rotation)
    made.one_pass = True
    turned = made._turned(*product.to(dtype).chunk(3, -1)[:2], rotation)
    for out, expected in zip(turned, truth, strict=True):
        assert out.shape == expected.shape and out.dtype == dtype
        assert float((out.float() - expected).norm() / expected.norm()) < most


INTERPRETED = """
import torch
from tests.matrix_game3.network.test_rotation_triton import CASES, check
for case in CASES:
    check(case, "cpu", torch.float32, 1e-6)
"""


def test_one_pass_equals_the_plain_path():
    interpret(INTERPRETED)


@pytest.mark.gpu
@pytest.mark.parametrize("case", CASES)
def test_one_pass_on_a_gpu_equals_the_plain_path(case):
    check(case, "cuda", torch.bfloat16, 4e-3)
