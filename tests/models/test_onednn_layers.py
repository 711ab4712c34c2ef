"""oneDNN layers compute what plain ones do."""

from __future__ import annotations

import copy
from typing import TypeVar

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mgenv.models.onednn_layers import (
    OneDnnConv,
    OneDnnLinear,
    has_onednn,
    through_unshuffle,
    to_onednn,
)
from mgenv.models.refiner import Refiner, RefinerConfig
from mgenv.models.vae import VAE, ResBlock, VAEConfig

pytestmark = pytest.mark.skipif(not has_onednn(), reason="needs an x86 CPU and oneDNN")

Module = TypeVar("Module", bound=nn.Module)
PRECISIONS = [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)]


@pytest.fixture(autouse=True)
def inference():
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


def filled(module: Module) -> Module:
    """With no parameter zero, which would hide what is behind it."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.2)
    return module


def assert_near(packed: torch.Tensor, plain: torch.Tensor, tolerance: float) -> None:
    assert packed.shape == plain.shape
    assert (packed.float() - plain).norm() / plain.norm() < tolerance


@pytest.mark.parametrize("dtype, tolerance", PRECISIONS)
@pytest.mark.parametrize("layer", [nn.Conv2d(6, 5, 3, padding=1), nn.Conv2d(6, 5, 1),
                                   nn.Conv2d(6, 5, 3, stride=2, padding=1)])  # fmt: skip
def test_convolutions(layer, dtype, tolerance):
    x = torch.randn(2, 6, 8, 8)
    packed = OneDnnConv(layer, dtype)
    for batch in (2, 1):  # the layout is chosen for the first
        assert_near(packed(x[:batch]), layer(x[:batch]), tolerance)
    assert_near(packed(x, add=layer(x).to(dtype)), 2 * layer(x), tolerance)
    assert_near(OneDnnConv(layer, dtype, "swish")(x), F.silu(layer(x)), tolerance)
    assert packed(x).dtype == dtype


@pytest.mark.parametrize("dtype, tolerance", PRECISIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_linear_layers(dtype, tolerance, bias):
    layer, x = nn.Linear(12, 7, bias=bias), torch.randn(2, 3, 12)
    assert_near(OneDnnLinear(layer, dtype)(x), layer(x), tolerance)
    assert_near(OneDnnLinear(layer, dtype, "gelu")(x), F.gelu(layer(x)), tolerance)
    assert_near(OneDnnLinear(layer, dtype, "swish")(x), F.silu(layer(x)), tolerance)


@pytest.mark.parametrize("dtype, tolerance", PRECISIONS)
@pytest.mark.parametrize("width, side", [(16, 8), (128, 8), (16, 32)])
def test_residual_blocks(dtype, tolerance, width, side):
    """With few and many channels and pixels, which are normed differently."""
    block, x = filled(ResBlock(width)), torch.randn(2, width, side, side)
    expected = block(x)
    assert_near(to_onednn(block, dtype)(x.to(dtype)), expected, tolerance)


@pytest.mark.parametrize("side", [1, 3])
def test_a_convolution_through_unshuffle(side):
    conv, x = nn.Conv2d(12, 5, side, padding=side // 2), torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(through_unshuffle(conv, 2)(x), conv(F.pixel_unshuffle(x, 2)))


@pytest.mark.parametrize("dtype, tolerance", PRECISIONS)
def test_the_autoencoder(dtype, tolerance):
    sizes = VAEConfig(latent_channels=4, encoder_widths=(8, 8, 16), decoder_widths=(8, 16, 8))
    vae = filled(VAE(sizes))
    rgb, depth = torch.rand(2, 3, 32, 32), torch.rand(2, 1, 32, 32) + 1
    latents = vae.encode(rgb, depth)
    decoded = vae.decode(latents)
    to_onednn(vae, dtype)
    assert_near(vae.encode(rgb, depth), latents, tolerance)
    assert_near(vae.decode(latents), decoded, tolerance)
    assert vae.encode(rgb, depth).dtype == torch.float32


@pytest.mark.parametrize("dtype, tolerance", PRECISIONS)
def test_the_refiner(dtype, tolerance):
    refiner = filled(Refiner(RefinerConfig(widths=(8, 16))))
    decoded, canvas = torch.randn(2, 2, 4, 32, 32)
    mask = (torch.rand(2, 1, 32, 32) < 0.5).float()
    evidence = torch.rand(2, 3, 32, 32) * mask
    expected = copy.deepcopy(refiner)(decoded, canvas, mask, evidence)
    refined = to_onednn(refiner, dtype)(decoded.to(dtype), canvas, mask, evidence)
    assert_near(refined, expected, tolerance)
    assert refined.dtype == torch.float32
