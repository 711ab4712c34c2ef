"""The second golden clip, and how far one computation of it is from another."""

from pathlib import Path

import torch
from torch import Tensor

from mgenv.matrix_game3.checkpoint.network_references import second_clip
from mgenv.matrix_game3.checkpoint.references import Case
from mgenv.matrix_game3.network.transformer import Transformer
from mgenv.matrix_game3.rollout.sampler import FlowUniPC

FOLDER = Path(__file__).parents[1] / "fixtures" / "matrix_game3"


def inputs(golden: dict[str, Tensor]) -> dict:
    """Arguments of ``prepare``."""
    return second_clip(Case(FOLDER, golden, torch.device("cpu")))


@torch.no_grad()
def second(network: Transformer, golden: dict[str, Tensor]) -> Tensor:
    """Its velocity."""
    conditions = network.prepare(**inputs(golden))
    return network(golden["second.x"].float(), golden["second.t"], conditions)


@torch.no_grad()
def rollout(network: Transformer, golden: dict[str, Tensor]) -> Tensor:
    """The last latents of three steps from noise."""
    conditions, sampler = network.prepare(**inputs(golden)), FlowUniPC(3)
    x, t = golden["second.x"].float(), golden["second.t"]
    for n in range(3):
        now = torch.where(t > 0, float(sampler.timesteps[n]), 0.0)
        x = sampler.step(network(x, now, conditions), n, x)
    return x


def error(out: Tensor, truth: Tensor) -> float:
    """‖out − truth‖ / ‖truth‖."""
    return float((out.double() - truth.double()).norm() / truth.double().norm())
