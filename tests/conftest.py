"""What tests share: the tiny world and environments in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from mgenv.envs import episode_starts
from mgenv.envs.vector_env import VectorEnv
from tests.fake_world import FakeRecording, FakeWorld

torch.set_num_threads(1)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests marked ``gpu`` where there is no GPU."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a GPU")


@pytest.fixture
def tiny_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scans are of the tiny world, not of the engine's scenes."""
    monkeypatch.setattr(episode_starts, "scan", FakeRecording)


@pytest.fixture
def make_tiny(tiny_scan: None) -> Iterator[Callable[..., VectorEnv]]:
    """Makes vector environments in the tiny world; closes them after the test."""
    made: list[VectorEnv] = []

    def make(num_envs: int = 2, share_memory: bool = False, **kwargs: Any) -> VectorEnv:
        world = FakeWorld(num_envs, share_memory=share_memory)
        options = {"scan_frames": 24, "num_worlds": 3, "max_episode_steps": 12} | kwargs
        made.append(VectorEnv(num_envs, world=world, **options))
        return made[-1]

    yield make
    for envs in made:
        envs.close()
