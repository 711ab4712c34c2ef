"""The golden network and its tensors."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mgenv.matrix_game3.network.config import TransformerConfig
from mgenv.matrix_game3.network.transformer import Transformer, build
from tests.matrix_game3.golden_clip import FOLDER


@pytest.fixture(scope="session")
def golden() -> dict[str, Tensor]:
    return load_file(FOLDER / "dit_golden.safetensors")


@pytest.fixture
def network() -> Transformer:
    """In bfloat16."""
    network = build(TransformerConfig.from_json(FOLDER / "dit_config.json"), torch.device("cpu"))
    network.load_state_dict(load_file(FOLDER / "dit.safetensors"))
    return network.mixed()
