"""The golden network and its tensors."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mgenv.models.matrix_game3.config import TransformerConfig
from mgenv.models.matrix_game3.transformer import Transformer, build
from tests.models.matrix_game3.golden_clip import FOLDER


@pytest.fixture(scope="session")
def golden() -> dict[str, Tensor]:
    return load_file(FOLDER / "dit_golden.safetensors")


@pytest.fixture
def network() -> Transformer:
    """In bfloat16."""
    network = build(TransformerConfig.from_json(FOLDER / "dit_config.json"), torch.device("cpu"))
    network.load_state_dict(load_file(FOLDER / "dit.safetensors"))
    return network.mixed()
