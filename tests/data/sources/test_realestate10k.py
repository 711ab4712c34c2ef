"""RealEstate10K's camera files, written from a known walk, come back as that walk."""

from __future__ import annotations

import numpy as np
import pytest

from mgenv.data.sources import SourceOptions, make_source
from mgenv.errors import ClosedError, DataError, InvalidOptionError
from tests.data.sources.room import CX, CY, FX, FY, HEIGHT, SIZE, WIDTH, check, draw, save, walk

Y_DOWN = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
"""The room's world (z up) in one whose y points down and z to the horizon."""


def write(folder, truth, name="0000cc6d8b108390", suffix=".png"):
    """One camera file and its pictures, 30 a second."""
    lines = ["https://www.youtube.com/watch?v=abc"]
    for tick, pose in enumerate(truth):
        stamp = 52_553_000 + 33_333 * tick
        world_to_camera = np.linalg.inv(Y_DOWN @ pose)[:3]
        lens = [FX / WIDTH, FY / HEIGHT, CX / WIDTH, CY / HEIGHT, 0, 0]
        lines.append(" ".join(map(str, [stamp, *lens, *world_to_camera.ravel()])))
        save(folder / name / f"{stamp}{suffix}", draw(pose)[0])
    file = folder / f"{name}.txt"
    file.write_text("\n".join(lines))
    return file


def open_source(path, **options):
    return make_source("realestate10k", SourceOptions(path=str(path), image_size=SIZE, **options))


@pytest.mark.parametrize(("suffix", "noise"), [(".png", 1.0), (".jpg", 3.0)])
def test_a_camera_file_comes_back_as_the_walk(tmp_path, suffix, noise):
    truth = walk()
    source = open_source(write(tmp_path, truth, suffix=suffix))
    assert source.count == 1
    episode = source.record(0)
    check(episode, truth, noise=noise)
    assert (episode.fps, episode.name) == (30, "0000cc6d8b108390-000000")


def test_a_folder_of_files_is_cut_into_episodes_in_order(tmp_path):
    truth = walk(7)
    for name in ("b2", "b10"):
        write(tmp_path, truth, name)
    source = open_source(tmp_path, episode_frames=3)
    names = [source.record(number).name for number in range(source.count)]
    assert names == ["b2-000000", "b2-000003", "b10-000000", "b10-000003"], "the last is too short"
    check(source.record(3), truth[3:6])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.replace("https://", "no address "), "line 1: expected the video's URL"),
        (lambda t: t.rsplit(" ", 1)[0], "line 6: expected 19 columns, got 18"),
        (lambda t: t.rsplit(" ", 1)[0] + " x", "line 6: expected numbers"),
        (lambda t: t.replace(" 0 0 ", " 0.1 0 ", 1), "line 2: expected k1 and k2 to be 0"),
        (lambda t: t.rsplit(" ", 2)[0] + " 5 1", "expected rigid poses"),
        (lambda t: t.replace("52553000", "52553001", 1), "expected the picture 52553001"),
        (lambda t: t.splitlines()[0], "expected at least 2 frames"),
    ],
)
def test_bad_files_are_named(tmp_path, change, said):
    file = write(tmp_path, walk())
    file.write_text(change(file.read_text()))
    with pytest.raises(DataError, match=said) as error:
        open_source(file)
    assert file.stem in str(error.value)


def test_missing_things_are_named(tmp_path):
    with pytest.raises(DataError, match="got none"):
        open_source("")
    with pytest.raises(DataError, match="nowhere.txt: expected a RealEstate10K camera file"):
        open_source(tmp_path / "nowhere.txt")
    with pytest.raises(DataError, match="got 0 files, none with one"):
        open_source(tmp_path)
    file = write(tmp_path, walk())
    (tmp_path / file.stem).rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="the folder of pictures"):
        open_source(file)


def test_files_without_pictures_in_a_folder_are_passed_over(tmp_path):
    for name in ("a", "b"):
        write(tmp_path, walk(), name)
    (tmp_path / "a").rename(tmp_path / "elsewhere")
    source = open_source(tmp_path)
    assert source.count == 1 and source.record(0).name == "b-000000"
    (tmp_path / "b").rename(tmp_path / "nowhere")
    with pytest.raises(DataError, match="got 2 files, none with one"):
        open_source(tmp_path)


def test_a_damaged_picture_is_named(tmp_path):
    file = write(tmp_path, walk())
    picture = tmp_path / file.stem / "52553000.png"
    picture.write_bytes(picture.read_bytes()[:500])
    source = open_source(file)
    with pytest.raises(DataError, match="52553000.png: expected a whole picture"):
        source.record(0)


def test_a_closed_source_and_single_frames_are_refused(tmp_path):
    file = write(tmp_path, walk())
    with pytest.raises(InvalidOptionError, match="episode_frames of at least 2, got 1"):
        open_source(file, episode_frames=1)
    source = open_source(file)
    source.close()
    with pytest.raises(ClosedError):
        source.record(0)
