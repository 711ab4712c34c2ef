"""COLMAP's text and binary models, written from a known walk, come back as that walk."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from mgenv.data.sources import SourceOptions, make_source
from mgenv.data.sources.axes import leveled
from mgenv.errors import DataError
from tests.data.sources.room import (
    CX,
    CY,
    FX,
    FY,
    HEIGHT,
    SIZE,
    WIDTH,
    check,
    draw,
    quaternion,
    save,
    walk,
)

PINHOLE = ("PINHOLE", [FX, FY, CX, CY])
NUMBERS = {"SIMPLE_PINHOLE": 0, "PINHOLE": 1, "SIMPLE_RADIAL": 2, "OPENCV": 4, "FULL_OPENCV": 6}
SIDES = {"SIMPLE_PINHOLE": [FX, CX, CY], "SIMPLE_RADIAL": [FX, CX, CY, 0.0],
         "OPENCV": [FX, FY, CX, CY, 0.0, 0.0, 0.0, 0.0], "PINHOLE": [FX, FY, CX, CY]}  # fmt: skip


def tilted_world():
    """A world of no particular orientation, as structure from motion gives."""
    axis = np.array([0.48, -0.6, 0.64])
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    turn = np.eye(4)
    turn[:3, :3] += np.sin(2.1) * cross + (1 - np.cos(2.1)) * cross @ cross
    turn[:3, 3] = [3.0, -1.0, 0.5]
    return turn


def write(scene, truth, kind="txt", camera=PINHOLE, place="sparse/0", world=None):
    """A scene; images are listed backwards and carry points, which are of no interest."""
    model, views = scene / place, []
    model.mkdir(parents=True, exist_ok=True)
    for tick, pose in enumerate(truth):
        square_pixels = camera[0].startswith("SIMPLE")
        lens = (FX, FX, CX, CY) if square_pixels else (FX, FY, CX, CY)
        save(scene / "images" / f"view {tick + 8}.png", draw(pose, lens)[0])
        to_camera = np.linalg.inv((tilted_world() if world is None else world) @ pose)
        views.append((f"view {tick + 8}.png", [*quaternion(to_camera[:3, :3]), *to_camera[:3, 3]]))
    (_text if kind == "txt" else _binary)(model, camera, views[::-1])
    return scene


def _text(model, camera, views):
    lines = ["# Camera list", f"7 {camera[0]} {WIDTH} {HEIGHT} " + " ".join(map(str, camera[1]))]
    (model / "cameras.txt").write_text("\n".join(lines) + "\n")
    lines = ["# Image list with two lines of data per image:"]
    for number, (name, values) in enumerate(views):
        points = "" if number % 2 else "1.5 2.5 -1 3.5 4.5 12"
        lines += [f"{number + 1} " + " ".join(map(str, values)) + f" 7 {name}", points]
    (model / "images.txt").write_text("\n".join(lines) + "\n")


def _binary(model, camera, views):
    head = struct.pack("<QiiQQ", 1, 7, NUMBERS[camera[0]], WIDTH, HEIGHT)
    (model / "cameras.bin").write_bytes(head + struct.pack(f"<{len(camera[1])}d", *camera[1]))
    content = struct.pack("<Q", len(views))
    for number, (name, values) in enumerate(views):
        content += struct.pack("<i7di", number + 1, *values, 7) + name.encode() + b"\0"
        content += struct.pack("<Q", number) + struct.pack("<ddq", 1.5, 2.5, -1) * number
    (model / "images.bin").write_bytes(content)


def open_source(path, **options):
    return make_source("colmap", SourceOptions(path=str(path), image_size=SIZE, **options))


@pytest.mark.parametrize("kind", ["txt", "bin"])
@pytest.mark.parametrize("place", ["sparse/0", "sparse", "."])
def test_models_come_back_as_the_walk(tmp_path, kind, place):
    truth = walk()
    source = open_source(write(tmp_path / "attic", truth, kind, place=place))
    episode = source.record(0)
    check(episode, truth, up=0.1)
    assert episode.name == "attic-000000"


@pytest.mark.parametrize("kind", ["txt", "bin"])
@pytest.mark.parametrize("model", ["SIMPLE_PINHOLE", "SIMPLE_RADIAL", "OPENCV"])
def test_models_without_distortion_are_pinholes(tmp_path, kind, model):
    truth = walk()
    source = open_source(write(tmp_path, truth, kind, (model, SIDES[model])))
    check(source.record(0), truth, up=0.1)


@pytest.mark.parametrize("kind", ["txt", "bin"])
def test_distortion_asks_to_undistort_first(tmp_path, kind):
    write(tmp_path, walk(2), kind, ("SIMPLE_RADIAL", [FX, CX, CY, 0.05]))
    with pytest.raises(DataError, match="without distortion.*Run colmap image_undistorter"):
        open_source(tmp_path)


@pytest.mark.parametrize("kind", ["txt", "bin"])
def test_unknown_models_are_named(tmp_path, kind):
    write(tmp_path, walk(2), kind, ("FULL_OPENCV", [FX, FY, CX, CY] + [0.0] * 8))
    with pytest.raises(DataError, match=rf"cameras.{kind}.*expected a camera model of SIMPLE_PIN"):
        open_source(tmp_path)


def test_level_cameras_make_a_level_world_wherever_up_was():
    truth = walk()
    for world in (np.eye(4), tilted_world(), np.diag([1.0, -1.0, -1.0, 1.0])):
        up = -leveled(world @ truth)[:, :3, 1].mean(0)
        np.testing.assert_allclose(up / np.linalg.norm(up), [0, 0, 1], atol=1e-6)


def test_an_episode_ends_where_the_camera_changes(tmp_path):
    write(tmp_path, walk())
    model = tmp_path / "sparse" / "0"
    with (model / "cameras.txt").open("a") as file:
        file.write(f"8 PINHOLE {WIDTH} {HEIGHT} 99 99 {CX} {CY}\n")
    lines = (model / "images.txt").read_text().replace("7 view 11", "8 view 11")
    (model / "images.txt").write_text(lines.replace("7 view 12", "8 view 12"))
    source = open_source(tmp_path)
    assert [len(source.record(number)) for number in range(source.count)] == [3, 2]
    assert source.record(1).intrinsics.fx == pytest.approx(99 / HEIGHT)


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin"])
def test_files_cut_short_are_named(tmp_path, name):
    write(tmp_path, walk(3), "bin")
    file = tmp_path / "sparse" / "0" / name
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError, match=f"{name}: expected at least .* bytes, got"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("cameras.txt", lambda t: t.rsplit(" ", 1)[0], "line 2: expected 4 parameters, got 3"),
        ("cameras.txt", lambda t: t.replace("7 PINHOLE", "9 PINHOLE"), "known camera of view 8"),
        ("cameras.txt", lambda t: t.replace("70.0", "-70.0"), "focal lengths above 0"),
        ("images.txt", lambda t: t.replace(" 7 view 12.png", ""), "line 2: expected 10 columns"),
        ("images.txt", lambda t: t.replace("\n1 ", "\n1 9"), "quaternion of length 1"),
        ("images.txt", lambda t: "# nothing", "expected images with poses"),
    ],
)
def test_bad_lines_are_named(tmp_path, name, change, said):
    write(tmp_path, walk())
    file = tmp_path / "sparse" / "0" / name
    file.write_text(change(file.read_text()))
    with pytest.raises(DataError, match=said):
        open_source(tmp_path)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DataError, match="expected a COLMAP scene"):
        open_source(tmp_path)
    write(tmp_path, walk())
    (tmp_path / "images" / "view 9.png").unlink()
    with pytest.raises(DataError, match=r"view 9.png: expected a picture"):
        open_source(tmp_path).record(0)
    (tmp_path / "sparse" / "0" / "images.txt").unlink()
    with pytest.raises(DataError, match="images.txt: expected COLMAP's images"):
        open_source(tmp_path)
