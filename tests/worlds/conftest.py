from __future__ import annotations

import numpy as np
import pytest

from mgenv.camera import picture_shape
from mgenv.matrix_game3 import world as matrix_game3
from mgenv.models.checkpoint import load_checkpoint
from mgenv.worlds import checkpoints
from mgenv.worlds.generated import GeneratedWorld
from tests.matrix_game3.public_network import POSE


@pytest.fixture(scope="module")
def model():
    return load_checkpoint(checkpoints()["nano"])


@pytest.fixture
def make(model):
    def made(num_envs: int = 2, **options) -> GeneratedWorld:
        return GeneratedWorld(model, num_envs, **options)

    return made


@pytest.fixture
def noise_source(monkeypatch):
    """Places of the public model's world begin with noise instead of the engine's picture."""

    def view(world_id, image_size, pose=None):
        size = picture_shape(image_size)
        rgb = np.random.default_rng(world_id).integers(0, 256, (*size, 3), np.uint8)
        return rgb, np.ones(size, np.float32), POSE if pose is None else pose

    monkeypatch.setattr(matrix_game3, "engine_view", view)
