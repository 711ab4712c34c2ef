"""Panoramas become clips of a camera that turns: what it sees is where it looks."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from mgenv.camera import MAX_PITCH, Pose
from mgenv.data.sources import SourceOptions, make_source
from mgenv.data.sources.hdr_images import read_exr, read_radiance, tone_mapped
from mgenv.data.sources.panorama import read_panorama, view
from mgenv.errors import ClosedError, DataError
from tests.data.sources.room import SIZE, next_frames_are_explained

WIDTH, HEIGHT = 256, 128


def sky(direction: np.ndarray) -> np.ndarray:
    """Colour in 0 … 1 of world directions (..., 3), different in every direction."""
    return 0.5 + 0.4 * np.sin(direction * [2.0, 2.6, 2.3] + [0.3, 1.1, 2.0])


def directions(width=WIDTH, height=HEIGHT) -> np.ndarray:
    """Of a panorama's pixels: the middle is +x, left of it is +y, up is +z."""
    column, row = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    left, up = math.pi - column / width * 2 * math.pi, math.pi / 2 - row / height * math.pi
    return np.stack([np.cos(left) * np.cos(up), np.sin(left) * np.cos(up), np.sin(up)], -1)


def as_bytes(colour):
    return (colour * 255).round().astype(np.uint8)


def write(file, width=WIDTH, height=HEIGHT):
    Image.fromarray(as_bytes(sky(directions(width, height)))).save(file)
    return file


def open_source(path, **options):
    options = {"image_size": SIZE, "episode_frames": 30, **options}
    return make_source("panorama", SourceOptions(path=str(path), **options))


def looked_at(pose: np.ndarray) -> np.ndarray:
    """The sky through a lens of 90°, whose corners are at ±1: float (S, S, 3)."""
    side = (np.arange(SIZE) + 0.5) / SIZE * 2 - 1
    x, y = np.meshgrid(side, side)
    ray = np.stack([x, y, np.ones_like(x)], -1) @ pose[:3, :3].T
    return 255 * sky(ray / np.linalg.norm(ray, axis=-1, keepdims=True))


def test_turning_explains_the_next_frame(tmp_path):
    """Whatever the depth, as the camera stays: a wall at five metres does."""
    clip = open_source(write(tmp_path / "hill.png"), episode_frames=60).record(0)
    fastest = int(np.abs(clip.motion[:, 3]).argmax()) - 2
    shown = slice(fastest, fastest + 5)
    episode = replace(clip, rgb=clip.rgb[shown], pose=clip.pose[shown])
    next_frames_are_explained(episode, np.full((5, SIZE, SIZE), 5.0))


@pytest.mark.parametrize("number", range(4))
def test_a_clip_shows_where_its_camera_looks(tmp_path, number):
    episode = open_source(write(tmp_path / "hill.png")).record(number)
    for rgb, pose in zip(episode.rgb, episode.pose, strict=True):
        assert np.abs(rgb - looked_at(pose)).mean() < 0.5
    lens = episode.intrinsics
    assert [lens.fx, lens.fy, lens.cx, lens.cy] == pytest.approx([0.5] * 4)
    assert episode.name == f"hill-{number:06d}" and episode.depth is None


def test_the_camera_stays_and_turns_smoothly(tmp_path):
    episode = open_source(write(tmp_path / "hill.png"), episode_frames=200).record(3)
    assert (episode.pose[:, :3, 3] == episode.pose[0, :3, 3]).all()
    assert not episode.motion[:, :3].any()
    turn, tilt = np.degrees(episode.motion[:-1, 3:]).T
    assert 2 < np.abs(turn).max() <= 15.01 and 0.5 < np.abs(tilt).max() < 15
    assert np.abs(np.diff(turn)).max() < 5 and np.abs(np.diff(tilt)).max() < 5
    pose = Pose(torch.from_numpy(episode.pose))
    assert pose.pitch.abs().max() < MAX_PITCH and pose.rotation[:, 2, 0].abs().max() < 1e-6


def test_a_number_gives_the_same_clip_whatever_came_before(tmp_path):
    for name in ("a", "b", "c"):
        write(tmp_path / f"{name}.png")
    one, other = open_source(tmp_path, seed=5), open_source(tmp_path, seed=5)
    assert one.count is None
    clips = [one.record(number) for number in range(8)]
    for number in (6, 0, 3):
        again = other.record(number)
        assert again.name == clips[number].name
        assert np.array_equal(again.rgb, clips[number].rgb)
        assert np.array_equal(again.pose, clips[number].pose)
    assert len({clip.name[0] for clip in clips}) == 3, "all files are used"
    assert not np.array_equal(open_source(tmp_path, seed=6).record(0).pose, clips[0].pose)


def test_there_is_no_seam_behind(tmp_path):
    """The panorama's ends meet: looking back shows no line."""
    panorama = read_panorama(write(tmp_path / "hill.png"), WIDTH)
    back = Pose.create(torch.zeros(3), torch.tensor(math.pi)).matrix.numpy()
    shown = view(panorama, back[:3, :3], SIZE).astype(float)
    assert np.abs(shown - looked_at(back)).max() < 4


