from __future__ import annotations

import json
import re

import pytest

from mgenv.benchmark.report import Report, check_outputs, markdown_table
from mgenv.errors import OutputError


@pytest.fixture
def report():
    rows = [{"world": "engine", "steps/s": 1234.5, "age": None}, {"world": "nano", "steps/s": 61.25,
            "age": 1.0}]  # fmt: skip
    return Report(title="Speed", protocol="Timed.", rows=rows, seeds=[0, 3], failed=["one broke"])


def test_a_results_file_names_all_that_it_must(report, tmp_path):
    text = report.write_markdown(tmp_path / "speed.md").read_text()
    assert text.startswith("# Speed\n")
    for name in ("CPU", "cores", "memory", "Commit", "Seeds: 0, 3", "Command", "torch", "Python"):
        assert name in text
    assert "## What failed\n\n- one broke" in text
    assert "| engine | 1234 | – |" in text


def test_the_json_holds_the_same(report, tmp_path):
    content = json.loads(report.write_json(tmp_path / "speed.json").read_text())
    assert content["rows"] == report.rows
    assert content["seeds"] == [0, 3] and content["failed"] == ["one broke"]
    assert re.fullmatch(r"[0-9a-f]{12}(, with changes)?|not in a repository", content["commit"])


def test_that_nothing_failed_is_said(report):
    report.failed = []
    assert "## What failed\n\n- Nothing." in report.markdown()


def test_numbers_have_three_figures():
    table = markdown_table([{"a": 0.123456, "b": 12345.6, "c": "x"}])
    assert table.splitlines()[1:] == ["| ---: | ---: | --- |", "| 0.123 | 12346 | x |"]


def test_no_rows_is_no_table():
    assert markdown_table([]) == "No rows."
    two = markdown_table([{"a": 1}, {"a": 2}, {"b": 3}])
    assert two == "| a |\n| ---: |\n| 1 |\n| 2 |\n\n| b |\n| ---: |\n| 3 |"


def test_outputs_are_checked(tmp_path):
    check_outputs(None, tmp_path / "a.json")
    with pytest.raises(OutputError):
        check_outputs("/proc/mgenv/a.json")
