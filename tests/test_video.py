from __future__ import annotations

from typing import Any

import imageio.v2 as imageio
import numpy as np
import pytest

from mgenv.errors import OutputError
from mgenv.video import write_video


def frames(count: int):
    return [np.full((46, 62, 3), 10 * number, np.uint8) for number in range(count)]


def test_a_video_has_the_frames_and_their_size(tmp_path):
    file = write_video(tmp_path / "a.mp4", frames(12), fps=6)
    reader: Any = imageio.get_reader(file)
    with reader:
        film = [np.asarray(frame) for frame in reader]
        assert reader.get_meta_data()["fps"] == 6
    assert len(film) == 12 and film[0].shape == (46, 62, 3)
    assert abs(film[11].mean() - 110) < 6


def test_nothing_is_left_where_drawing_fails(tmp_path):
    def broken():
        yield frames(1)[0]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_video(tmp_path / "a.mp4", broken())
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_video(tmp_path / "file" / "a.mp4", frames(2))
