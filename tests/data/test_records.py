"""A shard's record is written last, and knows every file well enough to miss a bit of it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from mgenv.cli.data import EXIT_INVALID
from mgenv.cli.main import main
from mgenv.data import lerobot
from mgenv.data.dataset import Dataset
from mgenv.data.record import CollectConfig, collect
from mgenv.data.records import committed, record_of
from mgenv.errors import DataError

FILES = (
    "meta/episodes/chunk-000/file-001.parquet",
    "data/chunk-000/file-001.parquet",
    f"videos/{lerobot.IMAGE}/chunk-000/file-001.mp4",
    f"videos/{lerobot.DEPTH}/chunk-000/file-001.mp4",
    f"videos/{lerobot.LABELS}/chunk-000/file-001.mp4",
)


def settings(out, frames=48) -> CollectConfig:
    return CollectConfig(
        source="tests.data.fake_source:FakeSource", out=str(out), frames=frames, episode_frames=8,
        shard_episodes=2, image_size=32,
    )  # fmt: skip


@pytest.fixture
def root(tmp_path):
    collect(settings(tmp_path))
    return tmp_path


def flip(file: Path) -> None:
    """One bit, in the middle."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_records_name_all_files_of_their_shards(root):
    summaries = list(committed(root))
    assert set(summaries[1].files) == set(FILES)
    for place, known in (item for summary in summaries for item in summary.files.items()):
        content = (root / place).read_bytes()
        assert known == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    Dataset(root, check=True)


@pytest.mark.parametrize("file", FILES)
def test_sizes_are_compared_at_every_opening(root, file):
    (root / file).write_bytes((root / file).read_bytes()[:-1])
    with pytest.raises(DataError, match=f"{file}: expected .* bytes"):
        Dataset(root)
    (root / file).unlink()
    with pytest.raises(DataError, match=f"{file}: expected a file of the dataset"):
        Dataset(root)


@pytest.mark.parametrize("file", FILES)
def test_a_flipped_bit_is_found_when_asked_for(root, file, capsys):
    assert main(["data", "info", str(root), "--check"]) == EXIT_INVALID  # for its poses alone
    assert "15 files of 3 shards have their checksums" in capsys.readouterr().out
    flip(root / file)
    if not file.startswith("meta"):
        Dataset(root)
    with pytest.raises(DataError, match=f"{file}: expected .* sha256"):
        Dataset(root, check=True)
    assert main(["data", "info", str(root), "--check"]) == 2
    captured = capsys.readouterr()
    assert file in captured.err and "damaged" in captured.err


def test_a_damaged_dataset_is_not_gone_on_with(root):
    (root / FILES[2]).write_bytes(b"")
    with pytest.raises(DataError, match="file-001.mp4"):
        collect(settings(root, 96))


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "expected JSON"), ("[1]", "a shard's record"), ('{"first": 0}', "a shard's record"),
     ('{"first": 0, "last": 2, "files": [1]}', "expected files to be dict"),
     ('{"first": 0, "last": 2, "files": {"a": 3}}', "expected files to be")],
)  # fmt: skip
def test_damaged_records_are_named(root, content, said):
    (root / record_of(1)).write_text(content)
    with pytest.raises(DataError, match=f"shard-000001.json: .*{said}"):
        Dataset(root)


def test_datasets_without_checksums_are_read(root, capsys):
    for number in range(3):
        record = json.loads((root / record_of(number)).read_text())
        del record["files"]
        (root / record_of(number)).write_text(json.dumps(record))
    assert main(["data", "info", str(root), "--check", "--verify"]) == EXIT_INVALID  # its poses
    assert "no checksums" in capsys.readouterr().out
    collect(settings(root, 64))
    assert Dataset(root, check=True).frames == 64


@pytest.mark.parametrize("file", [lerobot.TASKS, lerobot.INFO, lerobot.STATS])
@pytest.mark.parametrize("content", [None, b"", b"PAR1"])
def test_what_follows_from_records_is_made_again(root, file, content):
    before = (root / file).read_bytes()
    (root / file).unlink() if content is None else (root / file).write_bytes(content)
    collect(settings(root))
    assert (root / file).read_bytes() == before
    Dataset(root).verify()


def test_tasks_that_are_not_those_of_the_episodes_are_named(root):
    (root / lerobot.TASKS).unlink()
    with pytest.raises(DataError, match=r"tasks.parquet: expected the task of episode 0"):
        Dataset(root).verify()
    lerobot.write_tasks(root, lerobot.read_tasks(root) + ["a", "b", "c", "d"])
    with pytest.raises(DataError, match=r"tasks.parquet: expected the task of episode 0"):
        Dataset(root).verify()


def test_a_missing_last_record_is_noticed(root):
    (root / record_of(2)).unlink()
    with pytest.raises(DataError, match="shards: expected records of 6 episodes, got 4"):
        Dataset(root)


def test_everything_is_on_the_disk_before_its_record(tmp_path, monkeypatch):
    """As it would have to be for a power cut at any moment to lose nothing that is recorded."""
    synced: set[str] = set()
    real_sync, real_replace = os.fsync, os.replace
    held: dict[int, str] = {}

    def sync(handle):
        real_sync(handle)
        place = os.readlink(f"/proc/self/fd/{handle}")
        synced.add(place)
        held[os.fstat(handle).st_ino] = place

    def replace(beside, place):
        if Path(place).name == Path(record_of(0)).name:
            record = json.loads(Path(beside).read_text())
            wanted = {tmp_path / name for name in record["files"]} | {tmp_path / lerobot.TASKS}
            wanted |= {folder for file in wanted for folder in file.parents}
            missing = {p for p in wanted if p.is_relative_to(tmp_path) and str(p) not in synced}
            assert not missing, missing
            assert os.stat(beside).st_ino in held, "the record itself, before it gets its name"
            synced.clear()
        real_replace(beside, place)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", replace)
    collect(settings(tmp_path, 16))
    assert str((tmp_path / record_of(0)).parent) in synced, "and its name"


def test_staged_shards_are_on_the_disk_before_they_have_their_name(tmp_path, monkeypatch):
    synced: set[int] = set()
    real_sync, real_rename = os.fsync, Path.rename

    def sync(handle):
        real_sync(handle)
        synced.add(os.fstat(handle).st_ino)

    def rename(part, final):
        assert {file.stat().st_ino for file in part.iterdir()} <= synced
        renamed.append(final)
        return real_rename(part, final)

    renamed: list[Path] = []
    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "rename", rename)
    collect(settings(tmp_path, 16))
    assert renamed
