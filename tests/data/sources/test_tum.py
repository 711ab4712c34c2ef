"""TUM RGB-D sequences, written from a known walk, come back as that walk."""

from __future__ import annotations

import numpy as np
import pytest

from mgenv.data.sources import SourceOptions, make_source
from mgenv.data.sources.tum import nearest
from mgenv.engine.motion.explorer import pose_of
from mgenv.errors import DataError, UnknownNameError
from tests.data.sources.room import SIZE, check, draw, quaternion, save, walk

FREIBURG = {
    "rgbd_dataset_freiburg1_room": (517.3, 516.5, 318.6, 255.3),
    "rgbd_dataset_freiburg2_desk": (520.9, 521.0, 325.1, 249.7),
    "rgbd_dataset_freiburg3_long": (535.4, 539.2, 320.1, 247.6),
    "kitchen": (525.0, 525.0, 319.5, 239.5),
}
SCALE = 4
"""Pictures are written at a quarter of 640×480; a pixel's centre at 0 is then at 0.5 / 4."""

CALIBRATION_SIZE = (640, 480)


def write(folder, truth, lens=FREIBURG["kitchen"]):
    """Pictures 30 a second, depth 7 ms later, poses 100 a second, each list by itself."""
    fx, fy, cx, cy = lens
    pixels = (fx / SCALE, fy / SCALE, (cx + 0.5) / SCALE, (cy + 0.5) / SCALE)
    start, rgb, depth, pose = 1305031102.1753, ["# color images"], ["# depth"], ["# tx ty tz qx qy"]
    for tick, matrix in enumerate(truth):
        colour, metres = draw(matrix, pixels, tuple(side // SCALE for side in CALIBRATION_SIZE))
        save(folder / "rgb" / f"{tick}.png", colour)
        save(folder / "depth" / f"{tick}.png", (metres * 5000).astype(np.uint16))
        stamp = start + tick / 30
        rgb.append(f"{stamp:.6f} rgb/{tick}.png")
        depth.append(f"{stamp + 0.007:.6f} depth/{tick}.png")
        w, x, y, z = quaternion(matrix[:3, :3])
        place = " ".join(f"{value:.6f}" for value in matrix[:3, 3])
        pose.append(f"{stamp - 0.004:.4f} {place} {x:.6f} {y:.6f} {z:.6f} {w:.6f}")
        pose.append(f"{stamp + 0.006:.4f} 9 9 9 0 0 0 1")
    for name, lines in (("rgb", rgb), ("depth", depth), ("groundtruth", pose)):
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return folder


def open_source(path, **options):
    return make_source("tum", SourceOptions(path=str(path), image_size=SIZE, **options))


@pytest.mark.parametrize("name", FREIBURG)
def test_sequences_come_back_as_the_walk(tmp_path, name):
    truth = walk()
    episode = open_source(write(tmp_path / name, truth, FREIBURG[name])).record(0)
    check(episode, truth, depth=0.03)
    np.testing.assert_allclose(episode.pose, truth, atol=2e-5, err_msg="its world is ours")
    assert (episode.fps, episode.name) == (30, f"{name}-000000")


def test_frames_without_a_pose_part_the_recording(tmp_path):
    truth = walk()
    write(tmp_path, truth)
    lines = (tmp_path / "groundtruth.txt").read_text().splitlines()
    (tmp_path / "groundtruth.txt").write_text("\n".join(lines[:5] + lines[7:]))  # not tick 2
    source = open_source(tmp_path)
    assert source.count == 2
    check(source.record(0), truth[:2], depth=0.03)
    check(source.record(1), truth[3:], depth=0.03)


def test_frames_without_depth_have_unknown_depth(tmp_path):
    write(tmp_path, walk())
    lines = (tmp_path / "depth.txt").read_text().splitlines()
    (tmp_path / "depth.txt").write_text("\n".join(lines[:2] + lines[3:]))  # not tick 1
    depth = open_source(tmp_path).record(0).depth
    assert [bool(plane.any()) for plane in depth] == [True, False, True, True, True]


def test_the_nearest_timestamp_within_tolerance_is_taken():
    found = nearest(np.array([0.0, 1.0, 2.0, 3.0]), np.array([3.019, 1.01, 0.992, 2.03]))
    assert found == [None, 2, None, 0]
    assert nearest(np.array([5.0]), np.array([5.0])) == [0]


@pytest.mark.parametrize("name", ["rgb", "depth", "groundtruth"])
def test_missing_lists_and_short_lines_are_named(tmp_path, name):
    write(tmp_path, walk())
    file = tmp_path / f"{name}.txt"
    file.write_text(file.read_text().rsplit(" ", 1)[0])
    with pytest.raises(DataError, match=rf"{name}.txt, line \d+: expected \d columns"):
        open_source(tmp_path)
    file.unlink()
    with pytest.raises(DataError, match=f"{name}.txt: expected .* no such file"):
        open_source(tmp_path)


def test_bad_poses_and_pictures_are_named(tmp_path):
    file = write(tmp_path, walk()) / "groundtruth.txt"
    good = file.read_text()
    file.write_text(good.replace(" 9 9 9 0 0 0 1", "", 1).replace("0 0 0 1", "0 0 0 7"))
    with pytest.raises(DataError, match="line 3: expected 8 columns"):
        open_source(tmp_path)
    lines = good.splitlines()
    file.write_text("\n".join([lines[0], lines[1].rsplit(" ", 1)[0] + " 7"] + lines[2:]))
    with pytest.raises(DataError, match="groundtruth.txt, pose 0: expected a quaternion of length"):
        open_source(tmp_path)
    file.write_text(good.replace("13050311", "14050311"))
    with pytest.raises(DataError, match="expected at least 2 frames"):
        open_source(tmp_path)
    file.write_text(good)
    (tmp_path / "depth" / "1.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="1.png: expected a whole depth map"):
        open_source(tmp_path).record(0)
    with pytest.raises(DataError, match="expected a TUM RGB-D sequence"):
        open_source(tmp_path / "rgb")


def test_buttons_are_inferred_for_footage_of_games(tmp_path):
    """Ahead, then ahead to the left, then a turn to the left on the spot."""
    places = np.cumsum([(0, 0), *[(0.1, 0)] * 8, *[(0.08, 0.06)] * 8, *[(0, 0)] * 8], 0)
    yaw = np.cumsum([0] * 17 + [0.05] * 8)
    poses = [
        pose_of((x - 1.5, y, 1.0), angle)
        for (x, y), angle in zip(places, yaw, strict=True)
    ]  # fmt: skip
    source = open_source(write(tmp_path / "game", np.stack(poses)), variant="buttons")
    episode = source.record(0)
    assert episode.action_names == ("forward", "left", "turn")
    assert (episode.action[2:7] == (1, 0, 0)).all()
    assert (episode.action[10:15] == (1, 1, 0)).all()
    assert (episode.action[18:23] == (0, 0, 1)).all()
    with pytest.raises(UnknownNameError, match="buttons"):
        open_source(tmp_path / "game", variant="button")
