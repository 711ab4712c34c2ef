"""Videos are written beside their caller: what fails there is told, and nothing is left open."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from mgenv.data.filters import FilterConfig
from mgenv.data.shards import record_shard
from mgenv.data.sources import SourceOptions
from mgenv.data.videos import VideoReader, VideoWriter
from mgenv.errors import DataError, OutputError
from tests.data.fake_source import FakeSource

FRAMES = np.arange(8 * 16 * 16, dtype=np.uint8).reshape(8, 16, 16)


class FullDisk:
    """A stream that cannot write."""

    def encode(self, _):
        raise OSError(28, "No space left on device")


def left_open(folder) -> int:
    """Open files in a folder, those removed too, and threads besides this one."""
    links = (os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd"))
    files = [os.readlink(link) for link in links if os.path.lexists(link)]
    return sum(file.startswith(str(folder)) for file in files) + threading.active_count() - 1


@pytest.fixture
def begun(tmp_path):
    """A writer, and how much is open without it."""
    before = left_open(tmp_path)
    writer = VideoWriter(tmp_path / "labels.mp4", (16, 16), 10, "labels")
    writer.write(FRAMES)
    return writer, before


def test_frames_come_back_and_nothing_stays_open(begun, tmp_path):
    writer, before = begun
    writer.write(FRAMES[::-1])
    assert left_open(tmp_path) > before
    writer.close()
    assert left_open(tmp_path) == before
    reader = VideoReader(writer.path, 10, "labels")
    np.testing.assert_array_equal(reader.read(range(16)), np.concatenate([FRAMES, FRAMES[::-1]]))
    reader.close()


def test_what_fails_in_the_encoding_thread_reaches_the_next_call(begun, tmp_path):
    writer, before = begun
    writer._wait()
    writer._stream = FullDisk()
    writer.write(FRAMES)
    with pytest.raises(OutputError, match="labels.mp4.*No space left"):
        writer.write(FRAMES)
    with pytest.raises(OutputError, match="labels.mp4.*No space left"):
        writer.close()
    assert left_open(tmp_path) == before


@pytest.mark.parametrize("number", [5, 7])
def test_a_source_that_fails_in_the_middle_of_a_shard_leaves_nothing_open(tmp_path, number):
    source = FakeSource(SourceOptions(image_size=32, episode_frames=8, variant="disk"))
    before = left_open(tmp_path)
    with pytest.raises(DataError, match="episode 5"):
        record_shard(tmp_path, source, number - 4, number + 1, FilterConfig(), "rgb")
    assert left_open(tmp_path) == before
    assert not list(tmp_path.glob("*/*"))
