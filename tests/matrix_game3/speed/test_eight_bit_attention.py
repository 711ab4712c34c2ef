"""What attention in 8 bits costs the network's velocity."""

from __future__ import annotations

import pytest

from mgenv.matrix_game3.kernels.eight_bit_attention import BF16, FP8, EightBitAttention
from mgenv.matrix_game3.network.attention import SelfAttention
from mgenv.matrix_game3.network.transformer import Transformer
from tests.matrix_game3.golden_clip import error, rollout, second


def in_eight_bits(network: Transformer, values: str) -> Transformer:
    layers = [layer for layer in network.modules() if isinstance(layer, SelfAttention)]
    assert layers
    for layer in layers:
        layer.attend = EightBitAttention(values)
    return network


@pytest.mark.parametrize(("values", "most"), [(FP8, 0.035), (BF16, 0.0225)])
def test_the_velocity_stays_close(network, golden, values, most):
    truth = second(network, golden)
    assert 0.0 < error(second(in_eight_bits(network, values), golden), truth) < most


@pytest.mark.parametrize("values", [FP8, BF16])
def test_a_rollout_of_three_steps_is_within_two_percent(network, golden, values):
    truth = rollout(network, golden)
    assert 0.0 < error(rollout(in_eight_bits(network, values), golden), truth) < 0.02
