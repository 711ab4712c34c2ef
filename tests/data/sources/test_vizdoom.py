"""Doom is recorded exactly: pose, depth and labels of the tick, the same in any process."""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from mgenv.data.actions import DIRECTIONS
from mgenv.data.pose_validation import validate_poses
from mgenv.data.sources import make_source, udmf
from mgenv.data.sources.base import SourceOptions
from mgenv.data.sources.game_interface import Action
from mgenv.data.sources.vizdoom import BATCH, VizdoomGame, VizdoomSource
from mgenv.data.sources.vizdoom_screen import STRUCTURE, UNITS
from mgenv.errors import DataError, UnknownNameError

pytest.importorskip("vizdoom")

ROOMS = SourceOptions(image_size=64, episode_frames=60, seed=0, variant="rooms")
FREEDOOM = SourceOptions(image_size=64, episode_frames=60, seed=0)


@pytest.fixture(scope="module", params=[ROOMS, FREEDOOM], ids=["rooms", "freedoom"])
def source(request):
    source = VizdoomSource(request.param)
    yield source
    source.close()


@pytest.fixture(scope="module")
def game():
    game = VizdoomGame(ROOMS)
    yield game
    game.close()


def same(one, two) -> bool:
    names = ("rgb", "pose", "motion", "action", "bumped", "depth", "segmentation")
    return all(np.array_equal(getattr(one, n), getattr(two, n)) for n in names)


def test_the_same_number_is_the_same_episode_in_any_process(source):
    first = source.record(5)
    source.record(2)
    other = make_source("vizdoom", source._options)
    try:
        assert same(first, other.record(5))
    finally:
        other.close()
    assert same(first, source.record(5)) and not same(first, source.record(2))


def test_poses_pass_validation_by_reprojection(source):
    results = [validate_poses(source.record(number), pairs=32) for number in range(5)]
    assert all(result.is_valid for result in results)
    assert np.median([result.gain for result in results]) > 4


def test_episodes_show_something(source):
    episode = source.record(1)
    assert len(episode) == 60 and episode.rgb.shape[1:] == (64, 64, 3)
    assert episode.rgb.std() > 5 and episode.captions.scene
    assert np.linalg.norm(episode.motion[:, :2], axis=1).max() < 0.25, "walking, not running"
    assert episode.segmentation.max() < len(episode.labels)
    assert (episode.depth >= 0).all() and (episode.depth > 0).mean() > 0.3
    assert (episode.depth[episode.segmentation == STRUCTURE.index("far")] == 0).all()


def horizon(level, pose, directions):
    """Distance to the nearest wall along each horizontal direction (N, 2), in its lengths."""
    ends = [(*a, *b) for a, b, _, behind in level.lines if behind is None]
    start, stop = np.array(ends, float).reshape(-1, 2, 2).transpose(1, 0, 2) / UNITS  # (L, 2)
    along, to = stop - start, start - pose[:2, 3]
    cross = directions[:, :1] * along[:, 1] - directions[:, 1:] * along[:, 0]  # (N, L)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = (to[:, 0] * along[:, 1] - to[:, 1] * along[:, 0]) / cross
        share = (to[:, 0] * directions[:, 1:] - to[:, 1] * directions[:, :1]) / cross
    return np.where((far > 0) & (share >= 0) & (share <= 1), far, np.inf).min(1)


def test_depth_is_the_distance_to_the_walls_that_were_built(game):
    """Pose, lens, depth and labels at once: rays at eye height meet the walls of the map's text."""
    middle, errors = 32, []
    x = ((np.arange(64) + 0.5) / 64 - 0.5) / game.intrinsics.fx
    for number in range(4):
        seen = game.start(number, 0)
        for _ in range(12):
            rotation = seen.pose[:2, :3]
            directions = x[:, None] * rotation[:, 0] + rotation[:, 2]
            truth = horizon(udmf.make_level(number), seen.pose, directions)
            wall = (seen.segmentation[middle] == STRUCTURE.index("wall")) & (truth < 10)
            errors.append((seen.depth[middle] - truth)[wall])
            for _ in range(5):
                seen = game.act(Action(forward=0.5, turn=0.6))
    errors = np.concatenate(errors)
    assert len(errors) > 1000
    assert abs(np.median(errors)) < 0.02 and np.median(np.abs(errors)) < 0.04


