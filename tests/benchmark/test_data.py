from __future__ import annotations

import json

import pytest

from mgenv.cli.main import main


def test_bench_data(tmp_path, capsys):
    arguments = ["--frames", "24", "--workers", "1", "--sources", "engine:estates", "panorama"]
    assert main(["bench", "data", *arguments, "--json", str(tmp_path / "data.json")]) == 0
    rows = json.loads((tmp_path / "data.json").read_text())["rows"]
    assert len(rows) == 2
    assert all(row["a second"] > 1 for row in rows)
    assert all(row["least PSNR [dB]"] > 35 for row in rows)
    assert "engine" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["bench", "data", "--frames", "0"])
    assert main(["bench", "data", "--sources", "enginee"]) == 2
