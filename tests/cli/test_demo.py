from __future__ import annotations

import json
from typing import Any

import imageio.v2 as imageio
import numpy as np
import pytest

from mgenv.cli.main import main
from mgenv.demo.drawing import HEIGHT, WIDTH

SMALL = [
    "--world", "tiny", "--walk-steps", "5", "--steps", "512", "--num-envs", "2", "--episodes", "4",
    "--twin-episodes", "6", "--num-worlds", "2", "--max-episode-steps", "20",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


def test_the_demo_shows_and_says_all(folder, capsys):
    assert main(["demo", *SMALL, "--output-dir", str(folder)]) == 0
    said = capsys.readouterr().out
    for words in ("with memory", "without", "sharpness", "PPO before", "PPO after", "random"):
        assert words in said
    for file in ("walk.mp4", "figures.json", "policy/policy.safetensors"):
        assert (folder / file).is_file() and str(folder / file) in said
    assert f"mgenv evaluate {folder}/policy/policy.safetensors --world tiny engine" in said
    figures = json.loads((folder / "figures.json").read_text())
    assert figures["leave_and_return"]["steps"] == 2 * (5 + 12)
    rows = figures["pointnav"]["evaluations"]
    assert [(row["world"], row["policy"]) for row in rows] == [
        (world, policy)
        for world in ("tiny", "engine")
        for policy in ("random", "PPO before", "PPO after")
    ]
    assert [row["episodes"] for row in rows] == [4, 4, 4, 6, 6, 6]
    reader: Any = imageio.get_reader(folder / "walk.mp4")
    with reader:
        film = [np.asarray(frame) for frame in reader]
    assert film[0].shape == (HEIGHT, WIDTH, 3)
    assert len(film) == 1 + 2 * (5 + 12) + 30


def test_a_folder_that_cannot_be_written_is_told_before_any_work(monkeypatch, capsys):
    def never(*_args, **_kwargs):
        raise AssertionError("a world was made")

    monkeypatch.setattr("mgenv.cli.demo.load_world", never)
    assert main(["demo", "--output-dir", "/proc/mgenv"]) == 2
    assert "folder to write to" in capsys.readouterr().err
