"""Memory is told from shapes alone, and close to what was measured."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mgenv.errors import InvalidOptionError
from mgenv.matrix_game3 import PUBLIC_5B, PUBLIC_14B_EXPERT, PUBLIC_14B_PLAIN, build
from mgenv.matrix_game3.checkpoint.experts import Expert
from mgenv.matrix_game3.checkpoint.loader import Weights
from mgenv.matrix_game3.speed.footprint import GIB, Load, footprint
from mgenv.matrix_game3.vae.vae import VideoVAE
from tests.matrix_game3.light_vae import PUBLIC_LIGHT_75, PUBLIC_VAE

LOAD = Load(image_size=(704, 1280))


def shapes_of(module) -> Weights:
    shapes = {name: value.shape for name, value in module.state_dict().items()}
    return Weights(Path("weights"), shapes, {})


@pytest.fixture(scope="module")
def network():
    return Expert(PUBLIC_5B, shapes_of(build(PUBLIC_5B)))


def needed(experts, vae=PUBLIC_LIGHT_75, load=LOAD):
    with torch.device("meta"):
        autoencoder = shapes_of(VideoVAE(vae))
    return footprint(experts, autoencoder, vae, load)


@pytest.mark.parametrize("vae, measured", [(PUBLIC_VAE, 27.3), (PUBLIC_LIGHT_75, 20.3)])
def test_it_is_what_was_measured_and_at_most_a_tenth_more(network, vae, measured):
    total = needed([network], vae).total / GIB
    assert measured <= total <= 1.1 * measured


def test_a_smaller_picture_needs_as_much_less(network):
    whole = needed([network])
    part = needed([network], load=replace(LOAD, image_size=(352, 640)))
    assert part.weights == whole.weights and part.total < whole.total
    assert part.streams == pytest.approx(whole.streams / 4)
    assert part.clip == pytest.approx(whole.clip / 4, rel=0.1)  # but for the prompt
    assert part.decoding == pytest.approx(whole.decoding / 4)


@pytest.mark.parametrize("change", [{"batch": 4}, {"guided": True}, {"latents": 20}])
def test_the_network_needs_more_for_more_at_once(network, change):
    one, more = needed([network]), needed([network], load=replace(LOAD, **change))
    assert more.clip > 1.4 * one.clip
    assert (more.weights, more.streams) == (one.weights, one.streams)


def test_keys_and_values_that_are_kept_are_counted(network):
    """9 of 20 latents of the longest clip, as much a token as the camera's scale and shift."""
    one, kept = needed([network]), needed([network], load=replace(LOAD, reuse=True))
    assert kept.clip - one.clip == 30 * 2 * 3072 * 9 * 880 * 2


def test_graphs_hold_what_decoding_takes_all_the_time(network):
    """4.0 GiB more were measured (25.8 and 29.8, `mgenv bench video`)."""
    one, graphed = needed([network]), needed([network], load=replace(LOAD, graphed=True))
    assert 4.0 <= (graphed.total - one.total) / GIB <= 4.5


def test_each_slot_has_a_video_to_remember(network):
    one, four = needed([network]), needed([network], load=replace(LOAD, slots=4))
    assert four.streams == 4 * one.streams and four.clip == one.clip


def test_full_precision_needs_twice_as_much(network):
    half, full = needed([network]), needed([network], load=replace(LOAD, dtype=torch.float32))
    assert full.weights == pytest.approx(2 * half.weights, rel=0.02)  # some are exact anyway
    assert full.decoding == 2 * half.decoding and full.streams == 2 * half.streams


def test_experts_are_all_there_at_once(network):
    configs = (PUBLIC_14B_EXPERT, PUBLIC_14B_PLAIN)
    high, low = (Expert(config, shapes_of(build(config))) for config in configs)
    both, one = needed([high, low]), needed([high])
    assert both.weights > 70 * GIB and both.weights > one.weights + 30 * GIB
    assert both.clip > 1.5 * one.clip


def held_by(monkeypatch, reserved, allocated):
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: reserved)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: allocated)


def test_what_this_process_has_freed_is_free(network, monkeypatch):
    """As after another world: the allocator keeps its memory, and gives it out again."""
    need = needed([network])
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**30, 2**36))
    held_by(monkeypatch, need.total + 2**30, 2**30)
    need.require(torch.device("cuda:0"), LOAD, "light_v2")


def test_only_a_gpu_is_asked(network, monkeypatch):
    need = needed([network], load=replace(LOAD, batch=2))
    asked = []
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda d: (asked.append(d), (2**33, 2**36))[1])
    held_by(monkeypatch, 3 * 2**33, 2 * 2**33)
    need.require(torch.device("cpu"), LOAD, "light_v2")
    assert not asked
    with pytest.raises(InvalidOptionError, match=r"expected \d\d.\d GiB free on cuda:0 .*got 16.0"):
        need.require(torch.device("cuda:0"), LOAD, "light_v2")
