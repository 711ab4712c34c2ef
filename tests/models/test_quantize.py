"""Eight bits are close to what they stand for."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from mgenv.errors import InvalidOptionError, UnknownNameError
from mgenv.models.quantize import FP8, INT8, QuantizedLinear, quantize, to_fp8, to_int8


@pytest.fixture
def linear():
    torch.manual_seed(0)
    return nn.Linear(64, 48)


def error(out: torch.Tensor, truth: torch.Tensor) -> float:
    out, truth = out.detach().double(), truth.detach().double()
    return float((out - truth).norm() / truth.norm())


@pytest.mark.parametrize(("to_8", "most"), [(to_int8, 0.01), (to_fp8, 0.04)])
def test_rows_come_back(to_8, most):
    x = (
        torch.randn(20, 64, generator=torch.Generator().manual_seed(1))
        * torch.logspace(-3, 3, 20)[:, None]
    )
    small, scale = to_8(x)
    assert small.element_size() == 1 and scale.shape == (20, 1)
    assert max(error(a, b) for a, b in zip(small.float() * scale, x, strict=True)) < most
    assert torch.isfinite(to_8(torch.zeros(2, 4))[1]).all()


@pytest.mark.parametrize(("kind", "most"), [(INT8, 0.015), (FP8, 0.06)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_is_close_to_the_plain_one(kind, most, bias):
    torch.manual_seed(0)
    linear = nn.Linear(64, 48, bias=bias)
    x = torch.randn(3, 5, 64, generator=torch.Generator().manual_seed(2))
    out, truth = QuantizedLinear(linear, kind)(x), linear(x)
    assert out.shape == truth.shape and out.dtype == x.dtype
    assert error(out, truth) < most
    assert torch.cosine_similarity(out.flatten(), truth.flatten(), 0) > 0.998


def test_int8_products_are_exact_but_for_scales(linear):
    """Whole numbers times whole numbers: no rounding inside."""
    layer = QuantizedLinear(linear, INT8)
    x = torch.randn(7, 64)
    small, scale = to_int8(x)
    truth = small.double() @ layer.weight.double().t() * scale.double() * layer.scale.double().t()
    torch.testing.assert_close(
        layer(x).double(), truth + linear.bias.double(), rtol=1e-5, atol=1e-6
    )


def test_tokens_have_scales_of_their_own(linear):
    layer, x = QuantizedLinear(linear, INT8), torch.randn(2, 64)
    both = layer(torch.stack([x[0], 1e4 * x[1]]))
    assert error(both[0], linear(x[0])) < 0.02


def test_the_chosen_layers_are_replaced(linear):
    model = nn.Sequential(linear, nn.ReLU(), nn.Linear(48, 8))
    quantize(model, INT8, lambda name, layer: layer.out_features == 48)
    assert isinstance(model[0], QuantizedLinear) and isinstance(model[2], nn.Linear)
    assert model(torch.randn(3, 64)).shape == (3, 8)
    assert "int8" in repr(model[0])
    bytes_ = sum(b.numel() * b.element_size() for b in model[0].buffers())
    assert bytes_ < linear.weight.numel() * 1.1


def test_bad_choices_are_named(linear):
    with pytest.raises(UnknownNameError, match="int8"):
        QuantizedLinear(linear, "int4")
    with pytest.raises(InvalidOptionError, match="none"):
        quantize(nn.Sequential(linear), INT8, lambda name, layer: False)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a GPU is needed")
@pytest.mark.parametrize("rows", [1, 33, 1000])
def test_the_gpu_kernel_gives_what_the_plain_path_gives(rows):
    torch.manual_seed(0)
    linear = nn.Linear(3072, 1024)
    plain, fast = QuantizedLinear(linear, INT8), QuantizedLinear(deepcopy(linear).cuda(), INT8)
    x = torch.randn(rows, 3072)
    assert error(fast(x.cuda()).cpu(), plain(x)) < 3e-3
