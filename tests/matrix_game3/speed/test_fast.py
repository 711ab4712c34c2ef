"""Eight bits keep what the network says."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mgenv.errors import InvalidOptionError, MissingExtraError, UnknownNameError
from mgenv.matrix_game3.kernels import flash_attention3
from mgenv.matrix_game3.kernels.eight_bit_attention import EightBitAttention
from mgenv.matrix_game3.kernels.quantize import QuantizedLinear
from mgenv.matrix_game3.network.attention import attend
from mgenv.matrix_game3.rollout.clips import ClipConditions, sample_clip
from mgenv.matrix_game3.speed import fast
from mgenv.matrix_game3.speed.fast import (
    MOST,
    SPEEDS,
    WITHIN,
    Speed,
    accelerate,
    compile_blocks,
    eight_bit_layers,
    find_speed,
    set_attention,
    set_bits,
    set_draft,
)
from tests.matrix_game3.golden_clip import error, inputs, rollout, second

KINDS = ("int8", "fp8")


@pytest.mark.parametrize("kind", KINDS)
def test_the_velocity_is_within_two_percent_of_bfloat16(network, golden, kind):
    truth = second(network, golden)
    assert error(truth, golden["second.y"]) < 0.02
    out = second(set_bits(network, eight_bit_layers(network, WITHIN[kind]), kind), golden)
    assert 0.0 < error(out, truth) <= 0.02


@pytest.mark.parametrize(("kind", "most"), [("int8", 0.045), ("fp8", 0.13)])
def test_most_in_eight_bits_is_farther_off(network, golden, kind, most):
    """The price of speed: as the module says."""
    truth = second(network, golden)
    out = second(set_bits(network, eight_bit_layers(network, MOST[kind]), kind), golden)
    assert 0.02 < error(out, truth) < most


@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_points_the_same_way(network, golden, kind):
    """Cosine of each layer's output with that of the layer that it stands for, on its inputs."""
    layers = eight_bit_layers(network)
    assert len(layers) == 3 * (4 + 4 + 2 + 4)
    seen: dict[str, Tensor] = {}
    hooks = [
        layer.register_forward_hook(lambda _, x, y, name=name: seen.update({name: x[0]}))
        for name, layer in layers.items()
    ]
    second(network, golden)
    for hook in hooks:
        hook.remove()
    for name, layer in layers.items():
        out, truth = QuantizedLinear(layer, kind)(seen[name]), layer(seen[name])
        assert torch.cosine_similarity(out.flatten().double(), truth.flatten().double(), 0) > 0.999


@pytest.mark.parametrize("kind", KINDS)
def test_one_product_of_queries_keys_and_values_changes_nothing(network, golden, kind):
    layers = eight_bit_layers(network)
    truth = second(set_bits(network, layers, kind), golden)
    for index, block in enumerate(network.layers()):
        assert isinstance(block.self_attn.qkv, QuantizedLinear)
        block.self_attn.qkv = None
        for part in "qkv":
            layer = QuantizedLinear(layers[f"blocks.{index}.self_attn.{part}"], kind)
            setattr(block.self_attn, part, layer)
    assert torch.equal(second(network, golden), truth)


def test_the_gelu_may_be_a_part_of_the_product(network):
    """Not rounded to bfloat16 in between, so that it is nearer to the truth."""
    layer = network.layers()[0].ffn[0]
    x = torch.randn(64, layer.in_features, generator=torch.Generator().manual_seed(0))
    truth = torch.nn.functional.gelu(layer.float()(x), approximate="tanh")
    ended = QuantizedLinear(layer, "int8", gelu=True)(x)
    apart = torch.nn.functional.gelu(QuantizedLinear(layer, "int8")(x), approximate="tanh")
    assert error(ended, truth) < 0.02 and error(ended, apart) < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_a_rollout_of_three_steps_stays_close(network, golden, kind):
    truth = rollout(network, golden)
    out = rollout(set_bits(network, eight_bit_layers(network, WITHIN[kind]), kind), golden)
    assert 0.0 < error(out, truth) < 0.02


def test_the_plain_layers_can_be_put_back(network, golden):
    layers, truth = eight_bit_layers(network), second(network, golden)
    set_bits(network, layers, "int8")
    assert torch.equal(second(set_bits(network, layers, ""), golden), truth)


@pytest.mark.parametrize("kind", KINDS)
def test_layers_that_already_are_in_eight_bits_stay(network, golden, kind):
    """All, then some of them again: those that are not named are left as they are."""
    some, layers = eight_bit_layers(network, WITHIN[kind]), eight_bit_layers(network)
    truth = second(set_bits(network, layers, kind), golden)
    assert torch.equal(second(set_bits(network, some, kind), golden), truth)


