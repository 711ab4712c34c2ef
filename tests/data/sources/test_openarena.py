"""OpenArena, where it is installed and MGENV_TEST_OPENARENA=1; its geometry anywhere."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from mgenv.camera import Intrinsics, Pose
from mgenv.data.pose_validation import validate_poses
from mgenv.data.sources import SourceOptions, openarena, openarena_process
from mgenv.data.sources.game_interface import Action
from mgenv.data.sources.openarena import OpenArenaGame, OpenArenaSource, camera_to_world, metres
from mgenv.errors import DataError, UnknownNameError

there = os.environ.get("MGENV_TEST_OPENARENA") == "1" and openarena_process.ENGINE.exists()
needs_game = pytest.mark.skipif(not there, reason="MGENV_TEST_OPENARENA=1 and the game are needed")
OPTIONS = SourceOptions(image_size=96, episode_frames=60)


def record(number, options=OPTIONS):
    source = OpenArenaSource(options)
    try:
        return source.record(number)
    finally:
        source.close()


def variations(episode):
    """What would be recorded if something were wrong."""
    pose, depth = episode.pose, episode.depth
    mirrored = pose.copy()
    mirrored[:, 1, 3] *= -1
    return {
        "late": replace(episode, pose=np.concatenate([pose[:1], pose[:-1]])),
        "early": replace(episode, pose=np.concatenate([pose[1:], pose[-1:]])),
        "mirrored": replace(episode, pose=mirrored),
        "far": replace(episode, depth=depth * 2),
        "upside down": replace(episode, depth=np.ascontiguousarray(depth[:, ::-1])),
        "wide": replace(episode, intrinsics=Intrinsics.from_fov(100.0)),
    }


@pytest.fixture
def game():
    game = OpenArenaGame(OPTIONS)
    yield game
    game.close()


def test_the_games_axes_are_this_projects():

    yaw = 0.7
    cos, sin = np.cos(yaw), np.sin(yaw)
    axis = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    pose = camera_to_world(np.array([50.0, 100.0, 25.0]), axis)
    expected = Pose.create(torch.tensor([1.0, 2.0, 0.5]), torch.tensor(yaw)).matrix
    np.testing.assert_allclose(pose, expected.numpy(), atol=1e-6)


def test_depth_buffers_become_metres():
    near, far = 4.0, 2000.0
    projection = np.zeros((4, 4))
    projection[2, 2], projection[3, 2] = (
        -(far + near) / (far - near),
        -2 * far * near / (far - near),
    )
    units = np.array([[4.0, 50.0, 500.0]])
    device = -projection[2, 2] + projection[3, 2] / units
    buffer = np.append((device + 1) / 2, [[1.0]], 1).astype(np.float32)
    np.testing.assert_allclose(metres(buffer, projection), [[0.08, 1.0, 10.0, 0.0]], rtol=1e-3)


def test_a_missing_game_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(openarena_process, "ENGINE", tmp_path / "ioquake3")
    with pytest.raises(DataError, match="package openarena"):
        OpenArenaSource(OPTIONS)


def test_a_missing_compiler_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(DataError, match="packages gcc"):
        openarena_process.compile_hook()


def test_unknown_maps_are_named():
    with pytest.raises(UnknownNameError, match="oa_dm3"):
        OpenArenaSource(SourceOptions(variant="oa_dm33"))


@needs_game
@pytest.mark.parametrize("number", [0, 2])
def test_poses_depth_and_pictures_belong_together(number):
    episode = record(number)
    assert episode.depth is not None
    assert len(episode) == 60 and episode.rgb.std() > 5
    result = validate_poses(episode)
    assert result.is_valid, result
    for name, broken in variations(episode).items():
        worse = validate_poses(broken)
        assert worse.warped > 1.25 * result.warped, (name, result, worse)


@needs_game
def test_the_same_number_gives_the_same_episode():
    first, second = record(1), record(1)
    for name in ("rgb", "depth", "pose", "action"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@needs_game
def test_actions_act_in_their_own_tick(game):
    before = game.start(0, 5)
    left = game.act(Action(turn=0.5))
    right = game.act(Action(turn=-0.5))
    yaws = [Pose(torch.as_tensor(o.pose)).yaw.item() for o in (before, left, right)]
    turned = np.degrees((np.diff(yaws) + np.pi) % (2 * np.pi) - np.pi)
    np.testing.assert_allclose(turned, [5.0, -5.0], atol=0.02)


@needs_game
def test_eyes_are_a_metre_above_the_floor(game):
    depth = game.start(0, 5).depth
    rays = game.intrinsics.rays(*depth.shape)[-1, :, 1].numpy()
    assert np.median(depth[-1] * rays) == pytest.approx(1.0, abs=0.05)


@needs_game
def test_the_lens_is_the_one_that_is_recorded(game):
    game.start(0, 5)
    lens = np.diag(game._tick("cg_fov 40").projection)[:2] / 2
    np.testing.assert_allclose(lens, [game.intrinsics.fx, game.intrinsics.fy], rtol=1e-5)


@needs_game
def test_death_ends_the_walk(game):
    assert not game.start(0, 5).over
    game._tick("kill")
    seen = [game.act(Action()).over for _ in range(3)]
    assert seen[-1]


@needs_game
def test_a_map_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(openarena, "MAPS", ["nowhere"])
    with pytest.raises(DataError, match="nowhere"):
        record(0)
