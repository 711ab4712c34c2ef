"""transforms.json, written from a known walk in OpenGL's axes, comes back as that walk."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mgenv.data.sources import SourceOptions, make_source
from mgenv.errors import DataError
from tests.data.sources.room import CX, CY, FX, FY, HEIGHT, SIZE, WIDTH, check, draw, save, walk

LENS = {"fl_x": FX, "fl_y": FY, "cx": CX, "cy": CY, "w": WIDTH, "h": HEIGHT}


def opengl(pose):
    """Columns right, up, back, position, from right, down, forward, position."""
    right, down, forward, place = pose.T
    return np.stack([right, -down, -forward, place], 1)


def write(folder, truth, top=LENS, own=None, depth_unit=None, bend=(0.0,) * 4, images="images"):
    """A scene; frames are listed backwards, as their order in the file means nothing."""
    frames = []
    for tick, pose in enumerate(truth):
        rgb, depth = draw(pose, bend=bend)
        save(folder / images / f"frame_{tick + 8}.png", rgb)
        frame = {"file_path": f"images/frame_{tick + 8}.png", **(own or {})}
        if depth_unit:
            save(folder / "depth" / f"{tick}.png", (depth / depth_unit).astype(np.uint16))
            frame["depth_file_path"] = f"depth/{tick}.png"
        frames.append({**frame, "transform_matrix": opengl(pose).tolist()})
    unit = {"depth_unit_scale_factor": depth_unit} if depth_unit not in (None, 1e-3) else {}
    folder.mkdir(exist_ok=True)
    content = {"camera_model": "OPENCV", **top, **unit, "frames": frames[::-1]}
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder


def open_source(path, **options):
    return make_source("nerfstudio", SourceOptions(path=str(path), image_size=SIZE, **options))


@pytest.mark.parametrize(("top", "own"), [(LENS, None), ({}, LENS)], ids=["global", "per frame"])
def test_transforms_come_back_as_the_walk(tmp_path, top, own):
    truth = walk()
    episode = open_source(write(tmp_path / "room", truth, top, own)).record(0)
    check(episode, truth)
    assert episode.name == "room-000000"
    np.testing.assert_allclose(episode.pose, truth, atol=1e-5, err_msg="its world is ours")


@pytest.mark.parametrize("unit", [1e-3, 2.5e-4])
def test_depth_is_read_in_its_unit(tmp_path, unit):
    truth = walk()
    source = open_source(write(tmp_path, truth, depth_unit=unit) / "transforms.json")
    check(source.record(0), truth, depth=0.03)


@pytest.mark.parametrize(("unit", "kind"), [(1e-3, np.float32), (1.0, np.float64), (2e-3, int)])
def test_depth_in_arrays_is_read_in_the_same_unit(tmp_path, unit, kind):
    """As nerfstudio does: what counts of pictures are, numbers of arrays are, too."""
    truth = walk()
    write(tmp_path, truth, depth_unit=unit)
    as_arrays(tmp_path, truth, lambda depth: (depth / unit).astype(kind)[..., None])
    check(open_source(tmp_path).record(0), truth, depth=0.03)


def as_arrays(folder, truth, change):
    """Depth maps as .npy, whatever they were."""
    content = json.loads((folder / "transforms.json").read_text())
    for frame in content["frames"]:
        tick = int(frame["depth_file_path"].split("/")[1].removesuffix(".png"))
        frame["depth_file_path"] = f"depth/{tick}.npy"
        np.save(folder / "depth" / f"{tick}.npy", change(draw(truth[tick])[1]))
    (folder / "transforms.json").write_text(json.dumps(content))


def test_what_arrays_do_not_know_is_0(tmp_path):
    truth = walk()

    def change(depth):
        depth[: HEIGHT // 3] = np.nan
        depth[HEIGHT // 3 : HEIGHT // 2] = np.inf
        depth[-HEIGHT // 4 :] = -1.0
        return depth * 1e3

    write(tmp_path, truth, depth_unit=1e-3)
    as_arrays(tmp_path, truth, change)
    depth = open_source(tmp_path).record(0).depth
    assert depth is not None and np.isfinite(depth).all()
    assert not depth[:, : SIZE // 2 - 1].any() and not depth[:, -SIZE // 4 + 1 :].any()
    assert (depth[:, SIZE // 2 + 1 : -SIZE // 4 - 1] > 0).all()


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\x93NUMPY\x01\x00", "damaged"), (b"PK", "damaged"), (np.zeros((2, 3, 3)), "an array"),
     (np.array([["a"]]), "an array"), (np.array([[{}]], object), "damaged")],
)  # fmt: skip
def test_arrays_that_are_no_depth_are_named(tmp_path, content, said):
    truth = walk()
    write(tmp_path, truth, depth_unit=1e-3)
    as_arrays(tmp_path, truth, lambda depth: depth)
    if isinstance(content, bytes):
        (tmp_path / "depth" / "2.npy").write_bytes(content)
    else:
        np.save(tmp_path / "depth" / "2.npy", content)
    with pytest.raises(DataError, match=f"2.npy: expected .*{said}"):
        open_source(tmp_path).record(0)


BENDS = {"barrel": (-0.15, 0.12, 0, 0), "across": (0, 0, 0, 0.03), "down": (0, 0, -0.03, 0)}


@pytest.mark.parametrize("bend", BENDS.values(), ids=BENDS)
def test_distortion_is_taken_out(tmp_path, bend):
    """The pictures are then those of a straight lens, and the depth with them."""
    truth = walk()
    top = {**LENS, **dict(zip(("k1", "k2", "p1", "p2"), bend, strict=True))}
    write(tmp_path / "bent", truth, top, bend=bend, depth_unit=1e-3)
    check(open_source(tmp_path / "bent").record(0), truth, depth=0.03)
    write(tmp_path / "ignored", truth, LENS, bend=bend)
    with pytest.raises(AssertionError, match="pictures are off"):
        check(open_source(tmp_path / "ignored").record(0), truth)


def test_smaller_pictures_beside_are_found(tmp_path):
    truth = walk()
    check(open_source(write(tmp_path, truth, images="images_4")).record(0), truth)


def describe(name, rgb):
    return f"{name} in {len(rgb)} pictures of {rgb.shape[1]} pixels"


def test_captions_may_come_from_a_function(tmp_path):
    write(tmp_path / "loft", walk())
    source = open_source(tmp_path, captions=f"{__name__}:describe")
    episode = source.record(0)
    size = episode.rgb.shape[1]
    assert episode.captions.scene == f"loft in {len(episode)} pictures of {size} pixels"
    with pytest.raises(DataError, match="missing"):
        open_source(tmp_path, captions=f"{__name__}:missing")


def test_captions_are_by_the_scene_name(tmp_path):
    write(tmp_path / "loft", walk())
    write(tmp_path / "yard", walk())
    file = tmp_path / "captions.json"
    file.write_text(json.dumps({"loft": "A loft", "yard": {"scene": "A yard", "style": "Dusk"}}))
    source = open_source(tmp_path, captions=str(file))
    assert [str(source.record(n).captions) for n in (0, 1)] == ["A loft.", "A yard. Dusk."]
    for wrong in ({"loft": 3}, {"loft": {"mood": "calm"}}):
        file.write_text(json.dumps(wrong))
        with pytest.raises(DataError, match="captions.json: expected 'loft'"):
            open_source(tmp_path, captions=str(file))


@pytest.mark.parametrize("key", ["fl_x", "fl_y", "cx", "cy", "w", "h", "frames"])
def test_missing_keys_are_named(tmp_path, key):
    file = write(tmp_path, walk()) / "transforms.json"
    content = json.loads(file.read_text())
    del content[key]
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match=f"transforms.json.*{key}.*missing"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"camera_model": "OPENCV_FISHEYE"}, "camera_model of OPENCV.*got 'OPENCV_FISHEYE'"),
        ({"fl_x": "wide"}, "'fl_x' to be int or float, got 'wide'"),
        ({"fl_x": -3}, "'fl_x' to be a finite number above 0"),
        ({"k3": 0.1}, "got k3 = 0.1"),
        ({"w": 10**400}, "'w' to be a finite number above 0"),
        ({"depth_file_path": 3}, "'depth_file_path' to be str, got 3"),
        ({"frames": [{"file_path": "a", "transform_matrix": [[10**400] * 4] * 4}]}, "4×4 matrix"),
        ({"frames": [{"transform_matrix": []}]}, "frame 0: expected the key 'file_path'"),
        ({"frames": [{"file_path": "a.png"}]}, "frame 0: expected the key 'transform_matrix'"),
        ({"frames": [{"file_path": "a.png", "transform_matrix": [[1]]}]}, "4×4 matrix"),
        (
            {"frames": [{"file_path": "a.png", "transform_matrix": [[2, 0, 0, 0]] * 4}]},
            "transforms.json: expected rigid poses",
        ),
    ],
)
def test_bad_values_are_named(tmp_path, change, said):
    file = write(tmp_path, walk()) / "transforms.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(DataError, match=said):
        open_source(tmp_path)


def test_files_that_do_not_fit_are_named(tmp_path):
    with pytest.raises(DataError, match="expected a nerfstudio scene"):
        open_source(tmp_path)
    write(tmp_path, walk(), {**LENS, "w": HEIGHT, "h": WIDTH})
    with pytest.raises(DataError, match=r"frame_8.png: expected width / height 0.667"):
        open_source(tmp_path).record(0)
    write(tmp_path, walk(), depth_unit=1e-3)
    save(tmp_path / "depth" / "2.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match=r"2.png: expected a depth map of one channel of 16 bits"):
        open_source(tmp_path).record(0)
    (tmp_path / "images" / "frame_9.png").unlink()
    with pytest.raises(DataError, match=r"frame_9.png: expected a picture"):
        open_source(tmp_path).record(0)
    (tmp_path / "transforms.json").write_text("{")
    with pytest.raises(DataError, match="it is not JSON"):
        open_source(tmp_path)
    (tmp_path / "transforms.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match="it is not JSON"):
        open_source(tmp_path)
    write(tmp_path, walk(), {**LENS, "fl_x": 1e300})
    with pytest.raises(DataError, match=r"frame_8.png: expected focal lengths of less than 1000"):
        open_source(tmp_path).record(0)
