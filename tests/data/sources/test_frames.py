"""The user's own pictures or video and poses.json come back as the walk they were made from."""

from __future__ import annotations

import json
import sys

import av
import numpy as np
import pytest

from mgenv.data.dataset import Dataset
from mgenv.data.record import CollectConfig, collect
from mgenv.data.sources import SourceOptions, UnfitError, make_source
from mgenv.errors import DataError, InvalidOptionError
from tests.data.sources.room import CX, CY, FX, FY, HEIGHT, SIZE, WIDTH, check, draw, save, walk
from tests.data.sources.test_nerfstudio import opengl
from tests.data.sources.test_nerfstudio import write as write_transforms

PIXELS = {"fx": FX, "fy": FY, "cx": CX, "cy": CY, "width": WIDTH, "height": HEIGHT}
SHARES = {"fx": FX / WIDTH, "fy": FY / HEIGHT, "cx": CX / WIDTH, "cy": CY / HEIGHT}
WORLDS = {  # the room's world (z up) in one with another axis up
    "z": np.eye(4),
    "y": np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]]),
    "-y": np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]),
}


def write(folder, truth, convention="opencv", intrinsics=PIXELS, place="images", **more):
    """A recording of pictures, or of one video if ``place`` is one's name."""
    poses = [WORLDS[more.get("up", "z")] @ pose for pose in truth]
    poses = [opengl(pose) if convention == "opengl" else pose for pose in poses]
    content = {"intrinsics": intrinsics, "convention": convention, "fps": 12, **more}
    content["poses"] = [pose.tolist() for pose in poses]
    pictures = [draw(pose)[0] for pose in truth]
    folder.mkdir(exist_ok=True, parents=True)
    if place.endswith(".mp4"):
        film(folder / place, pictures)
    else:
        for tick, picture in enumerate(pictures):
            save(folder / place / f"shot {tick + 8}.png", picture)
    (folder / "poses.json").write_text(json.dumps(content))
    return folder


def film(file, pictures):
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=12, options={"crf": "8"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv444p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))


def open_source(path, **options):
    return make_source("frames", SourceOptions(path=str(path), image_size=SIZE, **options))


@pytest.mark.parametrize("convention", ["opencv", "opengl"])
@pytest.mark.parametrize("intrinsics", [PIXELS, SHARES], ids=["pixels", "shares"])
@pytest.mark.parametrize("place", ["images", "."])
def test_pictures_come_back_as_the_walk(tmp_path, convention, intrinsics, place):
    truth = walk()
    source = open_source(write(tmp_path / "den", truth, convention, intrinsics, place))
    episode = source.record(0)
    check(episode, truth)
    np.testing.assert_allclose(episode.pose, truth, atol=1e-5, err_msg="its world is ours")
    assert (episode.fps, episode.name) == (12, "den-000000")


@pytest.mark.parametrize("up", WORLDS)
def test_worlds_with_another_axis_up_are_turned(tmp_path, up):
    truth = walk()
    check(open_source(write(tmp_path, truth, up=up)).record(0), truth)


def test_a_video_comes_back_as_the_walk_from_any_frame(tmp_path):
    truth = walk(8)
    write(tmp_path, truth, place="walk.mp4")
    source = open_source(tmp_path / "walk.mp4", episode_frames=4)
    check(source.record(1), truth[4:], noise=4.0)
    check(source.record(0), truth[:4], noise=4.0)


@pytest.mark.parametrize("place", ["images", "walk.mp4"])
def test_faster_recordings_are_thinned_to_the_rate_of_most_frames(tmp_path, place):
    truth = walk(9)
    write(tmp_path / "a", truth, fps=12)
    write(tmp_path / "b", truth[:8], fps=18, place=place)
    source = open_source(tmp_path, episode_frames=3)
    episodes = [source.record(number) for number in range(5)]
    assert {episode.fps for episode in episodes} == {12} and source.count == 5
    noise = 4.0 if place.endswith(".mp4") else 1.0
    for episode, frames in zip(episodes[3:], ([0, 2, 3], [4, 6]), strict=False):  # of b
        check(episode, truth[frames], noise=noise)
    assert episodes[4].name == "b-000004"


