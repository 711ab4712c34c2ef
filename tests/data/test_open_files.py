"""What was last used stays open, within bounds; what goes is closed."""

from __future__ import annotations

import os
import pickle
from collections import Counter

import numpy as np
import pytest

from mgenv.data.dataset import Dataset
from mgenv.data.open_files import OpenFiles
from mgenv.data.record import CollectConfig, collect
from mgenv.data.videos import VideoReader


class File:
    def __init__(self, nbytes=1, descriptors=1):
        self.nbytes, self.descriptors, self.closed = nbytes, descriptors, False

    def close(self):
        self.closed = True


@pytest.mark.parametrize(("bounds", "kept"), [((30, 99), 3), ((99, 4), 4), ((5, 99), 1)])
def test_both_bounds_hold_and_the_last_used_stay(bounds, kept):
    held, files = OpenFiles(*bounds), [File(nbytes=10) for _ in range(8)]
    for number, file in enumerate(files):
        assert held.get(number, lambda file=file: file) is file
        if kept > 1:
            held.get(0, lambda: files[0])  # used all the time
    assert len(held) == kept
    stay = {0, *range(9 - kept, 8)} if kept > 1 else {7}
    assert {n for n, file in enumerate(files) if not file.closed} == stay


def test_nothing_is_opened_twice_while_it_is_held():
    held, made = OpenFiles(), []
    for _ in range(3):
        held.get("a", lambda: made.append(1) or File())
    assert len(made) == 1
    held.close()
    held.get("a", lambda: made.append(1) or File())
    assert len(made) == 2 and len(held) == 1


def test_what_cannot_be_opened_is_not_held():
    held = OpenFiles()
    with pytest.raises(OSError, match="gone"):
        held.get("a", _gone)
    assert len(held) == 0 and held.get("a", File)


def _gone():
    raise OSError("gone")


def test_other_processes_get_none_of_the_files():
    held = OpenFiles(memory=20)
    held.get("a", lambda: File(nbytes=15))
    other = pickle.loads(pickle.dumps(held))
    assert len(other) == 0 and other.memory == 20 and len(held) == 1
    other.get("b", lambda: File(nbytes=15))
    other.get("c", lambda: File(nbytes=5))
    assert len(other) == 2, "what others hold is not counted"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """30 shards, each with three videos and a table."""
    folder = tmp_path_factory.mktemp("many")
    collect(
        CollectConfig(
            source="tests.data.fake_source:FakeSource", out=str(folder), frames=30 * 16,
            episode_frames=16, shard_episodes=1, image_size=32,
        )
    )  # fmt: skip
    return folder


def read(dataset) -> list[np.ndarray]:
    windows = dataset.windows(4, memory=2, stride=4, epochs=2)
    return [np.concatenate([w.rgb.ravel(), w.depth.ravel(), w.memory]) for w in windows]


def test_shuffled_windows_open_each_file_once(root, monkeypatch):
    opened: Counter[str] = Counter()
    real = VideoReader.__init__

    def counted(self, path, *rest):
        opened[str(path)] += 1
        real(self, path, *rest)

    monkeypatch.setattr(VideoReader, "__init__", counted)
    whole = read(Dataset(root))
    assert len(opened) == 60 and set(opened.values()) == {1}
    small = read(Dataset(root, memory=4 << 20))
    assert sum(opened.values()) > 200
    assert all(np.array_equal(a, b) for a, b in zip(whole, small, strict=True))


def test_descriptors_are_bounded_and_given_back(root):
    def count():
        return len(os.listdir("/proc/self/fd"))

    before = count()
    dataset = Dataset(root)
    dataset._open.descriptors = 10
    for episode in range(30):
        dataset.pictures(episode, [0])
        assert count() - before <= 10
    assert len(dataset._open) == 10
    dataset.close()
    assert count() == before
