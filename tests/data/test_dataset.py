"""Reading gives what was written, decodes no more than is used, and names what is damaged."""

from __future__ import annotations

import json
import pickle
import shutil
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mgenv.cli.data import EXIT_INVALID
from mgenv.cli.main import main
from mgenv.data import lerobot
from mgenv.data.dataset import Dataset
from mgenv.data.record import CollectConfig, collect
from mgenv.data.records import RECORDS
from mgenv.data.videos import VideoReader
from mgenv.errors import DataError, InvalidOptionError
from tests.data.fake_source import make_episode

FAKE = "tests.data.fake_source:FakeSource"
TICKS = 24


@pytest.fixture
def root(tmp_path):
    collect(
        CollectConfig(
            source=FAKE, out=str(tmp_path), frames=6 * TICKS, episode_frames=TICKS,
            shard_episodes=2, image_size=32,
        )
    )  # fmt: skip
    return tmp_path


@pytest.fixture
def decoded(monkeypatch):
    """How many frames are asked of each file."""
    asked: dict[str, list[int]] = {}
    real = VideoReader._decode

    def counted(self, index):
        asked.setdefault(self.path.parts[-3], []).append(index)
        return real(self, index)

    monkeypatch.setattr(VideoReader, "_decode", counted)
    return asked


def test_single_ticks_are_those_of_the_whole(root):
    dataset = Dataset(root)
    whole = dataset.pictures(3, range(TICKS))
    for ticks in ([5], [23, 0, 11], [7, 7], list(range(4, 9))):
        np.testing.assert_array_equal(dataset.pictures(3, ticks), whole[ticks])
    truth = make_episode(3, TICKS, 32).rgb
    assert np.abs(whole.astype(int) - truth).max() < 16


def test_windows_are_shuffled_over_shards_and_each_comes_once(root):
    windows = list(Dataset(root).windows(8, memory=3, stride=8))
    places = [(w.episode, w.start) for w in windows]
    assert sorted(places) == [(e, s) for e in range(6) for s in (0, 8, 16)]
    assert places != sorted(places)
    again = [(w.episode, w.start) for w in Dataset(root).windows(8, memory=3, stride=8)]
    assert again == places, "the same seed gives the same order"
    other = [(w.episode, w.start) for w in Dataset(root).windows(8, stride=8, seed=1)]
    assert other != places
    assert len({w.episode for w in windows[:6]}) > 2


def test_a_window_holds_its_ticks_and_what_could_be_remembered(root):
    dataset = Dataset(root)
    for window in islice(dataset.windows(8, memory=5), 4):
        truth, part = make_episode(window.episode, TICKS, 32), slice(window.start, window.start + 8)
        np.testing.assert_array_equal(window.pose, truth.pose[part])
        np.testing.assert_array_equal(window.action, truth.action[part])
        assert np.abs(window.rgb.astype(int) - truth.rgb[part]).mean() < 2
        assert window.depth is not None
        np.testing.assert_allclose(window.depth, truth.depth[part], atol=1e-3)
        assert len(window.memory) == 5
        assert not set(window.memory) & set(range(window.start, window.start + 8))
        np.testing.assert_array_equal(window.memory_pose, truth.pose[window.memory])


def test_only_what_is_used_is_decoded(root, decoded):
    dataset = Dataset(root)
    next(dataset.windows(4, memory=6))
    assert {name: len(frames) for name, frames in decoded.items()} == {
        lerobot.IMAGE: 4,
        lerobot.DEPTH: 4,
    }
    decoded.clear()
    dataset.columns(2)
    assert not decoded


def test_windows_longer_than_any_episode_are_refused(root):
    with pytest.raises(InvalidOptionError, match="longest"):
        next(Dataset(root).windows(TICKS + 1))


@pytest.mark.parametrize("episode", [-1, 6])
def test_episodes_that_are_not_there_are_refused(root, episode):
    with pytest.raises(InvalidOptionError, match="0 … 5"):
        Dataset(root).pictures(episode, [0])


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    "file",
    [
        "meta/info.json",
        "meta/episodes/chunk-000/file-001.parquet",
        "data/chunk-000/file-001.parquet",
        f"videos/{lerobot.IMAGE}/chunk-000/file-001.mp4",
        f"videos/{lerobot.DEPTH}/chunk-000/file-001.mp4",
    ],
)
@pytest.mark.parametrize("damage", [cut, lambda path: path.unlink()], ids=["cut", "gone"])
def test_damaged_files_are_named(root, file, damage):
    damage(root / file)
    with pytest.raises(DataError) as raised:
        Dataset(root).verify()
    assert file in str(raised.value) or file.split("/chunk")[0] in str(raised.value)


