"""Exported ScanNet scenes, written from a known walk, come back as that walk."""

from __future__ import annotations

import numpy as np
import pytest

from mgenv.data.sources import SourceOptions, make_source
from mgenv.errors import DataError
from tests.data.sources.room import CX, CY, FX, FY, HEIGHT, SIZE, WIDTH, check, draw, save, walk

DEPTH_SIZE, DEPTH_LENS = (96, 72), (60.0, 61.0, 45.0, 38.0)
"""The depth camera is another: other pixels, another view."""


def matrix(lens):
    fx, fy, cx, cy = lens
    return np.array([[fx, 0, cx - 0.5, 0], [0, fy, cy - 0.5, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def write(folder, truth, own_depth_lens=True, lost=(), depth=True):
    """A scene; ticks in ``lost`` have no pose."""
    for name in ("pose", "intrinsic"):
        (folder / name).mkdir(parents=True)
    np.savetxt(folder / "intrinsic" / "intrinsic_color.txt", matrix((FX, FY, CX, CY)))
    if own_depth_lens:
        np.savetxt(folder / "intrinsic" / "intrinsic_depth.txt", matrix(DEPTH_LENS))
    for tick, pose in enumerate(truth):
        number = tick + 8  # 8, 9, 10: numbers, not letters, give the order
        save(folder / "color" / f"{number}.jpg", draw(pose)[0])
        far = draw(pose, DEPTH_LENS, DEPTH_SIZE)[1] if own_depth_lens else draw(pose)[1]
        if depth:
            save(folder / "depth" / f"{number}.png", (far * 1000).astype(np.uint16))
        shown = np.full((4, 4), -np.inf) if tick in lost else pose
        np.savetxt(folder / "pose" / f"{number}.txt", shown)
    return folder


def open_source(path, **options):
    return make_source("scannet", SourceOptions(path=str(path), image_size=SIZE, **options))


@pytest.mark.parametrize("own_depth_lens", [True, False])
def test_scenes_come_back_as_the_walk(tmp_path, own_depth_lens):
    truth = walk()
    episode = open_source(write(tmp_path / "scene0000_00", truth, own_depth_lens)).record(0)
    check(episode, truth, depth=0.03, noise=3.0)
    np.testing.assert_allclose(episode.pose, truth, atol=1e-5, err_msg="its world is ours")
    assert (episode.fps, episode.name) == (30, "scene0000_00-000000")


def test_lost_tracking_parts_the_recording(tmp_path):
    truth = walk(8)
    source = open_source(write(tmp_path, truth, lost=(0, 3, 5)))
    names = [source.record(number).name[-6:] for number in range(source.count)]
    assert names == ["000001", "000006"], "a single frame between two lost ones has no motion"
    check(source.record(0), truth[1:3], depth=0.03, noise=3.0)
    check(source.record(1), truth[6:], depth=0.03, noise=3.0)


def test_depth_may_be_absent(tmp_path):
    truth = walk()
    check(open_source(write(tmp_path, truth, depth=False)).record(0), truth, noise=3.0)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DataError, match="expected an exported ScanNet scene"):
        open_source(tmp_path)
    write(tmp_path, walk(2))
    (tmp_path / "depth" / "9.png").unlink()
    with pytest.raises(DataError, match="9.png: expected a depth map"):
        open_source(tmp_path).record(0)
    (tmp_path / "pose" / "9.txt").unlink()
    with pytest.raises(DataError, match="9.txt: expected a 4×4 camera-to-world"):
        open_source(tmp_path)
    (tmp_path / "intrinsic" / "intrinsic_color.txt").unlink()
    with pytest.raises(DataError, match="intrinsic_color.txt: expected a 4×4 matrix of intrinsics"):
        open_source(tmp_path)
    for picture in (tmp_path / "color").iterdir():
        picture.unlink()
    with pytest.raises(DataError, match="color: expected pictures named"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 0 0\n" * 4, "9.txt, line 1: expected 4 columns"),
        ("1 0 0 0\n" * 3, "9.txt: expected 4 lines"),
        ("1 0 0 a\n" * 4, "9.txt: expected numbers"),
        ("", "9.txt: expected .* it has no lines"),
        ("2 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n", "pose: expected rigid poses"),
    ],
)
def test_bad_poses_are_named(tmp_path, text, said):
    write(tmp_path, walk(2))
    (tmp_path / "pose" / "9.txt").write_text(text)
    with pytest.raises(DataError, match=said):
        open_source(tmp_path)


def test_intrinsics_of_other_pictures_are_refused(tmp_path):
    """Exports often hold smaller pictures and the full ones' intrinsics."""
    write(tmp_path, walk(2))
    for name in ("8", "9"):
        save(tmp_path / "color" / f"{name}.jpg", np.zeros((HEIGHT // 2, WIDTH // 2, 3), np.uint8))
    with pytest.raises(DataError, match="8.jpg: expected its optical axis inside the picture"):
        open_source(tmp_path).record(0)
