from __future__ import annotations

import pytest

from mgenv.models.checkpoint import load_checkpoint
from mgenv.worlds import checkpoints
from mgenv.worlds.generated import GeneratedWorld


@pytest.fixture(scope="module")
def model():
    return load_checkpoint(checkpoints()["nano"])


@pytest.fixture
def make(model):
    def made(num_envs: int = 2, **options) -> GeneratedWorld:
        return GeneratedWorld(model, num_envs, **options)

    return made
