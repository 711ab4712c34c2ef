from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mgenv.errors import InvalidOptionError
from mgenv.matrix_game3.rollout.sampler import FlowUniPC

GOLDEN = Path(__file__).parents[2] / "fixtures" / "matrix_game3"


@pytest.fixture(scope="module")
def golden():
    return load_file(GOLDEN / "dit_golden.safetensors")


def trajectory(sampler, golden, name):
    sample, states = golden[f"{name}.x0"], []
    for index, output in enumerate(golden[f"{name}.model_output"]):
        sample = sampler.step(output, index, sample)
        states.append(sample)
    return torch.stack(states)


@pytest.mark.parametrize("steps", [3, 8])
def test_the_trajectory_is_the_public_one(golden, steps):
    name, sampler = f"unipc{steps}", FlowUniPC(steps, 5.0)
    torch.testing.assert_close(sampler.sigmas, golden[f"{name}.sigmas"], rtol=1e-6, atol=0)
    assert torch.equal(sampler.timesteps, golden[f"{name}.timesteps"])
    found, expected = trajectory(sampler, golden, name), golden[f"{name}.trajectory"]
    assert (found - expected).norm() / expected.norm() < 1e-6
    again = trajectory(sampler, golden, name)
    assert torch.equal(found, again), "step 0 starts anew"


@pytest.mark.parametrize("steps", [1, 2, 4, 50])
def test_a_constant_latent_is_found_exactly(steps):
    sampler, target = FlowUniPC(steps), torch.full((2, 3), 0.7)
    noise = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    sample = noise
    for index in range(steps):
        sigma = sampler.sigmas[index]
        sample = sampler.step((sample - target) / sigma, index, sample)
    torch.testing.assert_close(sample, target)


def test_more_steps_come_closer_on_a_curved_path():
    """Data that are Gaussian with deviation ½ have a velocity in closed form."""

    def end(steps):
        sampler, sample = FlowUniPC(steps, 1.0), torch.tensor([1.0], dtype=torch.float32)
        for index in range(steps):
            sigma = float(sampler.sigmas[index])
            variance = 0.25 * (1 - sigma) ** 2 + sigma**2
            velocity = sample * (sigma - 0.25 * (1 - sigma)) / variance
            sample = sampler.step(velocity, index, sample)
        return float(sample)

    errors = [abs(end(steps) - 0.5005) for steps in (16, 32, 64)]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]  # second order; Euler's method halves them
    assert errors[2] < 1e-3


def test_half_precision_goes_in_and_comes_out():
    sampler = FlowUniPC(3)
    sample = torch.ones(1, 4, dtype=torch.bfloat16)
    assert sampler.step(sample, 0, sample).dtype == torch.bfloat16


def test_steps_out_of_turn_are_a_defect():
    sampler, sample = FlowUniPC(3), torch.zeros(1)
    with pytest.raises(AssertionError, match="in order"):
        sampler.step(sample, 1, sample)


@pytest.mark.parametrize("options", [(0, 5.0), (3, 0.0), (3, float("nan"))])
def test_bad_input_is_told(options):
    with pytest.raises(InvalidOptionError, match="at least one step"):
        FlowUniPC(*options)
