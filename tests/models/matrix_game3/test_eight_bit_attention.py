"""What attention in 8 bits costs the network's velocity."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mgenv.models.eight_bit_attention import BF16, FP8, EightBitAttention
from mgenv.models.matrix_game3.attention import SelfAttention
from mgenv.models.matrix_game3.config import TransformerConfig
from mgenv.models.matrix_game3.sampler import FlowUniPC
from mgenv.models.matrix_game3.transformer import Transformer, build

FOLDER = Path(__file__).parents[2] / "fixtures" / "matrix_game3"


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    return load_file(FOLDER / "dit_golden.safetensors")


@pytest.fixture
def network() -> Transformer:
    network = build(TransformerConfig.from_json(FOLDER / "dit_config.json"), "cpu")
    network.load_state_dict(load_file(FOLDER / "dit.safetensors"))
    return network.mixed()


def in_eight_bits(network: Transformer, values: str) -> Transformer:
    layers = [layer for layer in network.modules() if isinstance(layer, SelfAttention)]
    assert layers
    for layer in layers:
        layer.attend = EightBitAttention(values)
    return network


@torch.no_grad()
def rollout(network: Transformer, golden: dict[str, Tensor], steps: int) -> Tensor:
    """The first velocity, or the latents after so many steps."""
    conditions = network.prepare(
        text=golden["text"][None],
        plucker=golden["second.plucker"].float(),
        keyboard=golden["keyboard"][None, 41:97],
        mouse=golden["mouse"][None, 41:97],
        memory=golden["second.x_memory"].float(),
        memory_latent_idx=golden["second.memory_latent_idx"],
        predict_latent_idx=golden["second.predict_latent_idx"],
    )
    x, t = golden["second.x"].float(), golden["second.t"]
    if not steps:
        return network(x, t, conditions)
    sampler = FlowUniPC(steps)
    for n in range(steps):
        now = torch.where(t > 0, float(sampler.timesteps[n]), 0.0)
        x = sampler.step(network(x, now, conditions), n, x)
    return x


def error(out: Tensor, truth: Tensor) -> float:
    return float((out.double() - truth.double()).norm() / truth.double().norm())


@pytest.mark.parametrize(("values", "most"), [(FP8, 0.035), (BF16, 0.0225)])
def test_the_velocity_stays_close(network, golden, values, most):
    truth = rollout(network, golden, 0)
    assert 0.0 < error(rollout(in_eight_bits(network, values), golden, 0), truth) < most


@pytest.mark.parametrize("values", [FP8, BF16])
def test_a_rollout_of_three_steps_is_within_two_percent(network, golden, values):
    truth = rollout(network, golden, 3)
    assert 0.0 < error(rollout(in_eight_bits(network, values), golden, 3), truth) < 0.02