def test_large_panoramas_are_averaged_not_sampled(tmp_path):
    """A checkerboard too fine to see is grey."""
    fine = np.indices((512, 1024)).sum(0) % 2 * 255
    Image.fromarray(np.repeat(fine[..., None], 3, -1).astype(np.uint8)).save(tmp_path / "fine.png")
    assert np.ptp(open_source(tmp_path, episode_frames=3).record(0).rgb.astype(int)) < 20


def light() -> np.ndarray:
    """A bright world: the sky's colours over four orders of magnitude."""
    return (10 ** (4 * sky(directions(64, 32)) - 1)).astype(np.float32)


def rgbe(colour):
    """Shared exponents, written out by hand."""
    mantissa, exponent = np.frexp(colour.max(-1))
    scale = mantissa * 256 / colour.max(-1)
    return np.concatenate(
        [
            (colour * scale[..., None]).astype(np.uint8),
            (exponent + 128)[..., None].astype(np.uint8),
        ],
        -1,
    )


def write_radiance(file, colour, packed):
    pixels = rgbe(colour)
    height, width = pixels.shape[:2]
    body = b""
    for line in pixels:
        if not packed:
            body += line.tobytes()
            continue
        body += bytes([2, 2, width >> 8, width & 255])
        for values in line.T:
            half = width // 2
            body += bytes([half]) + values[:half].tobytes()
            for value in values[half:]:
                body += bytes([129, value])  # runs of one
    head = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n" + f"-Y {height} +X {width}\n".encode()
    file.write_bytes(head + body)
    return file


@pytest.mark.parametrize("packed", [True, False])
def test_radiance_pictures_are_read(tmp_path, packed):
    colour = light()
    read = read_radiance(write_radiance(tmp_path / "sun.hdr", colour, packed))
    assert (np.abs(read - colour) <= colour.max(-1, keepdims=True) / 128).all()
    assert open_source(tmp_path, episode_frames=2).record(0).rgb.std() > 10


def test_runs_of_equal_bytes_are_expanded(tmp_path):
    head = b"#?RADIANCE\n\n-Y 1 +X 16\n" + bytes([2, 2, 0, 16])
    (tmp_path / "sun.hdr").write_bytes(head + bytes([144, 100, 144, 50, 144, 200, 144, 129]))
    assert read_radiance(tmp_path / "sun.hdr")[0, 9].tolist() == [200 / 256, 100 / 256, 400 / 256]


def test_openexr_pictures_are_read(tmp_path):
    exr = pytest.importorskip("OpenEXR")
    header = {"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}
    exr.File(header, {"RGB": light()}).write(str(tmp_path / "sun.exr"))
    np.testing.assert_array_equal(read_exr(tmp_path / "sun.exr"), light())
    assert open_source(tmp_path, episode_frames=2).record(0).rgb.std() > 10
    (tmp_path / "sun.exr").write_bytes(b"dark")
    with pytest.raises(DataError, match="sun.exr: expected an OpenEXR picture"):
        open_source(tmp_path).record(0)
    exr.File(header, {"Z": light()[..., 0]}).write(str(tmp_path / "sun.exr"))
    with pytest.raises(DataError, match="expected channels R, G, B; got Z"):
        open_source(tmp_path).record(0)


def test_exposure_does_not_matter_and_brighter_stays_brighter():
    colour = light()
    shown = tone_mapped(colour)
    np.testing.assert_allclose(tone_mapped(colour * 50), shown, atol=0.1)
    assert shown.min() >= 0 and shown.max() <= 255 and 60 < shown.mean() < 180
    order = np.argsort(colour[..., 0], None)
    assert (np.diff(shown[..., 0].ravel()[order]) >= 0).all()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"#?RADIANCE\n\n-Y 4 +X 8\n" + bytes(100), "expected 4 lines of 8 pixels"),
        (b"#?RADIANCE\n\n-Y 4 +X 8\n" + bytes([2, 2, 0, 8, 200]), "expected 4 lines of 8 pixels"),
        (b"#?RADIANCE\n\n+X 8 -Y 4\n", "expected a Radiance picture with the size line"),
        (b"nothing", "expected a Radiance picture"),
    ],
)
def test_damaged_radiance_pictures_are_named(tmp_path, content, said):
    (tmp_path / "sun.hdr").write_bytes(content)
    with pytest.raises(DataError, match=f"sun.hdr: {said}"):
        open_source(tmp_path).record(0)


def test_bad_input_is_named(tmp_path):
    for path, said in (("", "got none"), (tmp_path / "gone", "no such"), (tmp_path, "found none")):
        with pytest.raises(DataError, match=said):
            open_source(path)
    with pytest.raises(DataError, match="flat.png: expected a 360° × 180° picture"):
        open_source(write(tmp_path / "flat.png", 128, 128)).record(0)
    (tmp_path / "flat.png").write_bytes(b"no picture")
    source = open_source(tmp_path)
    with pytest.raises(DataError, match="flat.png: expected a whole picture"):
        source.record(0)
    source.close()
    with pytest.raises(ClosedError):
        source.record(0)


def test_without_openexr_a_file_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "sun.exr").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(DataError, match=r"pip install 'mgenv\[hdr\]'"):
        open_source(tmp_path).record(0)
