"""Every world a policy trains in here is the tiny one, whatever its name."""

from __future__ import annotations

import pytest

from mgenv.agents.train import EnvConfig, TrainConfig
from mgenv.envs import episode_starts, vector_env
from tests.fake_world import FakeRecording, FakeWorld


@pytest.fixture(autouse=True)
def tiny_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_env, "load_world", lambda name, num_envs, **_: FakeWorld(num_envs))
    monkeypatch.setattr(episode_starts, "scan", FakeRecording)


@pytest.fixture
def env_config() -> EnvConfig:
    return EnvConfig(world="tiny", num_envs=4, num_worlds=3, max_episode_steps=40, scan_frames=24)


@pytest.fixture
def config(env_config: EnvConfig, tmp_path) -> TrainConfig:
    config = TrainConfig(env=env_config, total_steps=64, output_dir=str(tmp_path / "run"))
    config.ppo.rollout_steps, config.ppo.batch_size, config.ppo.epochs = 16, 32, 2
    return config
