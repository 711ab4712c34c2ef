"""A recorded step does what the step does."""

from __future__ import annotations

import pytest
import torch

from mgenv.training.graphs import EAGER_CALLS, CudaGraphStep


def counting(device: str, enabled: bool = True):
    """A step that draws, and changes its state in place."""
    generator = torch.Generator(device).manual_seed(0)
    total, calls = torch.zeros((), device=device), []

    def step() -> dict[str, torch.Tensor]:
        calls.append(1)
        total.add_(torch.rand((), generator=generator, device=device))
        return {"total": total.clone()}

    return CudaGraphStep(step, generator, enabled), calls


def test_elsewhere_than_on_cuda_the_step_is_called():
    recorded, calls = counting("cpu")
    totals = [float(recorded()["total"]) for _ in range(EAGER_CALLS + 3)]
    assert len(calls) == EAGER_CALLS + 3
    assert totals == sorted(totals) and len(set(totals)) == len(totals)


@pytest.mark.gpu
def test_replays_draw_anew_and_equal_calls():
    recorded, calls = counting("cuda")
    plain, _ = counting("cuda", enabled=False)
    for _ in range(EAGER_CALLS + 5):
        torch.testing.assert_close(recorded()["total"], plain()["total"])
    assert len(calls) == EAGER_CALLS + 1
