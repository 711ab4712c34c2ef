"""Every world a command asks for here is the tiny one, whatever its name."""

from __future__ import annotations

import pytest

from mgenv.cli import demo
from mgenv.envs import episode_starts, vector_env
from tests.fake_world import FakeRecording, FakeWorld


@pytest.fixture(autouse=True)
def tiny_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (vector_env, demo):
        monkeypatch.setattr(module, "load_world", lambda name, num_envs, **_: FakeWorld(num_envs))
    monkeypatch.setattr(episode_starts, "scan", FakeRecording)
