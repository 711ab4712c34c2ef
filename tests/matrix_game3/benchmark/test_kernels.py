from __future__ import annotations

import pytest

from mgenv.matrix_game3.benchmark import kernels


def test_every_kernel_is_measured_or_said_to_be_missing():
    report = kernels.run([(32, 48, 64)], [(20, 40)], (2, 16), device="cpu")
    names = [row["kernel"] for row in report.rows]
    assert {"bfloat16", "FP8", "the framework's INT8", "attention, int8"} <= set(names)
    errors = {row["kernel"]: row["error"] for row in report.rows}
    assert 0 < errors["bfloat16"] < errors["the framework's INT8"] < errors["FP8"] < 0.1
    assert 0 < errors["attention, the framework's"] < errors["attention, int8"] < 0.1
    for row in report.rows:
        product = row["shape"] == "32 × 48 × 64"
        operations = 2 * 32 * 48 * 64 if product else 4 * 20 * 40 * 2 * 16
        assert row["T/s"] == pytest.approx(operations / row["ms"] / 1e9)
    assert any("flash3" in line for line in report.failed)
    assert len(report.rows) + len(report.failed) == 4 + 3
