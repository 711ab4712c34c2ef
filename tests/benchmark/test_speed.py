from __future__ import annotations

import json

import pytest

from mgenv.benchmark import speed
from mgenv.benchmark.speed import Setting
from mgenv.cli.main import main
from mgenv.envs import episode_starts, vector_env
from tests.fake_world import FakeRecording, FakeWorld

HERE = "mgenv.benchmark.speed._in_process"


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(vector_env, "load_world", lambda name, num_envs, **_: FakeWorld(num_envs))
    monkeypatch.setattr(episode_starts, "scan", FakeRecording)
    monkeypatch.setattr(HERE, speed.measure)


def test_a_row_counts_environment_steps(tiny, monkeypatch):
    ticks = iter(range(10**6))
    monkeypatch.setattr(speed.time, "perf_counter", lambda: float(next(ticks)))
    row = speed.measure(Setting(world="tiny", num_envs=3, steps=20, warmup=2))
    assert row["steps/s"] == pytest.approx(3.0), "three slots, a second a vector step"
    assert row["ms a step"] == 1000 and row["age"] == 1.0
    assert row["peak MiB"] > 1


def test_what_fails_is_reported_and_the_rest_measured(tiny):
    settings = [Setting(world="tiny", num_envs=0, steps=2), Setting(world="tiny", steps=2)]
    report = speed.run(settings)
    assert len(report.rows) == 1
    assert len(report.failed) == 1 and "num_envs" in report.failed[0]


def test_the_command_writes_both_files(tiny, tmp_path, capsys):
    files = ["--json", f"{tmp_path}/a.json", "--markdown", f"{tmp_path}/a.md"]
    small = ["--world", "tiny", "--num-envs", "1", "2", "--sampling-steps", "1", "--steps", "3"]
    assert main(["bench", "speed", *small, *files]) == 0
    assert len(json.loads((tmp_path / "a.json").read_text())["rows"]) == 2
    assert "| tiny | 1 | 1 |" in (tmp_path / "a.md").read_text()
    assert "| world |" in capsys.readouterr().out


def test_the_engine_is_measured_once_a_size():
    from mgenv.cli.bench_speed import _parse, _settings

    settings = _settings(_parse(["--num-envs", "1", "4", "--sampling-steps", "1", "2"]))
    rows = [(one.world, one.num_envs, one.sampling_steps) for one in settings]
    assert rows == [("nano", 1, 1), ("nano", 1, 2), ("nano", 4, 1), ("nano", 4, 2),
                    ("engine", 1, 1), ("engine", 4, 1)]  # fmt: skip
