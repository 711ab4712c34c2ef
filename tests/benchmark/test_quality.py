"""`bench memory` and `bench drift` measure, print and write; memory helps, and the rows say so."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from mgenv.benchmark.replay import held_out, make_world, replay, scan, true_paths
from mgenv.cli.main import main
from mgenv.models.checkpoint import load_checkpoint
from mgenv.training.data import HELD_OUT
from mgenv.worlds import checkpoints

SMALL = ["--worlds", "2", "--known-frames", "160", "--sampling-steps", "1"]


def bench(folder, name: str, *more: str) -> tuple[list[dict], str]:
    """Run one benchmark; its rows and its results file."""
    files = ["--json", str(folder / "a.json"), "--markdown", str(folder / "a.md")]
    pictures = ["--pictures", str(folder / "pictures")]
    assert main(["bench", name, *SMALL, *files, *pictures, *more]) == 0
    return json.loads((folder / "a.json").read_text())["rows"], (folder / "a.md").read_text()


def finite(value) -> bool:
    return value is None or isinstance(value, str) or math.isfinite(value)


def test_bench_memory(tmp_path, capsys):
    rows, text = bench(tmp_path, "memory", "--path-frames", "5", "--returns", "6")
    by_variant = {row["variant"]: row for row in rows if row["protocol"] == "scan"}
    assert set(by_variant) == {
        "memory",
        "no memory",
        "another world's memory",
        "frustum retrieval",
        "canvas without network",
        "autoencoder alone (its ceiling)",
    }
    assert all(finite(value) for row in rows for value in row.values())
    value = {name: row["PSNR seen [dB]"] for name, row in by_variant.items()}
    assert value["memory"] > value["another world's memory"] + 3
    assert value["memory"] < value["autoencoder alone (its ceiling)"]
    returned = [row for row in rows if row["protocol"].startswith("return, 6 steps")]
    assert [row["variant"] for row in returned] == ["memory", "no memory"]
    assert returned[0]["PSNR seen [dB]"] > returned[1]["PSNR seen [dB]"] + 5
    assert "| memory |" in text and str(HELD_OUT) in text and "Seeds: 1, 2" in text
    assert "another world's memory" in capsys.readouterr().out
    assert (tmp_path / "pictures" / "scan.png").stat().st_size > 1000


def test_bench_drift(tmp_path):
    rows, text = bench(
        tmp_path, "drift", "--steps", "9", "--window", "4", "--first-world", "1000007"
    )
    assert [row["world"] for row in rows] == ["scanned"] * 3 + ["from 8 frames"] * 3
    assert [row["steps"] for row in rows[:3]] == ["0–4", "4–8", "8–9"]
    assert all(finite(value) for row in rows for value in row.values())
    assert all(row["PSNR seen [dB]"] > 15 for row in rows[:2])
    assert all(0.3 < row["sharpness"] < 2 for row in rows)
    assert "2 held-out worlds from id 1000007" in text and "Commit" in text
    assert len(list((tmp_path / "pictures").glob("drift_*.png"))) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["memory", "--returns", "6,x"],
        ["memory", "--path-frames", "0"],
        ["memory", "--worlds", "0"],
        ["memory", "--first-world", "999999"],
        ["drift", "--first-world", "nano"],
        ["drift", "--steps", "0"],
        ["drift", "--window", "-1"],
    ],
)
def test_bad_numbers_are_refused_before_any_work(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["bench", *arguments])
    assert ended.value.code == 2
    assert arguments[1] in capsys.readouterr().err


@pytest.mark.parametrize("name", ["memory", "drift", "control"])
def test_files_that_cannot_be_written_are_named_first(name, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["bench", name, *SMALL, "--json", str(tmp_path / "file" / "a.json")]) == 2
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_unknown_worlds_are_named(capsys):
    assert main(["bench", "memory", *SMALL, "--world", "nanoo"]) == 2
    assert "nanoo" in capsys.readouterr().err


@pytest.fixture(scope="module")
def paths():
    return true_paths(held_out(2), 7, 64, "cpu", seed=3)


def test_paths_are_of_worlds_never_trained_on(paths):
    assert min(paths.world_ids) >= HELD_OUT
    assert paths.rgb.shape == (2, 7, 64, 64, 3)
    again = true_paths(held_out(2), 7, 64, "cpu", seed=3)
    assert torch.equal(again.rgb, paths.rgb)
    other = true_paths(held_out(2), 7, 64, "cpu", seed=4)
    assert not torch.equal(other.pose[:, -1], paths.pose[:, -1])


def test_there_and_back_ends_where_it_began(paths):
    both = paths.until(4).there_and_back()
    assert both.pose.shape[1] == 7
    assert torch.equal(both.pose[:, -1], paths.pose[:, 0])
    assert torch.equal(both.rgb[:, 3], paths.rgb[:, 3])


def test_replay_follows_the_path(paths):
    world = make_world(load_checkpoint(checkpoints()["nano"]), 2, "cpu")
    scan(world, paths)
    done: list[int] = []
    frames = replay(world, paths, report=done.append)
    assert frames.shape == paths.rgb.shape and done == [2, 3, 4, 5, 6, 7]
    error = ((frames.float() - paths.rgb.float()) / 255).square().mean()
    assert -10 * error.log10() > 22
    np.testing.assert_allclose(world.step(np.zeros((2, 5))).pose, paths.pose[:, -1], atol=1e-4)
