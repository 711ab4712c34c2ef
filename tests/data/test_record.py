"""What is collected is all there, once each, whatever was killed in between."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mgenv.data import lerobot, record, records, shards
from mgenv.data.dataset import Dataset
from mgenv.data.record import CollectConfig, collect
from mgenv.errors import DataError, InvalidOptionError, OutputError, UnknownNameError
from tests.data.fake_source import make_episode

FAKE = "tests.data.fake_source:FakeSource"
ROOT = Path(__file__).parents[2]


def settings(out, **changes) -> CollectConfig:
    values = {"source": FAKE, "frames": 96, "episode_frames": 8, "shard_episodes": 3}
    return CollectConfig(out=str(out), **(values | {"image_size": 32} | changes))


def numbers(root) -> list[int]:
    return [row["source_number"] for row in Dataset(root).rows]


def assert_whole(root, wanted: list[int]) -> None:
    """The dataset holds these episodes of the fake source, each as it was recorded."""
    dataset = Dataset(root)
    assert [row["source_number"] for row in dataset.rows] == wanted
    at = 0
    for index, number in enumerate(wanted):
        found, truth = dataset.episode(index), make_episode(number, 8, 32)
        assert np.abs(found.rgb.astype(int) - truth.rgb).mean() < 2
        np.testing.assert_array_equal(found.pose, truth.pose)
        np.testing.assert_array_equal(found.bumped, truth.bumped)
        np.testing.assert_array_equal(found.segmentation, truth.segmentation)
        np.testing.assert_allclose(found.depth, truth.depth, atol=1e-3)
        assert found.name == truth.name and found.captions == truth.captions
        columns = dataset.columns(index)
        assert columns["index"].tolist() == list(range(at, at + 8))
        assert (columns["episode_index"] == index).all()
        at += 8
    assert not (root / shards.STAGING).exists()


def test_frames_are_collected_in_order(tmp_path):
    seen = []
    progress = collect(settings(tmp_path), seen.append)
    assert (progress.episodes, progress.frames, progress.done) == (12, 96, True)
    assert [p.frames for p in seen] == [0, 24, 48, 72, 96, 96]
    assert_whole(tmp_path, list(range(12)))


def test_the_last_shard_is_as_short_as_need_be(tmp_path):
    assert collect(settings(tmp_path, frames=81)).episodes == 11


def test_workers_make_the_same_dataset(tmp_path):
    collect(settings(tmp_path / "one"))
    collect(settings(tmp_path / "two", workers=2))
    assert_whole(tmp_path / "two", list(range(12)))
    for name in ("meta/info.json", "meta/stats.json"):
        assert (tmp_path / "one" / name).read_text() == (tmp_path / "two" / name).read_text()


def test_what_is_dropped_is_counted_and_made_up_for(tmp_path):
    progress = collect(settings(tmp_path, variant="dark3"))
    assert progress.frames >= 96
    assert numbers(tmp_path) == [n for n in range(19) if n % 3][: progress.episodes]
    dropped = sum(s.dropped.get("too dark", 0) for s in records.committed(tmp_path))
    assert dropped == progress.dropped["too dark"] >= 6


def test_a_source_that_gives_nothing_worth_keeping_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "FRUITLESS", 6)
    with pytest.raises(DataError, match="too dark"):
        collect(settings(tmp_path, variant="black"))


def test_a_source_that_ends_ends_the_collection(tmp_path):
    assert collect(settings(tmp_path, variant="finite")).episodes == 5
    with pytest.raises(InvalidOptionError, match="no end"):
        collect(settings(tmp_path / "b", frames=0))
    assert collect(settings(tmp_path / "c", frames=0, variant="finite")).episodes == 5


def test_more_frames_go_on_where_it_ended(tmp_path):
    collect(settings(tmp_path, frames=40))
    before = (tmp_path / "meta/shards/shard-000000.json").stat().st_mtime_ns
    collect(settings(tmp_path, frames=96))
    assert_whole(tmp_path, list(range(12)))
    assert (tmp_path / "meta/shards/shard-000000.json").stat().st_mtime_ns == before


def test_a_worker_that_is_killed_loses_nothing(tmp_path):
    once = tmp_path / "died"
    config = settings(tmp_path / "data", workers=2, variant="die", path=str(once))
    collect(config)
    assert once.exists(), "it died"
    assert_whole(tmp_path / "data", list(range(12)))


@pytest.mark.parametrize("step", ["record_shard", "_link", "write_table", "write_json", "rmtree"])
@pytest.mark.parametrize("call", [1, 2, 4])
def test_killed_at_any_moment_and_begun_again(tmp_path, monkeypatch, step, call):
    """The process ends in the middle of its ``call``-th use of a step; the next one goes on."""

    class Killed(BaseException):
        pass

    module = {
        "record_shard": "mgenv.data.backends",
        "_link": "mgenv.data.commit_shards",
        "write_table": "mgenv.data.lerobot",
        "write_json": "mgenv.data.lerobot",
        "rmtree": "shutil",
    }[step]
    owner = importlib.import_module(module)
    real, count = getattr(owner, step), [0]

    def dies(*args, **kwargs):
        count[0] += 1
        if count[0] == call:
            raise Killed
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, dies)
        with pytest.raises(Killed):
            collect(settings(tmp_path))
    collect(settings(tmp_path))
    assert_whole(tmp_path, list(range(12)))


def test_killed_by_the_system_and_begun_again(tmp_path):
    code = (
        "from mgenv.data.record import *; "
        f"collect(CollectConfig(source={FAKE!r}, out={str(tmp_path)!r}, frames=8000, "
        "episode_frames=8, shard_episodes=3, image_size=32))"
    )
    child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    while not (tmp_path / "meta/shards/shard-000003.json").exists() and child.poll() is None:
        time.sleep(0.05)
    child.kill()
    assert child.wait() != 0
    done = len(list((tmp_path / "meta/shards").glob("*.json")))
    collect(settings(tmp_path, frames=(done + 1) * 24))
    assert_whole(tmp_path, list(range(3 * (done + 1))))


@pytest.mark.parametrize("where", ["mgenv.data.videos.VideoWriter.write", "mgenv.output.os.fdopen"])
def test_finished_shards_outlive_a_full_disk(tmp_path, monkeypatch, where):
    def full(*_):
        raise OSError(28, "No space left on device")

    def fill(progress):
        if progress.frames == 48:
            monkeypatch.setattr(where, full)

    with pytest.raises(OutputError, match="No space left"):
        collect(settings(tmp_path), fill)
    monkeypatch.undo()
    dataset = Dataset(tmp_path)
    dataset.verify()
    assert numbers(tmp_path) == list(range(6))
    collect(settings(tmp_path))
    assert_whole(tmp_path, list(range(12)))


def test_what_a_source_cannot_read_is_not_blamed_on_the_output(tmp_path):
    with pytest.raises(DataError, match="episode 5.*No space left"):
        collect(settings(tmp_path, variant="disk"))


def test_a_finite_source_that_gives_nothing_worth_keeping_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.data.fake_source.FakeSource.__init__", _finite_and_black)
    with pytest.raises(DataError, match="too dark"):
        collect(settings(tmp_path, frames=0))


def _finite_and_black(self, options):
    from dataclasses import replace as changed

    self.options, self.count = changed(options, variant="black"), 4


def test_a_shard_that_was_half_committed_leaves_nothing(tmp_path, monkeypatch):
    """Killed before its record, then begun again with what is there already."""

    class Killed(BaseException):
        pass

    real = lerobot.write_json

    def dies(path, value):
        if path.name == "shard-000001.json":
            raise Killed
        real(path, value)

    with monkeypatch.context() as patch:
        patch.setattr(lerobot, "write_json", dies)
        with pytest.raises(Killed):
            collect(settings(tmp_path))
    assert len(list(tmp_path.glob("data/*/*.parquet"))) == 2
    collect(settings(tmp_path, frames=24))
    for pattern in ("data/*/*", "meta/episodes/*/*", "videos/*/*/*"):
        assert {file.stem for file in tmp_path.glob(pattern)} == {"file-000"}
    assert_whole(tmp_path, [0, 1, 2])


def test_killed_with_its_workers_and_begun_again(tmp_path):
    code = (
        "from mgenv.data.record import *; "
        f"collect(CollectConfig(source={FAKE!r}, out={str(tmp_path)!r}, frames=80000, "
        "episode_frames=8, shard_episodes=3, image_size=32, workers=2)) "
        "if __name__ == '__main__' else 0"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    child = subprocess.Popen([sys.executable, str(script)], env=environment)
    while not (tmp_path / "meta/shards/shard-000003.json").exists() and child.poll() is None:
        time.sleep(0.05)
    child.kill()
    assert child.wait() != 0
    script.unlink()
    done = len(list((tmp_path / "meta/shards").glob("*.json")))
    collect(settings(tmp_path, frames=(done + 2) * 24, workers=2))
    assert_whole(tmp_path, list(range(3 * (done + 2))))


def test_other_settings_are_refused(tmp_path):
    collect(settings(tmp_path, frames=8))
    with pytest.raises(DataError, match="seed=0"):
        collect(settings(tmp_path, seed=1))
    (tmp_path / "foreign" / "meta").mkdir(parents=True)
    (tmp_path / "foreign" / "meta" / "info.json").write_text(json.dumps({}))
    with pytest.raises(DataError, match="empty folder"):
        collect(settings(tmp_path / "foreign"))


@pytest.mark.parametrize(
    ("change", "error", "named"),
    [
        ({"source": "enginee"}, UnknownNameError, "engine"),
        ({"source": "tests.data.fake_source:Missing"}, UnknownNameError, "Missing"),
        ({"source": "nowhere.at_all:Source"}, UnknownNameError, "nowhere"),
        ({"source": ":Source"}, UnknownNameError, ":Source"),
        ({"backend": "rai"}, UnknownNameError, "ray"),
        ({"colours": "depth"}, UnknownNameError, "yuv420p"),
        ({"workers": 0}, InvalidOptionError, "workers"),
        ({"image_size": 33, "colours": "yuv420p"}, InvalidOptionError, "even"),
        ({"frames": -1}, InvalidOptionError, "frames"),
        ({"seed": -1}, InvalidOptionError, "seed"),
    ],
)
def test_settings_that_mean_nothing_are_refused_before_any_work(tmp_path, change, error, named):
    with pytest.raises(error, match=named):
        collect(settings(tmp_path / "data", **change))
    assert not (tmp_path / "data" / "meta").exists()


def test_two_collections_do_not_share_a_folder(tmp_path):
    tmp_path.mkdir(exist_ok=True)
    with record._alone(tmp_path):
        with pytest.raises(DataError, match="no other collection"):
            collect(settings(tmp_path))


def test_ray_makes_the_same_dataset_though_a_worker_is_killed(tmp_path, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    once = tmp_path / "died"
    collect(
        settings(tmp_path / "data", workers=2, backend="ray", variant="die", path=str(once))
    )  # fmt: skip
    assert once.exists(), "it died"
    assert_whole(tmp_path / "data", list(range(12)))


def test_errors_of_a_worker_come_through(tmp_path):
    with pytest.raises(DataError, match="No space left"):
        collect(settings(tmp_path, variant="disk", workers=2))


def test_unfit_episodes_are_counted_by_workers_too(tmp_path):
    progress = collect(settings(tmp_path, variant="unfit4", workers=2))
    assert progress.dropped == {"unfit": 3} and progress.frames == 96
    assert numbers(tmp_path) == [n for n in range(15) if n % 4 != 3]
