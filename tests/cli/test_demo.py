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
    "--twin-episodes", "6", "--num-worlds", "2", "--max-episode-steps", "20", "--policy", "spin",
    "--push-steps", "4",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


def test_the_demo_shows_and_says_all(folder, capsys):
    assert main(["demo", *SMALL, "--output-dir", str(folder)]) == 0
    said = capsys.readouterr().out
    for words in ("first stopped by", "with memory", "without", "sharpness", "at most 20 steps"):
        assert words in said
    for file in ("push.png", "walk.mp4", "figures.json", "policy/policy.safetensors"):
        assert (folder / file).is_file() and str(folder / file) in said
    assert (
        f"mgenv evaluate {folder}/policy/policy.safetensors spin blind --world tiny engine" in said
    )
    figures = json.loads((folder / "figures.json").read_text())
    assert set(figures["push"]) == {"world_id", "steps", "engine", "generated"}
    assert figures["leave_and_return"]["steps"] == 2 * (5 + 12)
    rows = figures["pointnav"]["evaluations"]
    everywhere = ["random", "blind", "blind+odometry", "PPO, 512 steps", "spin"]
    assert [(row["world"], row["policy"], row["episodes"]) for row in rows] == [
        *[("tiny", policy, 4) for policy in everywhere],
        *[("engine", policy, 6) for policy in (*everywhere, "planner")],
    ]
    reader: Any = imageio.get_reader(folder / "walk.mp4")
    with reader:
        film = [np.asarray(frame) for frame in reader]
    assert film[0].shape == (HEIGHT, WIDTH, 3)
    assert len(film) == 1 + 2 * (5 + 12) + 30


def test_what_is_said_of_learned_policies_is_computed(folder):
    """Reads what the run above wrote: both twins are the same world here."""
    found = json.loads((folder / "figures.json").read_text())["pointnav"]["against_blind"]
    assert list(found) == ["PPO, 512 steps", "spin"]
    for row in (row for worlds in found.values() for row in worlds.values()):
        low, high = row["success"]["low"], row["success"]["high"]
        expected = "better than" if low > 0 else "worse than" if high < 0 else "not told apart from"
        assert row["verdict"] == f"{expected} blind"


def test_a_policy_that_is_not_there_is_told_before_any_work(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("mgenv.cli.demo.show_walls", None)
    assert main(["demo", *SMALL, "--policy", "nobody", "--output-dir", str(tmp_path)]) == 2
    assert "nobody" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_told_before_any_work(monkeypatch, capsys):
    def never(*_args, **_kwargs):
        raise AssertionError("a world was made")

    monkeypatch.setattr("mgenv.cli.demo.load_world", never)
    assert main(["demo", "--output-dir", "/proc/mgenv"]) == 2
    assert "folder to write to" in capsys.readouterr().err