def test_floors_lie_a_metre_below_the_eye(game):
    heights = []
    for number in range(6):
        seen = game.start(number, 0)
        y = ((np.arange(64) + 0.5) / 64 - 0.5) / game.intrinsics.fy
        below = (y[:, None] * seen.depth)[56:]
        heights.append(np.median(below[seen.segmentation[56:] == STRUCTURE.index("floor")]))
    assert np.median(heights) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("name", DIRECTIONS[1:])
def test_keys_go_where_they_say(game, name):
    forward = ("forward" in name) - ("back" in name)
    left = ("left" in name) - ("right" in name)
    before = game.start(1, 0)
    for _ in range(3):
        after = game.act(Action(forward=forward, left=left))
    moved = before.pose[:3, :3].T @ (after.pose - before.pose)[:3, 3]  # right, down, forward
    assert np.sign(np.round(moved[[2, 0]], 3)).tolist() == [forward, -left]


def test_turns_go_where_they_say_and_walls_are_felt(game):
    before = game.start(1, 0)
    after = game.act(Action(turn=1.0))
    turned = before.pose[:3, :3].T @ after.pose[:3, 2]
    assert turned[0] == pytest.approx(-np.sin(np.radians(10)), abs=0.01), "left"
    bumps = [game.act(Action(forward=1.0)).bumped for _ in range(150)]
    assert not any(bumps[:2]) and all(bumps[-10:])


def test_all_of_freedoom_is_there():
    game = VizdoomGame(FREEDOOM)
    try:
        assert game.levels == 68
        for level in (0, 32, 67):
            assert game.start(level, 3).rgb.std() > 0
        assert game.describe(0) == "Freedoom2 map MAP01"
        assert game.describe(67) == "Freedoom1 map E4M9"
    finally:
        game.close()


def test_generated_levels_use_what_freedoom_has():
    import vizdoom

    data = open(f"{vizdoom.__path__[0]}/freedoom2.wad", "rb").read()
    count, directory = struct.unpack_from("<ii", data, 4)
    lumps = {}
    for n in range(count):
        start, size, name = struct.unpack_from("<ii8s", data, directory + 16 * n)
        lumps[name.rstrip(b"\0").decode()] = data[start : start + size]
    textures = lumps["TEXTURE1"]
    offsets = struct.unpack_from(f"<{struct.unpack_from('<i', textures)[0]}i", textures, 4)
    names = {textures[o : o + 8].rstrip(b"\0").decode() for o in offsets}
    assert set(udmf.WALLS) <= names
    assert {*udmf.FLOORS, *udmf.CEILINGS, udmf.SKY} <= set(lumps)


def test_levels_beyond_a_file_are_made_anew(game):
    one = game.start(BATCH + 1, 0)
    truth = udmf.make_level(BATCH + 1)
    x, y, _, _ = next(t for t in truth.things if t[3] == udmf.PLAYER_START)
    np.testing.assert_allclose(one.pose[:2, 3] * UNITS, (x, y), atol=1)


def test_no_game_outlives_its_source():
    """Not the running one, nor that of the levels before, and none waits to be reaped."""
    before, game = processes(), VizdoomGame(ROOMS)
    game.start(0, 0)
    (first,) = processes() - before
    game.start(BATCH, 0)
    (second,) = processes() - before
    assert first != second and Path(game._scratch.name).exists()
    game.close()
    assert processes() == before and not Path(game._scratch.name).exists()


def processes() -> set[int]:
    """Those that this one began and that still are in the system's table."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(folder.name))
    return found


def test_without_the_package_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "vizdoom", None)
    with pytest.raises(ModuleNotFoundError) as error:
        VizdoomSource(FREEDOOM)
    assert error.value.name == "vizdoom"


def test_missing_and_damaged_files_are_named(tmp_path):
    options = SourceOptions(path=str(tmp_path))
    with pytest.raises(DataError, match="freedoom2.wad.*expected a Doom WAD"):
        VizdoomSource(options)
    import vizdoom

    whole = open(f"{vizdoom.__path__[0]}/freedoom2.wad", "rb").read(2_000_000)
    for damaged in (b"not a wad", b"IWAD\0\0", whole, b"PWAD" + struct.pack("<ii", 0, 12)):
        (tmp_path / "freedoom2.wad").write_bytes(damaged)
        with pytest.raises(DataError, match="freedoom2.wad.*expected"):
            VizdoomSource(options)


def test_other_variants_are_unknown():
    with pytest.raises(UnknownNameError, match="rooms"):
        VizdoomSource(SourceOptions(variant="room"))
