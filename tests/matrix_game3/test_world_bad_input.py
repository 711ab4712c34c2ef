"""What does not fit is told by name, before a tensor is read or a frame is made."""

import json
import os
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mgenv import worlds
from mgenv.errors import (
    CheckpointError,
    ClosedError,
    InvalidActionError,
    InvalidOptionError,
    MgenvError,
    NotResetError,
    UnknownNameError,
)
from mgenv.matrix_game3 import loading as matrix_game3_loading
from mgenv.matrix_game3.checkpoint.loader import Weights
from mgenv.matrix_game3.checkpoint.text import TextEncoder
from mgenv.matrix_game3.loading import load_matrix_game3
from mgenv.matrix_game3.speed.parallel import Shard
from mgenv.worlds import load_world
from tests.matrix_game3.public_network import AHEAD, POSE, ROOT, env, make, public_folder
from tests.same import assert_same

pytestmark = pytest.mark.usefixtures("noise_source")


class Read(Exception):
    """A tensor was."""


@pytest.fixture
def nothing_is_read(monkeypatch):
    def read(*_):
        raise Read

    monkeypatch.setattr(Weights, "read", read)
    monkeypatch.setattr(TextEncoder, "from_folder", read)


@pytest.fixture
def folder(tmp_path, nothing_is_read):
    """Of the public layout; to make an environment of it ends with :class:`Read`."""
    return public_folder(tmp_path)


def refused(folder, error, match, **options):
    with pytest.raises(error, match=match) as told:
        env(weights=str(folder), **options)
    assert isinstance(told.value, MgenvError)


# -- weights -------------------------------------------------------------------------------------


def test_a_whole_folder_is_read(folder):
    with pytest.raises(Read):
        env(weights=str(folder))


def test_missing_shards_are_named(folder):
    place = folder / "base_distilled_model"
    (place / "diffusion_pytorch_model.safetensors").unlink()
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (place / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    refused(folder, CheckpointError, "missing one.safetensors, two.safetensors")


@pytest.mark.parametrize(
    "name, vae",
    [("Wan2.2_VAE", "whole"), ("Wan2.2_VAE", "light_v2"), ("MG-LightVAE_v2", "light_v2")],
)
def test_a_missing_autoencoder_is_named(folder, name, vae):
    (folder / f"{name}.safetensors").unlink()
    refused(folder, CheckpointError, f"expected one of {name}", world_options={"vae": vae})


@pytest.mark.parametrize("part", ["network", "autoencoder", "light"])
def test_a_damaged_file_is_named(folder, part):
    file = {
        "network": folder / "base_distilled_model" / "diffusion_pytorch_model.safetensors",
        "autoencoder": folder / "Wan2.2_VAE.safetensors",
        "light": folder / "MG-LightVAE_v2.safetensors",
    }[part]
    file.write_bytes(file.read_bytes()[:-8])
    refused(folder, CheckpointError, f"{file.name}: expected whole safetensors")


def test_folders_without_weights_are_refused(tmp_path):
    refused(tmp_path / "none", CheckpointError, "expected a folder")
    refused(tmp_path, CheckpointError, "base_distilled_model/config.json")


@pytest.mark.parametrize("base", [False, True])
def test_the_wrong_model_is_told_by_its_keys(folder, base):
    place = folder / "base_distilled_model"
    shutil.copy(ROOT / "vae_00.safetensors", place / "diffusion_pytorch_model.safetensors")
    if base:
        refused(folder, CheckpointError, "base_model/config", world_options={"base_model": True})
    else:
        refused(folder, CheckpointError, "missing: .*unexpected: .*decoder.conv1.weight")


def test_a_network_of_other_sizes_is_told_by_its_shapes(folder):
    config = folder / "base_distilled_model" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"ffn_dim": 128}))
    refused(folder, CheckpointError, r"mis-shaped: .*ffn.0.bias \(96,\) instead of \(128,\)")


def test_a_network_without_actions_is_refused(folder):
    place = folder / "base_distilled_model"
    config = json.loads((place / "config.json").read_text()) | {"action_config": None}
    (place / "config.json").write_text(json.dumps(config))
    refused(folder, CheckpointError, "unexpected: .*action_model")


def test_a_light_decoder_that_does_not_fit_is_told_by_its_keys(folder):
    state = load_file(ROOT / "vae_75.safetensors")
    del state["decoder.middle.0.residual.2.weight"]
    torch.save(state, folder / "MG-LightVAE_v2.pth")
    (folder / "MG-LightVAE_v2.safetensors").unlink()
    refused(folder, CheckpointError, "1 missing: decoder.middle.0.residual.2.weight")


class Code:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("name", ["Wan2.2_VAE", "MG-LightVAE_v2"])
@pytest.mark.parametrize("zipped", [True, False])
def test_pickles_with_code_are_refused_and_not_run(folder, name, zipped):
    (folder / f"{name}.safetensors").unlink()
    state = {"conv2.weight": torch.zeros(1), "code": Code(folder / "ran")}
    torch.save(state, folder / f"{name}.pth", _use_new_zipfile_serialization=zipped)
    refused(folder, CheckpointError, "mkdir")
    assert not (folder / "ran").exists()


def test_a_prompt_needs_the_encoder_or_the_cache(folder):
    refused(folder, CheckpointError, "a castle", world_options={"prompt": "a castle"})


# -- memory of the GPU ---------------------------------------------------------------------------


