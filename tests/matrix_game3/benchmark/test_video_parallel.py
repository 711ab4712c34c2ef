from __future__ import annotations

import json
from pathlib import Path

import pytest

from mgenv.cli.main import main
from tests.torchrun import torchrun


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> dict:
    path = tmp_path_factory.mktemp("parallel") / "report.json"
    torchrun(2, Path(__file__).parent / "parallel_run.py", str(path))
    return json.loads(path.read_text())


def test_one_and_two_are_measured_at_each_speed(report):
    rows = report["rows"]
    assert [(row["speed"], row["GPUs"]) for row in rows] == [
        ("int8", 1), ("int8", 2), ("fastest", 1), ("fastest", 2)
    ]  # fmt: skip
    for alone, both in zip(rows[::2], rows[1::2], strict=True):
        assert both["clip ×"] == pytest.approx(alone["clip [ms]"] / both["clip [ms]"])
        assert both["FPS"] == pytest.approx(40e3 / both["clip [ms]"])
        assert alone["steps ×"] == 1.0
    assert "exchanges" in report["notes"][0]


def test_errors_are_those_of_rounding(report):
    for alone, both in zip(report["rows"][::2], report["rows"][1::2], strict=True):
        assert alone["error"] == alone["moved"] == both["moved"] == 0.0
        assert 0 < both["error"] < 0.02


def test_without_torchrun_it_says_how_to_start_it(monkeypatch, capsys):
    monkeypatch.delenv("RANK", raising=False)
    assert main(["bench", "parallel", "--device", "cpu"]) == 2
    assert "torchrun --nproc-per-node 2" in capsys.readouterr().err