def test_attention_can_be_chosen_and_put_back(network, golden):
    truth = second(network, golden)
    set_attention(network, "int8")
    assert isinstance(network.layers()[0].self_attn.attend, EightBitAttention)
    assert not torch.equal(second(network, golden), truth)
    set_attention(network, "")
    assert network.layers()[0].self_attn.attend is attend
    assert torch.equal(second(network, golden), truth)


def test_a_speed_changes_the_network_as_it_says(network, golden):
    truth = second(network, golden)
    accelerate(network, Speed(eight_bits="int8", layers=WITHIN["int8"]))
    assert 0.0 < error(second(network, golden), truth) <= 0.02


def test_a_speed_that_names_no_layers_means_most_of_its_kind():
    for kind in KINDS:
        assert replace(SPEEDS["fast"], eight_bits=kind).chosen == MOST[kind]
    assert Speed().chosen == () and Speed(eight_bits="int8", layers=("ffn",)).chosen == ("ffn",)
    assert replace(SPEEDS["fast"], eight_bits="") == SPEEDS["compiled"]


def test_a_device_without_that_kernel_has_no_drafts(network, monkeypatch):
    asked = []
    monkeypatch.setattr(fast, "fits", lambda *given: bool(asked.append(given)))
    set_draft(network, True)
    assert all(block.self_attn.draft is None for block in network.layers())
    assert asked == [(network.device, network.config.dim // network.config.num_heads)]


@torch.no_grad()
def test_only_steps_before_the_last_attend_in_eight_bits(network, golden, monkeypatch):
    x, t = golden["second.x"].float(), golden["second.t"]
    conditions = network.prepare(**inputs(golden))
    truth = network.velocity(x, t, conditions)
    set_draft(network, True)
    assert torch.equal(network.velocity(x, t, conditions), truth)
    assert 0.0 < error(network.velocity(x, t, conditions, draft=True), truth) < 0.04
    drafts, velocity = [], network.velocity
    monkeypatch.setattr(
        network, "velocity", lambda *given: drafts.append(given[-1]) or velocity(*given)
    )
    sample_clip(network, ClipConditions(conditions), x[:, :, :4], x[:, :, 4:], 3, 5.0, 1.0)
    assert drafts == [True, True, False]


def test_speeds_are_found_by_name_or_given():
    assert find_speed("plain", torch.device("cpu")) == Speed()
    given = Speed(eight_bits="int8")
    assert find_speed(given, torch.device("cpu"), experts=2) is given
    assert find_speed("fastest", torch.device("cuda")) is SPEEDS["fastest"]


@pytest.mark.parametrize(
    ("speed", "experts", "error", "words"),
    [
        ("slow", 1, UnknownNameError, "fastest"),
        ("int8", 1, InvalidOptionError, "compiled for a GPU"),
        (Speed(reuse="causal"), 2, InvalidOptionError, "2 experts"),
        (None, 1, InvalidOptionError, "a name or a Speed, got None"),
    ],
)
def test_speeds_that_cannot_be_had_are_named(speed, experts, error, words):
    with pytest.raises(error, match=words):
        find_speed(speed, torch.device("cpu"), experts)


def test_the_package_of_a_speed_is_named(monkeypatch):
    monkeypatch.setattr(flash_attention3, "_PACKAGE", "no_such_package")
    with pytest.raises(MissingExtraError, match="fast"):
        find_speed(Speed(attention="flash3"), torch.device("cuda"))


@pytest.mark.parametrize(
    "attention, device, major",
    [("flash3", "cpu", 9), ("flash3", "cuda", 8), ("int8", "cuda", 10)],
)
def test_kernels_are_refused_where_they_do_not_run(monkeypatch, attention, device, major):
    monkeypatch.setattr(flash_attention3, "installed", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (major, 0))
    with pytest.raises(InvalidOptionError, match="for Hopper GPUs"):
        find_speed(Speed(attention=attention), torch.device(device))
    assert find_speed(Speed(attention="int8"), torch.device("cpu")).attention == "int8"


@pytest.mark.parametrize("field", ["eight_bits", "attention", "reuse"])
def test_unknown_parts_of_a_speed_are_named(field):
    with pytest.raises(UnknownNameError, match=field):
        Speed(**{field: "int4"})
    with pytest.raises(UnknownNameError, match="layers 'attn'"):
        Speed(eight_bits="int8", layers=("ffn", "attn"))


def test_compiled_blocks_say_what_plain_ones_say(network, golden):
    truth = second(network, golden)
    compile_blocks(network)
    assert error(second(network, golden), truth) < 0.02  # bfloat16 is rounded at other places