def test_flipped_bits_of_a_video_are_found(root):
    file = root / "videos" / lerobot.IMAGE / "chunk-000" / "file-001.mp4"
    content = bytearray(file.read_bytes())
    middle = content.index(b"mdat") + 2000
    content[middle : middle + 64] = bytes(255 - byte for byte in content[middle : middle + 64])
    file.write_bytes(content)
    with pytest.raises(DataError, match="file-001.mp4"):
        Dataset(root).verify()


def test_tables_in_each_others_place_are_found(root):
    first, second = (root / lerobot.place(lerobot.DATA, number) for number in (0, 1))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    with pytest.raises(DataError, match="file-000.parquet"):
        Dataset(root).columns(0)


def test_depth_that_is_not_wanted_is_not_decoded(root, decoded):
    window = next(Dataset(root).windows(4, depth=False))
    assert window.depth is None and set(decoded) == {lerobot.IMAGE}


@pytest.mark.parametrize("wrong", [{"length": 0}, {"memory": -1}, {"stride": 0}])
def test_numbers_that_mean_nothing_are_refused_at_once(root, wrong):
    with pytest.raises(InvalidOptionError, match=next(iter(wrong))):
        Dataset(root).windows(**({"length": 4} | wrong))


def test_a_dataset_goes_to_other_processes(root):
    dataset = Dataset(root)
    dataset.pictures(0, [0])
    other = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(other.pictures(1, [2]), dataset.pictures(1, [2]))


def test_other_versions_are_refused(root):
    info = json.loads((root / "meta/info.json").read_text())
    (root / "meta/info.json").write_text(json.dumps(info | {"codebase_version": "v2.1"}))
    with pytest.raises(DataError, match="v3.0"):
        Dataset(root)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"features": None}, "'features' to be dict"),
        ({"features": {}}, "expected the key 'observation.image'"),
        ({"total_episodes": "6"}, "'total_episodes' to be int"),
        ({"total_frames": -2}, "'total_frames' to be a finite number above -1"),
        ({"fps": 0}, "'fps' to be a finite number above 0"),
    ],
)
def test_descriptions_that_mean_nothing_are_named(root, change, said, capsys):
    info = json.loads((root / "meta/info.json").read_text())
    (root / "meta/info.json").write_text(json.dumps(info | change))
    assert main(["data", "info", str(root)]) == 2
    assert said in capsys.readouterr().err
    (root / "meta/info.json").write_text("[1]")
    with pytest.raises(DataError, match="info.json: expected codebase_version"):
        Dataset(root)


@pytest.mark.parametrize(
    ("place", "kind"),
    [(lerobot.EPISODES, "columns"), (lerobot.DATA, "columns"), (lerobot.DATA, "kinds")],
)
def test_tables_of_another_schema_are_named(root, place, kind):
    file = root / lerobot.place(place, 1)
    table, name = pq.read_table(file), "length" if place == lerobot.EPISODES else lerobot.POSE
    changed = table.drop_columns([name])
    if kind == "kinds":
        changed = changed.append_column(name, pa.array([[1.0] * 3] * len(table)))
    pq.write_table(changed, file)
    shutil.rmtree(root / RECORDS)
    with pytest.raises(DataError, match="file-001.parquet: expected .*(columns|kinds)"):
        Dataset(root).columns(2)


def test_tables_of_other_writers_are_read(root):
    """Lists of any length and numbers of twice the size, as other libraries write them."""
    file = root / lerobot.place(lerobot.DATA, 1)
    table, before = pq.read_table(file), Dataset(root).columns(2)
    at = table.schema.get_field_index(lerobot.POSE)
    loose = table.column(lerobot.POSE).cast(pa.list_(pa.float64()))
    pq.write_table(table.set_column(at, lerobot.POSE, loose), file)
    shutil.rmtree(root / RECORDS)
    after = Dataset(root).columns(2)
    assert all(np.array_equal(after[name], before[name]) for name in before)


def test_poses_that_are_not_rigid_are_found(root):
    file = root / "data/chunk-000/file-000.parquet"
    table = pq.read_table(file)
    column = np.array(table.column(lerobot.POSE).to_pylist(), np.float32)
    column[3, 0] += 0.5
    at = table.schema.get_field_index(lerobot.POSE)
    field = table.schema.field(at)
    changed = pa.FixedSizeListArray.from_arrays(pa.array(column.ravel()), 16)
    pq.write_table(table.set_column(at, field, changed), file)
    shutil.rmtree(root / RECORDS)  # which know how long the file was
    with pytest.raises(DataError, match="tick 3"):
        Dataset(root).verify()


