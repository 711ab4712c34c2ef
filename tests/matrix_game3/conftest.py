"""The golden network and its tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mgenv.camera import picture_shape
from mgenv.matrix_game3 import world as matrix_game3
from mgenv.matrix_game3.network.config import TransformerConfig
from mgenv.matrix_game3.network.transformer import Transformer, build
from tests.matrix_game3.golden_clip import FOLDER
from tests.matrix_game3.public_network import POSE


@pytest.fixture(scope="session")
def golden() -> dict[str, Tensor]:
    return load_file(FOLDER / "dit_golden.safetensors")


@pytest.fixture
def network() -> Transformer:
    """In bfloat16."""
    network = build(TransformerConfig.from_json(FOLDER / "dit_config.json"), torch.device("cpu"))
    network.load_state_dict(load_file(FOLDER / "dit.safetensors"))
    return network.mixed()


@pytest.fixture
def noise_source(monkeypatch):
    """Places of the public model's world begin with noise instead of the engine's picture."""

    def view(world_id, image_size, pose=None):
        size = picture_shape(image_size)
        rgb = np.random.default_rng(world_id).integers(0, 256, (*size, 3), np.uint8)
        return rgb, np.ones(size, np.float32), POSE if pose is None else pose

    monkeypatch.setattr(matrix_game3, "engine_view", view)