def test_slower_recordings_are_counted_and_the_rest_goes_on(tmp_path):
    write(tmp_path / "in" / "a", walk(7), fps=5)
    write(tmp_path / "in" / "b", walk(9), fps=12)
    write(tmp_path / "in" / "c", walk(9), fps=12)
    with pytest.raises(UnfitError, match=r"a/poses.json: expected at least 12 frames.*got 5"):
        open_source(tmp_path / "in").record(0)
    progress = gather(tmp_path)
    assert progress.dropped == {"slower than the others": 1}
    assert [row["recording"] for row in Dataset(tmp_path / "out").rows] == ["b-000000", "c-000000"]


def test_depth_is_unknown_where_others_have_it(tmp_path):
    write(tmp_path / "in" / "a", walk(9), fps=30)
    scans = tmp_path / "in" / "a", tmp_path / "in" / "b"
    write_transforms(scans[1], walk(6), depth_unit=1e-3)
    write_transforms(scans[0], walk(6))
    gather(tmp_path, source="nerfstudio")
    first, second = (Dataset(tmp_path / "out").depth(number, range(6)) for number in (0, 1))
    assert first is not None and not first.any() and second is not None and second.all()


def gather(folder, source="frames"):
    return collect(
        CollectConfig(
            source=source, path=str(folder / "in"), out=str(folder / "out"), frames=0,
            image_size=SIZE, shard_episodes=2,
        )
    )  # fmt: skip


def test_a_pose_of_null_parts_the_recording(tmp_path):
    truth = walk()
    file = write(tmp_path, truth) / "poses.json"
    content = json.loads(file.read_text())
    content["poses"][2] = None
    file.write_text(json.dumps(content))
    source = open_source(tmp_path)
    check(source.record(0), truth[:2])
    check(source.record(1), truth[3:])
    with pytest.raises(InvalidOptionError, match="from 0 to 1, got 2"):
        source.record(2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"convention": "unity"}, "'convention' to be one of opencv, opengl; got 'unity'"),
        ({"up": "x"}, "'up' to be one of z, y, -y; got 'x'"),
        ({"poses": []}, "a pose for each of 3 pictures, got 0"),
        ({"poses": [[[1]]] * 3}, "pose 0: expected a 4×4 matrix"),
        ({"poses": [np.diag([1, 1, -1, 1]).tolist()] * 3}, "poses.json: expected rigid poses"),
        ({"poses": [np.full((4, 4), np.nan).tolist()] * 3}, "expected finite poses; number 0"),
        ({"intrinsics": {**PIXELS, "fx": 0}}, "'fx' to be a finite number above 0"),
        ({"intrinsics": {"fx": 1, "fy": 1, "cx": 0.5}}, "expected the key 'cy'"),
        ({"intrinsics": {**SHARES, "width": 5}}, "expected the key 'height'"),
        ({"fps": 0}, "'fps' to be a finite number above 0"),
    ],
)
def test_bad_values_are_named(tmp_path, change, said):
    file = write(tmp_path, walk(3)) / "poses.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(DataError, match=said):
        open_source(tmp_path)


@pytest.mark.parametrize("key", ["intrinsics", "convention", "poses"])
def test_missing_keys_are_named(tmp_path, key):
    file = write(tmp_path, walk(3)) / "poses.json"
    content = json.loads(file.read_text())
    del content[key]
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match=f"poses.json: expected the key '{key}'"):
        open_source(tmp_path)


def test_missing_and_damaged_footage_is_named(tmp_path):
    with pytest.raises(DataError, match="expected a recording"):
        open_source(tmp_path)
    write(tmp_path, walk(4), place="walk.mp4")
    film(tmp_path / "walk.mp4", [draw(pose)[0] for pose in walk(3)])
    with pytest.raises(DataError, match="walk.mp4: expected 4 frames.*ends after 3"):
        open_source(tmp_path).record(0)
    (tmp_path / "walk.mp4").write_bytes(b"no video")
    with pytest.raises(DataError, match="walk.mp4: expected a whole video"):
        open_source(tmp_path).record(0)
    (tmp_path / "walk.mp4").unlink()
    with pytest.raises(DataError, match="expected pictures or one video"):
        open_source(tmp_path)


def test_without_av_a_video_says_what_to_install(tmp_path, monkeypatch):
    write(tmp_path, walk(3), place="walk.mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DataError, match=r"pip install 'mgenv\[data\]'"):
        open_source(tmp_path).record(0)
