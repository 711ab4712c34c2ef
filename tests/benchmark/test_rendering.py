from __future__ import annotations

import json

import numpy as np
import torch

from mgenv.benchmark import rendering
from mgenv.cli.main import main
from mgenv.engine.scene.scenes import make_scenes


def test_bench_render(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(rendering, "WALK", 4)
    monkeypatch.setattr(rendering, "_rate", lambda *args: 1.0)
    assert main(["bench", "render", "--worlds", "2", "--json", str(tmp_path / "render.json")]) == 0
    rows = json.loads((tmp_path / "render.json").read_text())["rows"]
    assert len(rows) == 6 and rows[0]["a second"] > 1
    assert "estates" in capsys.readouterr().out


def test_a_rate_counts_the_frames_asked_for():
    batch = make_scenes([3, rendering.ESTATES + 3], workers=1)
    index, pose, crowd = rendering.views(batch)
    assert len(index) == len(pose) == len(crowd.counts) == 2 * rendering.WALK
    assert (crowd.counts[: rendering.WALK] == 0).all() and (crowd.counts[-1] > 0).all()
    assert rendering._rate(batch, index, pose, crowd, 8, 40, "cpu") > 1.0


def test_what_is_alike_is_counted(monkeypatch):
    batch = make_scenes([3], workers=1)
    index, pose, crowd = rendering.views(batch)
    assert rendering.alike(batch, index, pose, crowd, 8, "cpu") == 1.0
    pictures = iter([torch.zeros(1, 2, 2, 3, dtype=torch.uint8) + k for k in (0, 3)])
    monkeypatch.setattr(rendering, "render", lambda *args, **options: (next(pictures), None))
    assert rendering.alike(batch, np.zeros(1, int), pose[:1], crowd, 2, "cpu") == 0.0