@pytest.fixture
def gpu(monkeypatch):
    """A GPU of some number of free bytes, to which nothing is sent."""

    def of(free):
        monkeypatch.setattr(worlds, "_check_device", lambda device: None)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 2 * free))
        for name in ("memory_reserved", "memory_allocated"):
            monkeypatch.setattr(torch.cuda, name, lambda device: 0)

    return of


def test_too_little_memory_is_told_with_what_needs_less(folder, gpu):
    gpu(2**20)
    many = {"device": "cuda", "num_envs": 3, "image_size": (704, 1280)}
    options = {"vae": "whole", "batch": 2}
    less = 'smaller image_size than 704×1280, vae="light_v2", batch=1 instead of 2, fewer slots'
    refused(folder, InvalidOptionError, rf"GiB free on cuda .*got 0\.0\. Less .*{less}",
            world_options=options, **many)  # fmt: skip


def test_options_that_are_at_their_least_are_not_advised(folder, gpu):
    gpu(2**10)
    with pytest.raises(InvalidOptionError) as told:
        env(weights=str(folder), device="cuda:0", image_size=64)
    assert str(told.value).endswith("Less is needed by a smaller image_size than 64×64.")


def test_memory_is_enough_where_it_is(folder, gpu):
    gpu(2**35)
    with pytest.raises(Read):
        env(weights=str(folder), device="cuda", image_size=64)


# -- options -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, match",
    [
        ({"image_size": (64, 100)}, "divisible by 32, got 64×100"),
        ({"image_size": 40}, "divisible by 32"),
        ({"image_size": (0, 64)}, "image_size"),
        ({"image_size": (64, 96, 3)}, "height and width"),
        ({"frames_per_step": 6}, "multiple of 4 from 16"),
        ({"memory_slots": 6}, "memory_slots"),
        ({"weights": None}, "weights"),
        ({"num_envs": 0}, "num_envs"),
        ({"batch": 0}, "batch"),
        ({"guidance": 0.5}, "guidance"),
        ({"guidance": "strong"}, "guidance"),
        ({"prompt": 3}, "prompt: expected a text"),
        ({"sampling_steps": 0}, "sampling_steps"),
        ({"memory_frames": 0}, "memory_frames"),
    ],
)
def test_options_out_of_range_are_refused(nothing_is_read, options, match):
    with pytest.raises(InvalidOptionError, match=match):
        load_world(**{"name_or_path": "matrix-game-3", "weights": ROOT} | options)


@pytest.mark.parametrize("name", ["sampling_steps", "memory_frames"])
@pytest.mark.parametrize("count", [0, 2.5, True])
def test_counts_are_checked_before_anything_is_read(nothing_is_read, name, count):
    with pytest.raises(InvalidOptionError, match=f"{name}: expected an integer of at least 1"):
        load_matrix_game3(ROOT, **{name: count})


@pytest.mark.parametrize(
    "count, side, match",
    [(5, 64, "divides the 2 heads, got 5"), (2, 32, "divides the 1 tokens of a frame, got 2")],
)
def test_what_processes_cannot_share_is_refused(nothing_is_read, monkeypatch, count, side, match):
    class Many(Shard):
        def __init__(self, group=None):
            super().__init__()
            self.count = count

    monkeypatch.setattr(matrix_game3_loading, "Shard", Many)
    monkeypatch.setattr(matrix_game3_loading, "torchrun_group", lambda device: None)
    with pytest.raises(InvalidOptionError, match=match):
        make(image_size=side, sequence_parallel=True)


def test_environments_refuse_sizes_too(folder):
    refused(folder, InvalidOptionError, "divisible by 32, got 720×1280", image_size=(720, 1280))


def test_unknown_names_are_refused(nothing_is_read):
    with pytest.raises(UnknownNameError, match="light_v2"):
        make(vae="lite")
    with pytest.raises(UnknownNameError, match="prompt"):
        make(promt="a room")
    with pytest.raises(UnknownNameError, match="weights"):
        load_world("engine", weights=ROOT)


# -- actions -------------------------------------------------------------------------------------


def test_bad_actions_are_refused_before_anything_is_made():
    world = make(2)
    with pytest.raises(NotResetError):
        world.step([AHEAD] * 2)
    world.begin([0, 1], [0, 1])
    before = world.get_state()
    up = [[0.0, 0.0, 0.1, 0.0, 0.0]]
    wrong = (([AHEAD], "2 slots"), ([AHEAD, [np.nan] * 5], "NaN"), ([AHEAD] + up, "up"))
    for motion, match in wrong:
        with pytest.raises(InvalidActionError, match=match):
            world.step(motion)
    with pytest.raises(InvalidOptionError, match="pose"):
        world.step([AHEAD] * 2, pose=np.stack([POSE] * 2))
    after = world.get_state()
    assert all(map(torch.equal, *(s["slots"]["generators"] for s in (before, after))))
    world.close()
    with pytest.raises(ClosedError):
        world.step([AHEAD] * 2)


@pytest.mark.parametrize("chunks, shape", [(False, (2, 40, 2)), (True, (2, 40, 2)), (True, (2, 2))])
def test_actions_of_the_wrong_length_change_no_slot(chunks, shape):
    envs = env(num_envs=2, action_chunks=chunks)
    envs.reset(seed=0)
    before = envs.unwrapped.get_state()
    expected = r"\(2, 16, 2\)" if chunks else r"\(2, 2\)"
    with pytest.raises(InvalidActionError, match=f"expected shape {expected}"):
        envs.step(np.zeros(shape, np.float32))
    assert_same(envs.unwrapped.get_state(), before)
