"""Two experts, and which of them is asked."""

from dataclasses import replace

import pytest
import torch

from mgenv.errors import InvalidOptionError
from mgenv.matrix_game3 import Mixture
from tests.matrix_game3.small_network import SMALL, a_clip, latents_and_times, randomised


@pytest.fixture
def mixture() -> Mixture:
    low = randomised(replace(SMALL, action_config=None), seed=1)
    return Mixture(randomised(SMALL), low, boundary=0.5)


def test_the_noise_level_picks_the_expert(mixture):
    clip, (x, t) = a_clip(SMALL), latents_and_times(SMALL)
    noisy, clear = t.clamp(max=500.0) * 1.25, t * 0.5  # samples at 500 and 625, at 200 and 400
    conditions = mixture.prepare(**clip)
    assert torch.equal(mixture(x, noisy, conditions), mixture.high(x, noisy, **clip))
    still = clip | {"keyboard": None, "mouse": None}
    assert torch.equal(mixture(x, clear, conditions), mixture.low(x, clear, **still))
    assert mixture.config is mixture.high.config and mixture.dtype == torch.float32


def test_both_experts_stream_in_one_type(mixture):
    mixture.stream_dtype = torch.bfloat16
    assert mixture.low.stream_dtype == mixture.high.stream_dtype == torch.bfloat16
    assert mixture.stream_dtype == torch.bfloat16


def test_only_the_noisy_expert_sees_actions(mixture):
    clip, (x, t) = a_clip(SMALL), latents_and_times(SMALL)
    one = mixture.prepare(**clip)
    other = mixture.prepare(**clip | {"mouse": clip["mouse"] + 1})
    clear, noisy = t * 0.5, t * 0 + 900
    assert torch.equal(mixture(x, clear, one), mixture(x, clear, other))
    assert not torch.equal(mixture(x, noisy, one), mixture(x, noisy, other))


def test_a_batch_on_both_sides_of_the_boundary_is_refused(mixture):
    x, t = latents_and_times(SMALL)
    with pytest.raises(InvalidOptionError, match="one side of timestep 500"):
        mixture(x, t, mixture.prepare(**a_clip(SMALL)))


def test_experts_fit_each_other():
    other = randomised(replace(SMALL, in_dim=4, out_dim=4))
    with pytest.raises(InvalidOptionError, match="same latent channels"):
        Mixture(randomised(SMALL), other)
    with pytest.raises(InvalidOptionError, match="between 0 and 1"):
        Mixture(randomised(SMALL), randomised(SMALL), boundary=900)
