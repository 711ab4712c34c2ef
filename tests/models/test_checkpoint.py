"""Checkpoints come back as they were, and everything else is named as what it is not."""

from __future__ import annotations

import json
import os

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mgenv.errors import CheckpointError, OutputError
from mgenv.models.checkpoint import load_checkpoint, save_checkpoint
from mgenv.models.refiner import RefinerConfig
from mgenv.models.transformer import TransformerConfig
from mgenv.models.vae import VAEConfig
from mgenv.models.world_model import WorldModel, WorldModelConfig

CONFIG = WorldModelConfig(
    image_size=32,
    vae=VAEConfig(latent_channels=4, encoder_widths=(8, 8, 16), decoder_widths=(8, 16, 8)),
    transformer=TransformerConfig(width=32, depth=2, heads=2, latent_channels=4, side=4),
    refiner=RefinerConfig(widths=(8, 16)),
)


@pytest.fixture
def model() -> WorldModel:
    torch.manual_seed(0)
    return WorldModel(CONFIG)


@pytest.fixture
def path(model, tmp_path):
    save_checkpoint(tmp_path / "deep" / "model.safetensors", model)
    return tmp_path / "deep" / "model.safetensors"


def rewrite(path, tensors=None, **header: str) -> None:
    with safe_open(str(path), framework="pt") as file:
        old = file.metadata()
    save_file(tensors or load_file(path), path, metadata={**old, **header})


def test_weights_and_configuration_come_back(model, path):
    loaded = load_checkpoint(path)
    assert loaded.config == CONFIG
    for name, value in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value.bfloat16().float())
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert os.listdir(path.parent) == ["model.safetensors"]


def test_full_precision_is_kept_where_asked(model, path):
    save_checkpoint(path, model, torch.float32)
    for name, value in load_checkpoint(path).state_dict().items():
        assert torch.equal(value, model.state_dict()[name])


def test_the_configuration_survives_json():
    values = json.loads(json.dumps(CONFIG.to_dict()))
    assert WorldModelConfig.from_dict(values) == CONFIG


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_a_truncated_file_is_named(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match="model.safetensors"):
        load_checkpoint(path)


def test_what_is_no_file_is_named(tmp_path):
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(CheckpointError):
            load_checkpoint(path)


def test_other_files_are_named(path):
    path.write_text("# not weights\n" * 100)
    with pytest.raises(CheckpointError):
        load_checkpoint(path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="format"):
        load_checkpoint(path)


@pytest.mark.parametrize("header", [{"version": "1"}, {"format": "another"}])
def test_other_versions_and_formats_are_named(path, header):
    rewrite(path, **header)
    with pytest.raises(CheckpointError, match=repr(next(iter(header.values())))):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "config",
    [
        "{",
        "[]",
        "{}",
        json.dumps(CONFIG.to_dict() | {"vae": {"latents": 3}}),
        json.dumps(CONFIG.to_dict() | {"refiner": None}),
        json.dumps(CONFIG.to_dict() | {"transformer": {"width": 30, "heads": 0}}),
        json.dumps(CONFIG.to_dict() | {"refiner": {"widths": [7, 16]}}),
    ],
)
def test_a_broken_configuration_is_named(path, config):
    rewrite(path, config=config)
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


def test_tensors_that_do_not_fit_are_named(path):
    tensors = load_file(path)
    gone = tensors.pop("network.head.bias")
    rewrite(path, tensors)
    with pytest.raises(CheckpointError, match="missing.*network.head.bias"):
        load_checkpoint(path)
    rewrite(path, tensors | {"network.head.bias": torch.cat([gone, gone])})
    with pytest.raises(CheckpointError, match="mis-shaped.*network.head.bias"):
        load_checkpoint(path)
    rewrite(path, tensors | {"network.head.bias": gone, "network.extra": gone.clone()})
    with pytest.raises(CheckpointError, match="unexpected.*network.extra"):
        load_checkpoint(path)


def test_a_failed_write_leaves_the_old_file(model, path, monkeypatch):
    def fail(tensors, target, metadata):
        with open(target, "wb") as file:
            file.write(b"half")
        raise OSError("disk full")

    before = path.read_bytes()
    monkeypatch.setattr("safetensors.torch.save_file", fail)
    with pytest.raises(OutputError, match="disk full"):
        save_checkpoint(path, model)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["model.safetensors"]


def test_a_folder_that_cannot_be_written_is_named(model, path):
    with pytest.raises(OutputError):
        save_checkpoint(path / "inside" / "a.safetensors", model)
    with pytest.raises(OutputError):
        save_checkpoint(path.parent, model)
    assert os.listdir(path.parent.parent) == ["deep"]
