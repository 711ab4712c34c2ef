"""Two experts in folders of their own are a world like one network."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mgenv.errors import CheckpointError, InvalidOptionError
from mgenv.matrix_game3 import Mixture
from mgenv.matrix_game3.checkpoint.folder import Folder
from tests.matrix_game3.public_network import ROOT, env, make, mixture_folder, walk
from tests.same import assert_same

pytestmark = pytest.mark.usefixtures("noise_source")


def mixture(folder, **options):
    return make(weights=folder, **{"image_size": (64, 96), "vae": "whole"} | options)


def begun(folder, **options):
    world = mixture(folder, **options)
    world.begin([0], [0])
    world.seed([0], [0])
    return world


def test_a_mixture_goes_on_and_remembers(tmp_path):
    world = begun(mixture_folder(tmp_path), sampling_steps=2)
    assert isinstance(world.rollout.network, Mixture)
    frames = walk(world, 2)
    assert frames[-1].rgb.shape == (1, 64, 96, 3) and frames[-1].coverage[0] > 0
    again = begun(tmp_path, sampling_steps=2)
    assert_same([vars(frame) for frame in walk(again, 2)], [vars(frame) for frame in frames])


@pytest.mark.parametrize("boundary, sees", [(None, True), (0.0, True), (1.0, False)])
def test_the_boundary_says_which_expert_is_asked(tmp_path, boundary, sees):
    """Of one step at noise level 0.9999, as the sampler takes it."""
    folder, asked = mixture_folder(tmp_path), []
    world = begun(folder, sampling_steps=1, boundary=boundary)
    network = world.rollout.network
    for name in ("high", "low"):
        expert = getattr(network, name)
        expert.velocity = lambda *a, _m=expert.velocity, _n=name: (asked.append(_n), _m(*a))[1]
    walk(world, 1)
    assert asked == ["high" if sees else "low"]


def test_an_environment_steps_a_mixture_with_guidance(tmp_path):
    options = {"vae": "whole", "base_model": True, "guidance": 2.0, "boundary": 0.875}
    envs = env(weights=str(mixture_folder(tmp_path)), image_size=64, world_options=options)
    envs.reset(seed=0)
    observation, *_ = envs.step(np.array([[1.0, 0.1]], np.float32))
    assert observation["pixels"].shape == (1, 64, 64, 3)


def test_everything_that_does_not_fit_is_told_of_both_experts(tmp_path):
    for file in mixture_folder(tmp_path).glob("*/model.safetensors"):
        state = load_file(file)
        del state["head.head.bias"]
        state["surplus"] = torch.zeros(1)
        state["patch_embedding.bias"] = torch.zeros(3)
        save_file(state, file)
    with pytest.raises(CheckpointError) as told:
        mixture(tmp_path)
    first, second = str(told.value).split("\n")
    for line, name in ((first, "high_noise_model"), (second, "low_noise_model")):
        assert name in line and "1 missing: head.head.bias" in line
        assert "1 unexpected: surplus" in line and "mis-shaped: patch_embedding.bias (3,)" in line


def test_an_expert_that_is_not_there_is_named(tmp_path):
    place = mixture_folder(tmp_path) / "low_noise_model"
    (place / "config.json").unlink()
    with pytest.raises(CheckpointError, match="low_noise_model: expected config.json"):
        mixture(tmp_path)
    (place / "model.safetensors").unlink()
    place.rmdir()
    with pytest.raises(CheckpointError, match="low_noise_model: expected config.json"):
        mixture(tmp_path)


def test_experts_in_each_others_place_are_refused(tmp_path):
    high = mixture_folder(tmp_path) / "high_noise_model"
    low = tmp_path / "low_noise_model"
    high.rename(tmp_path / "other")
    low.rename(high)
    (tmp_path / "other").rename(low)
    with pytest.raises(CheckpointError) as told:
        mixture(tmp_path)
    assert "high_noise_model: expected a network with memory, cameras and actions" in str(
        told.value
    )
    assert "low_noise_model: expected a network with memory and cameras alone" in str(told.value)


def test_experts_have_the_same_latents(tmp_path):
    config = mixture_folder(tmp_path) / "low_noise_model" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"in_dim": 16}))
    with pytest.raises(CheckpointError, match=r"same latent channels, got \[16, 48\]"):
        mixture(tmp_path)


@pytest.mark.parametrize("boundary", [-0.1, 1.5])
def test_boundaries_out_of_range_are_refused(tmp_path, boundary):
    with pytest.raises(InvalidOptionError, match="boundary: expected 0 … 1"):
        mixture(mixture_folder(tmp_path), boundary=boundary)


def test_one_network_has_no_boundary():
    with pytest.raises(InvalidOptionError, match="None for one network, got 0.9 for 1"):
        make(boundary=0.9)
    assert len(Folder.open(ROOT).experts) == 1
