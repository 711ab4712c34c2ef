"""The CPU transformer equals the transformer."""

from __future__ import annotations

import copy

import pytest
import torch

from mgenv.camera import Pose
from mgenv.models.history import History
from mgenv.models.onednn_layers import has_onednn
from mgenv.models.transformer import Transformer, TransformerConfig
from mgenv.models.transformer_inference_cpu import CpuTransformer

pytestmark = pytest.mark.skipif(not has_onednn(), reason="needs an x86 CPU and oneDNN")

CONFIG = TransformerConfig(
    width=32, depth=3, heads=2, hidden=48, cells=16, latent_channels=4, side=4
)
LEVELS, BATCH = (1.0, 2 / 3), 3


@pytest.fixture
def network() -> Transformer:
    torch.manual_seed(0)
    network = Transformer(CONFIG).eval()
    for parameter in network.parameters():  # zero-initialised layers would hide everything
        torch.nn.init.normal_(parameter, std=0.2)
    return network.requires_grad_(False)


def on_cpu(network: Transformer, dtype: torch.dtype = torch.float32) -> CpuTransformer:
    return CpuTransformer(copy.deepcopy(network), LEVELS, dtype)


def lived(network, frames: int) -> History:
    """History of some frames; the last slot has seen one fewer."""
    generator = torch.Generator().manual_seed(1)
    history = History.empty(CONFIG, BATCH, "cpu")
    for frame in range(frames):
        latents = torch.randn(BATCH, 4, 4, 4, generator=generator)
        position = torch.tensor([[0.1 * frame, 0.0, 1.0]]).expand(BATCH, -1)
        pose = Pose.create(position, torch.full((BATCH,), 0.2 * frame)).matrix
        history = history.append(network, latents, pose)
        if frame == 0:
            history.forget(torch.tensor([BATCH - 1]))
    return history


def velocity(network, history: History, sigma: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    features, noisy = (torch.randn(BATCH, n, 4, 4, generator=generator) for n in (32, 4))
    motion = torch.randn(BATCH, 15, generator=generator)
    at, time, present = torch.full((BATCH,), sigma), history.time, history.present
    context = network.memory(features, motion, time, history.keys_values(), present)
    return network.velocity(noisy, at, features, motion, time, context, present)


@pytest.mark.parametrize("frames", [0, 1, 3, 6])
def test_histories_are_equal(network, frames):
    plain, fast = lived(network, frames), lived(on_cpu(network), frames)
    torch.testing.assert_close(fast.cache, plain.cache, rtol=1e-4, atol=1e-4)
    assert torch.equal(fast.present, plain.present) and torch.equal(fast.time, plain.time)


@pytest.mark.parametrize("frames", [0, 1, 6])
@pytest.mark.parametrize("sigma", LEVELS)
def test_velocities_are_equal(network, frames, sigma):
    history = lived(network, frames)
    expected = velocity(network, history, sigma)
    fast = on_cpu(network)
    for _ in range(2):  # the first leaves nothing behind
        torch.testing.assert_close(velocity(fast, history, sigma), expected, rtol=1e-4, atol=1e-4)


def test_bfloat16_is_near(network):
    history = lived(network, 6)
    expected = velocity(network, history, 1.0)
    history.cache = history.cache.bfloat16()
    error = velocity(on_cpu(network, torch.bfloat16), history, 1.0) - expected
    assert error.norm() / expected.norm() < 0.05


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_absent_history_has_no_influence(network, dtype):
    fast, results = on_cpu(network, dtype), []
    for junk in (0.0, 5.0):
        history = History.empty(CONFIG, BATCH, "cpu")
        history.cache = history.cache.to(dtype) + junk
        results.append(velocity(fast, history, 1.0))
    assert torch.equal(results[0], results[1])


def test_a_slot_does_not_depend_on_whether_others_have_a_history(network):
    fast, history = on_cpu(network, torch.bfloat16), lived(network, 6)
    history.cache = history.cache.bfloat16()
    history.present[-1] = True
    before = velocity(fast, history, 1.0)
    history.present[-1] = False
    assert torch.equal(velocity(fast, history, 1.0)[:-1], before[:-1])
