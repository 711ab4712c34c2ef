from __future__ import annotations

import sys
from types import ModuleType

import pytest
from torch import nn

from mgenv.matrix_game3.benchmark import kernels


def test_every_kernel_is_measured_or_said_to_be_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchao.quantization", None)  # not installed
    report = kernels.run([(32, 48, 64)], [(20, 40)], (2, 16), device="cpu")
    names = [row["kernel"] for row in report.rows]
    assert {"bfloat16", "FP8", "the framework's INT8", "attention, int8"} <= set(names)
    assert "our INT8 layer" in names and "torchao's INT8 layer" not in names
    errors = {row["kernel"]: row["error"] for row in report.rows}
    assert 0 < errors["bfloat16"] < errors["the framework's INT8"] < errors["FP8"] < 0.1
    assert 0 < errors["attention, the framework's"] < errors["attention, int8"] < 0.1
    for row in report.rows:
        product = row["shape"] == "32 × 48 × 64"
        operations = 2 * 32 * 48 * 64 if product else 4 * 20 * 40 * 2 * 16
        assert row["T/s"] == pytest.approx(operations / row["ms"] / 1e9)
    assert any("flash3" in line for line in report.failed)
    assert len(report.rows) + len(report.failed) == 5 + 3


def test_torchao_is_measured_where_it_is_installed(monkeypatch):
    shape, made = (32, 48, 64), []
    stand_in = ModuleType("torchao.quantization")
    stand_in.Int8DynamicActivationInt8WeightConfig = dict
    stand_in.quantize_ = lambda layer, config: made.append((type(layer), config))
    monkeypatch.setitem(sys.modules, "torchao.quantization", stand_in)
    rows = {row["kernel"]: row for row in kernels.run([shape], [], device="cpu").rows}
    assert made == [(nn.Linear, {"set_inductor_config": False})]
    assert rows["torchao's INT8 layer"]["shape"] == rows["our INT8 layer"]["shape"]
    assert rows["torchao's INT8 layer"]["error"] == rows["bfloat16"]["error"]