def test_tasks_have_their_texts_as_index(root):
    """As pandas, and so LeRobot, reads them."""
    table = pq.read_table(root / lerobot.TASKS)
    pandas = json.loads(table.schema.metadata[b"pandas"])
    (index,) = pandas["index_columns"]
    assert table.column(index).to_pylist()[0] == str(make_episode(0, 2, 32).captions)
    rows = Dataset(root).rows
    frames = pq.read_table(root / "data/chunk-000/file-002.parquet")
    texts = lerobot.read_tasks(root)
    assert texts[frames.column("task_index")[0].as_py()] == rows[4]["tasks"][0]


def test_statistics_are_those_of_the_frames(root):
    stats = json.loads((root / lerobot.STATS).read_text())
    dataset = Dataset(root)
    action = np.concatenate([dataset.columns(n)[lerobot.ACTION] for n in range(6)])
    np.testing.assert_allclose(stats[lerobot.ACTION]["mean"], action.mean(0), atol=1e-6)
    np.testing.assert_allclose(stats[lerobot.ACTION]["std"], action.std(0), atol=1e-6)
    assert np.shape(stats[lerobot.IMAGE]["mean"]) == (3, 1, 1)
    assert 0.1 < np.mean(stats[lerobot.IMAGE]["mean"]) < 0.9


def test_commands_describe_and_draw_it(root, tmp_path, capsys):
    assert main(["data", "info", str(root), "--verify"]) == 0
    text = capsys.readouterr().out
    assert "6 episodes, 144 frames" in text and "observation.camera_pose" in text
    assert "every frame decodes" in text
    out = tmp_path / "pictures"
    assert main(["data", "view", str(root), "--episodes", "3", "--out", str(out)]) == 0
    assert {p.name for p in out.iterdir()} == {"contact_sheet.png", "paths.png"}
    assert main(["data", "info", str(tmp_path / "nothing")]) == 2
    assert "info.json" in capsys.readouterr().err


@pytest.fixture
def walked(tmp_path):
    """A dataset of the engine's walks."""
    settings = CollectConfig(
        source="engine", out=str(tmp_path), frames=48, episode_frames=24, shard_episodes=1,
        image_size=48,
    )  # fmt: skip
    collect(settings)
    return tmp_path


def shift_poses(file) -> None:
    """Give every frame of a table the pose of the tick before."""
    table = pq.read_table(file)
    at = table.schema.get_field_index(lerobot.POSE)
    poses = np.array(table.column(at).to_pylist(), np.float32)
    poses[1:] = poses[:-1].copy()
    changed = pa.FixedSizeListArray.from_arrays(pa.array(poses.ravel()), 16)
    pq.write_table(table.set_column(at, table.schema.field(at), changed), file)


def test_poses_that_belong_to_other_pictures_are_found(walked, capsys):
    assert main(["data", "info", str(walked), "--check"]) == 0
    assert capsys.readouterr().out.count("poses, pictures and depth agree") == 2
    shift_poses(walked / "data/chunk-000/file-001.parquet")
    shutil.rmtree(walked / RECORDS)  # which hold the checksums
    assert main(["data", "info", str(walked), "--check"]) == EXIT_INVALID
    text = capsys.readouterr().out
    assert "episode 0: poses, pictures and depth agree" in text
    assert "episode 1: poses, pictures and depth do NOT agree" in text


def test_poses_without_depth_cannot_be_checked(tmp_path, capsys):
    collect(CollectConfig(source=FAKE, out=str(tmp_path), frames=8, episode_frames=8,
                          image_size=32, variant="flat"))  # fmt: skip
    assert main(["data", "info", str(tmp_path), "--check"]) == 0
    assert "no depth was recorded" in capsys.readouterr().out


def test_collect_is_a_command(tmp_path, capsys):
    arguments = ["collect", f"source={FAKE}", f"out={tmp_path}", "frames=64", "episode_frames=8"]
    assert main([*arguments, "shard_episodes=4", "image_size=32", "variant=dark3"]) == 0
    text = capsys.readouterr().out
    assert "too dark" in text and "frames in all" in text
    assert main(["collect", "source=enginee"]) == 2
    assert "Did you mean 'engine'?" in capsys.readouterr().err
    assert main(["collect", "--help"]) == 0
    assert "episode_frames" in capsys.readouterr().out
