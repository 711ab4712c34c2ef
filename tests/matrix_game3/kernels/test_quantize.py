"""Eight bits are close to what they stand for."""

from __future__ import annotations

import re
from copy import deepcopy

import pytest
import torch
from torch import nn

from mgenv.errors import InvalidOptionError, UnknownNameError
from mgenv.matrix_game3.kernels.quantize import (
    FP8,
    INT8,
    QuantizedLinear,
    stacked,
    to_fp8,
    to_int8,
)
from tests.interpreted import interpret


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


def test_a_quantized_layer_is_small_and_says_what_it_is(linear):
    layer = QuantizedLinear(linear, INT8)
    assert layer(torch.randn(3, 64)).shape == (3, 48)
    assert "int8" in repr(layer)
    bytes_ = sum(b.numel() * b.element_size() for b in layer.buffers())
    assert bytes_ < linear.weight.numel() * 1.1


def test_other_kinds_are_named(linear):
    with pytest.raises(UnknownNameError, match="int8"):
        QuantizedLinear(linear, "int4")


@pytest.mark.parametrize("kind", [INT8, FP8])
@pytest.mark.parametrize("bias", [True, False])
def test_stacked_layers_give_what_each_gives(kind, bias):
    """Bit for bit: each output channel has a scale of its own, and tokens are rounded alike."""
    torch.manual_seed(0)
    layers = [nn.Linear(64, wide, bias=bias) for wide in (48, 8, 24)]
    x = torch.randn(3, 5, 64)
    together = QuantizedLinear(stacked(layers), kind)(x).split([48, 8, 24], -1)
    for out, layer in zip(together, layers, strict=True):
        assert torch.equal(out, QuantizedLinear(layer, kind)(x))


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [nn.Linear(8, 4), nn.Linear(16, 4)],
        [nn.Linear(8, 4), nn.Linear(8, 4, bias=False)],
    ],
)
def test_layers_that_do_not_stack_are_refused(layers):
    with pytest.raises(InvalidOptionError, match="of one width, all or none with a bias"):
        stacked(layers)


INTERPRETED = """
import torch
from mgenv.matrix_game3.kernels.quantize import int8_product, to_int8
from mgenv.matrix_game3.kernels.quantize_triton import multiply

for rows, columns, deep in ((1, 8, 16), (150, 136, 272)):
    x, x_scale = to_int8(torch.randn(rows, deep))
    weight, scale = to_int8(torch.randn(columns, deep))
    plain = int8_product(x, x_scale, weight, scale)
    for bias in (torch.randn(columns), None):
        truth = plain if bias is None else plain + bias
        out = multiply(x, x_scale, weight, scale, bias)
        torch.testing.assert_close(out.float(), truth, rtol=2**-7, atol=1e-4)  # truncated
        ended = torch.nn.functional.gelu(truth, approximate="tanh")
        out = multiply(x, x_scale, weight, scale, bias, True)
        torch.testing.assert_close(out.float(), ended, rtol=2**-5, atol=2e-2)
"""


def test_the_portable_kernel_gives_what_the_plain_path_gives():
    interpret(INTERPRETED)


@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_the_hopper_kernel_compiles_to_products_that_overlap(gelu, bias, monkeypatch, tmp_path):
    """As far as one can look without a GPU: whole numbers, and a wait that leaves one going."""
    triton = pytest.importorskip("triton", reason="a GPU's compiler is needed")
    from triton.backends.compiler import GPUTarget
    from triton.experimental.gluon import language as gl
    from triton.experimental.gluon._runtime import GluonASTSource

    from mgenv.matrix_game3.kernels import quantize_triton as kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    tall, wide, long = kernels.TILE

    def block(kind: gl.dtype, name: str, *shape: int) -> str:
        layout = gl.NVMMASharedLayout.get_default_for(list(shape), kind)
        return f"tensordesc<{name}{list(shape)},{layout!r}>"

    kernel = kernels._multiply_on_hopper
    constants = dict(HAS_BIAS=bias, GELU=gelu, GROUP=kernels.GROUP, STAGES=kernels.STAGES)
    signature = {
        "x": block(gl.int8, "i8", tall, long),
        "w": block(gl.int8, "i8", wide, long),
        "out": block(gl.bfloat16, "bf16", tall, wide // 2),
        "x_scale_at": "*fp32", "w_scale_at": "*fp32", "bias_at": "*bf16",
        "M": "i32", "N": "i32", "K": "i32",
        **dict.fromkeys(constants, "constexpr"),
    }  # fmt: skip
    places = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
    source = GluonASTSource(fn=kernel, signature=signature, constexprs=places)
    target, options = GPUTarget("cuda", 90, 32), {"num_warps": kernels.WARPS}
    made = triton.compile(source, target=target, options=options)
    assert set(re.findall(r"wgmma\.mma_async\S*", made.asm["ptx"])) == {
        "wgmma.mma_async.sync.aligned.m64n128k32.s32.s8.s8"
    }
    waits = re.findall(r"wgmma\.wait_group\.sync\.aligned (\d)", made.asm["ptx"])
    assert sorted(waits) == ["0", "1"]
    assert made.metadata.shared <= 227 * 1024


@pytest.mark.gpu
@pytest.mark.parametrize("rows", [1, 33, 1000])
def test_the_gpu_kernel_gives_what_the_plain_path_gives(rows):
    torch.manual_seed(0)
    linear = nn.Linear(3072, 1024)
    plain, fast = QuantizedLinear(linear, INT8), QuantizedLinear(deepcopy(linear).cuda(), INT8)
    x = torch.randn(rows, 3072)
    assert error(fast(x.cuda()).cpu(), plain(x)) < 3e-3
