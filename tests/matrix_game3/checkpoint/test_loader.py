"""Weights are found, checked whole and read tensor by tensor; pickled code never runs."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mgenv.errors import CheckpointError
from mgenv.matrix_game3.checkpoint.convert import convert
from mgenv.matrix_game3.checkpoint.loader import check_fit, locate, materialise, open_weights
from mgenv.matrix_game3.checkpoint.pickles import read_pickle
from mgenv.matrix_game3.checkpoint.renaming import light_vae_key, text_encoder_key

GOLDEN = Path(__file__).parents[2] / "fixtures" / "matrix_game3"


class Code:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)
        self.register_buffer("count", torch.zeros(2, dtype=torch.long))


def empty():
    with torch.device("meta"):
        return Net()


@pytest.fixture
def state():
    torch.manual_seed(0)
    return Net().state_dict()


@pytest.fixture
def shards(tmp_path, state):
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    placed = {key: names[key.startswith("second")] for key in state}
    for name in names:
        save_file({k: v for k, v in state.items() if placed[k] == name}, tmp_path / name)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": placed}))
    return tmp_path


def test_shards_fill_a_network_on_meta(shards, state):
    for source in (shards, shards / "model.safetensors.index.json"):
        network = materialise(empty(), open_weights(source))
        assert all(torch.equal(network.state_dict()[key], state[key]) for key in state)
        assert not network.training and not any(p.requires_grad for p in network.parameters())


def test_precision_may_depend_on_the_name(shards):
    def kind(name):
        return torch.float32 if name.startswith("first") else torch.bfloat16

    network = materialise(empty(), open_weights(shards), dtype=kind)
    assert network.first.weight.dtype == torch.float32
    assert network.second.weight.dtype == torch.bfloat16 and network.count.dtype == torch.long


def test_shapes_are_known_without_reading(shards, state):
    meta = open_weights(shards).meta()
    assert {key: (value.shape, value.is_meta) for key, value in meta.items()} == {
        key: (value.shape, True) for key, value in state.items()
    }


def test_a_missing_shard_is_named(shards):
    (shards / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match="missing model-00002-of-00002.safetensors"):
        open_weights(shards)


def test_an_index_stays_in_its_folder(tmp_path):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../elsewhere.safetensors"}}))
    with pytest.raises(CheckpointError, match="missing ../elsewhere"):
        open_weights(index)
    index.write_text("[1]")
    with pytest.raises(CheckpointError, match="expected an index"):
        open_weights(index)


def test_every_key_that_does_not_fit_is_told(tmp_path, state):
    del state["first.bias"], state["count"]
    state |= {"third.weight": torch.zeros(1), "second.bias": torch.zeros(5)}
    save_file(state, tmp_path / "model.safetensors")
    network = empty()
    with pytest.raises(CheckpointError) as told:
        check_fit(network, open_weights(tmp_path))
    text = str(told.value)
    assert "2 missing: count, first.bias" in text and "1 unexpected: third.weight" in text
    assert "1 mis-shaped: second.bias (5,) instead of (2,)" in text
    assert network.first.weight.is_meta, "nothing was read"


def test_a_damaged_file_is_named(tmp_path, state):
    file = tmp_path / "model.safetensors"
    save_file(state, file)
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(CheckpointError, match="model.safetensors: expected whole"):
        open_weights(file)
    with pytest.raises(CheckpointError, match="got nothing"):
        open_weights(tmp_path / "absent")


@pytest.mark.parametrize("wrap", [("state_dict", "gen_model"), ("generator",), ()])
def test_pickles_of_tensors_are_read_out_of_their_wrapping(tmp_path, state, wrap):
    wrapped = state
    for name in reversed(wrap):
        wrapped = {name: wrapped}
    torch.save(wrapped, tmp_path / "model.pth")
    network = materialise(empty(), open_weights(tmp_path / "model.pth"))
    assert torch.equal(network.second.bias, state["second.bias"])


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_pickle_is_refused_and_never_runs(tmp_path, legacy):
    file, made = tmp_path / "model.pth", tmp_path / "made"
    torch.save(
        {"a": torch.zeros(1), "b": Code(made)}, file, _use_new_zipfile_serialization=not legacy
    )
    with pytest.raises(CheckpointError, match="mkdir"):
        open_weights(file)
    with pytest.raises(CheckpointError, match="model.pth"):
        convert(tmp_path)
    assert not made.exists()


def test_code_is_seen_before_anything_is_loaded(tmp_path, monkeypatch):
    torch.save({"b": Code(tmp_path / "made")}, tmp_path / "model.pth")
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(CheckpointError, match="asks for the code of .*mkdir"):
        read_pickle(tmp_path / "model.pth")


def test_a_damaged_pickle_is_named(tmp_path, state):
    file = tmp_path / "model.pth"
    torch.save(state, file)
    with zipfile.ZipFile(tmp_path / "other.pth", "w") as other:
        other.writestr("archive/data.pkl", b"\x80\x02nonsense")
    for content in (file.read_bytes()[:200], b"", b"hello"):
        file.write_bytes(content)
        with pytest.raises(CheckpointError, match="model.pth: expected a pickle"):
            read_pickle(file)
    with pytest.raises(CheckpointError, match="other.pth: expected a pickle"):
        read_pickle(tmp_path / "other.pth")
    torch.save({"a": torch.zeros(1), "epoch": 3}, file)
    with pytest.raises(CheckpointError, match="got others: epoch"):
        read_pickle(file)


def test_a_folder_is_converted_once(tmp_path, state):
    deep = tmp_path / "google"
    deep.mkdir()
    torch.save(state, tmp_path / "Wan2.2_VAE.pth")
    torch.save(state, deep / "large.pth")
    written = convert(tmp_path, shard_bytes=60)
    assert [file.suffix for file in written] == [".json", ".json"]
    network = materialise(empty(), open_weights(locate(deep, "large")))
    assert torch.equal(network.first.weight, state["first.weight"])
    assert len(list(deep.glob("large-*-of-*.safetensors"))) > 1
    assert convert(tmp_path) == []


def test_one_wrong_pickle_leaves_the_folder_as_it_was(tmp_path, state):
    torch.save(state, tmp_path / "a.pth")
    torch.save({"b": Code(tmp_path / "made")}, tmp_path / "b.pth")
    with pytest.raises(CheckpointError, match="b.pth: expected tensors alone"):
        convert(tmp_path)
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_light_autoencoder_gets_the_whole_ones_names(tmp_path):
    public = load_file(GOLDEN / "vae_75.safetensors")
    light = {light_name(key): value for key, value in public.items()}
    assert len(light) == len(public) and light.keys() != public.keys()
    light["dynamic_feature_projection_heads.up_block_1.bias"] = torch.zeros(2)
    torch.save({"state_dict": {"gen_model": light}}, tmp_path / "MG-LightVAE_v2.pth")
    (written,) = convert(tmp_path)
    assert written.name == "MG-LightVAE_v2.safetensors"
    found = load_file(written)
    assert found.keys() == public.keys()
    assert all(torch.equal(found[key], public[key]) for key in public)


def light_name(key):
    """The inverse of the renaming, for the fixture's keys."""
    key = key.removeprefix("model.")
    for half, way in (("encoder", "down"), ("decoder", "up")):
        parts = key.split(".")
        if parts[0] != half:
            continue
        if parts[1] == "middle":
            kind = "attentions.0" if parts[2] == "1" else f"resnets.{int(parts[2]) // 2}"
            return f"{half}.mid_block.{kind}.{layer_name('.'.join(parts[3:]))}"
        if parts[1] == f"{way}samples":
            rest = ".".join(parts[5:])
            if rest.startswith(("resample", "time_conv")):
                return f"{half}.{way}_blocks.{parts[2]}.{way}sampler.{rest}"
            return f"{half}.{way}_blocks.{parts[2]}.resnets.{parts[4]}.{layer_name(rest)}"
        for new, old in (
            ("conv1.", "conv_in."),
            ("head.0.", "norm_out."),
            ("head.2.", "conv_out."),
        ):
            if key.startswith(f"{half}.{new}"):
                return key.replace(f"{half}.{new}", f"{half}.{old}")
    return key.replace("conv1.", "quant_conv.").replace("conv2.", "post_quant_conv.")


def layer_name(rest):
    names = {"residual.0": "norm1", "residual.2": "conv1", "residual.3": "norm2"}
    names |= {"residual.6": "conv2", "shortcut": "conv_shortcut"}
    for old, new in names.items():
        if rest.startswith(old + "."):
            return new + rest[len(old) :]
    return rest


def test_known_names_are_left_alone():
    for key in load_file(GOLDEN / "vae_00.safetensors"):
        assert light_vae_key(key) == key
    assert text_encoder_key("encoder.block.0.layer.0.layer_norm.weight").startswith("encoder.")
    assert text_encoder_key("blocks.0.norm2.weight") == "encoder.block.0.layer.1.layer_norm.weight"
