from __future__ import annotations

from pathlib import Path

import pytest

from mgenv.cli.main import main
from mgenv.errors import CheckpointError
from mgenv.matrix_game3.benchmark import accuracy

FOLDER = Path(__file__).parents[2] / "fixtures" / "matrix_game3"


@pytest.fixture(scope="module")
def rows():
    report = accuracy.run(FOLDER, noises=1)
    return {row["variant"]: row for row in report.rows}


def test_every_variant_is_measured_and_the_plain_one_is_the_reference(rows):
    assert list(rows) == [variant.name for variant in accuracy.VARIANTS]
    assert rows["bfloat16"]["velocity"] == rows["bfloat16"]["reuse none"] == 0
    assert all(row["velocity"] > 0 for name, row in rows.items() if name != "bfloat16")


def test_the_gate_holds_where_it_is_said_to(rows):
    assert max(rows[f"{kind} within the gate"]["velocity"] for kind in ("INT8", "FP8")) <= 0.02
    assert 0.02 < rows["INT8, most"]["velocity"] < rows["FP8, most"]["velocity"]


def test_more_reuse_is_farther_off(rows):
    for row in rows.values():
        assert row["reuse alternate"] < row["reuse first_step"] < row["reuse causal"]


def test_a_folder_without_a_clip_is_named(tmp_path, capsys):
    with pytest.raises(CheckpointError, match=r"dit_config.json"):
        accuracy.run(tmp_path)
    assert main(["bench", "accuracy", str(tmp_path)]) == 2
    assert "dit_golden.safetensors" in capsys.readouterr().err
