"""Reprojection proves poses that belong to their pictures, and only those."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mgenv.camera import Intrinsics, Pose
from mgenv.data.episode import Episode
from mgenv.data.motions import motions_of
from mgenv.data.pose_validation import PoseValidation, validate_poses
from mgenv.errors import InvalidOptionError
from mgenv.training.data import make_walks
from tests.data.sources.room import draw


@pytest.fixture(scope="module")
def episode() -> Episode:
    walks = make_walks([4], 80, 32, "cpu")
    pose = walks.pose[0].numpy()
    motion = motions_of(pose)
    return Episode(
        rgb=walks.rgb[0].numpy(),
        pose=pose,
        motion=motion,
        action=motion,
        action_names=("forward", "left", "up", "yaw", "pitch"),
        bumped=walks.bumped[0].numpy(),
        intrinsics=Intrinsics.from_fov(90.0),
        source="engine",
        name="4",
        depth=walks.depth[0].float().numpy(),
    ).check()


def test_true_poses_hold(episode):
    result = validate_poses(episode)
    assert result.is_valid and result.gain > 3 and result.warped < 0.7 * result.late
    assert result.pairs > 30 and 0.6 < result.coverage <= 1


@pytest.mark.parametrize("shift", [1, -1], ids=["late", "early"])
def test_poses_of_another_tick_do_not(episode, shift):
    tick = np.arange(len(episode)) - shift
    pose = episode.pose[tick.clip(0, len(episode) - 1)]
    result = validate_poses(replace(episode, pose=pose, motion=motions_of(pose)))
    assert not result.is_valid
    assert (result.early if shift == 1 else result.late) < 0.5 * result.warped


def test_mirrored_turns_do_not(episode):
    mirror = np.diag([1.0, -1.0, 1.0, 1.0]).astype(np.float32)
    pose = mirror @ episode.pose @ np.diag([-1.0, 1.0, 1.0, 1.0]).astype(np.float32)
    result = validate_poses(replace(episode, pose=pose, motion=motions_of(pose)))
    assert not result.is_valid and result.gain < 1.5


WRONG = {"long": (1.15, 1.15), "short": (0.87, 0.87), "swapped 4:3": (4 / 3, 3 / 4),
         "swapped 3:4": (3 / 4, 4 / 3), "wide": (0.7, 0.7)}  # fmt: skip


def seen_through(episode: Episode, x: float, y: float) -> Episode:
    lens = episode.intrinsics
    return replace(episode, intrinsics=Intrinsics(x * lens.fx, y * lens.fy, lens.cx, lens.cy))


@pytest.mark.parametrize("scales", WRONG.values(), ids=WRONG)
def test_a_wrong_lens_does_not(episode, scales):
    result = validate_poses(seen_through(episode, *scales))
    assert not result.is_valid and result.lens < 0.9 * result.warped


def tilting(episode: Episode) -> Episode:
    """A picture of noise, seen by a camera that tilts on the spot."""
    size = 48
    pitch = torch.linspace(-0.3, 0.3, 12)
    pose = Pose.create(torch.zeros(12, 3), torch.zeros(12), pitch).matrix.numpy()
    waves = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)) * 9
    rays = episode.intrinsics.rays(size, size) @ torch.as_tensor(pose[:, None, :3, :3]).mT
    light = torch.sin(rays / rays.norm(dim=-1, keepdim=True) @ waves.T).mean(-1)  # (12, H, W)
    rgb = (127 + 500 * light).clamp(0, 255)[..., None].expand(-1, -1, -1, 3)
    return Episode.from_poses(
        rgb.to(torch.uint8).numpy(), pose, intrinsics=episode.intrinsics, source="noise",
        name="1", depth=np.full(rgb.shape[:3], 5, np.float32),
    )  # fmt: skip


@pytest.mark.parametrize("scale", [0.85, 1.0, 1.15])
def test_tilting_proves_the_vertical_focal_length(episode, scale):
    assert validate_poses(seen_through(tilting(episode), 1.0, scale)).is_valid == (scale == 1.0)


@pytest.mark.parametrize("turn", [0.0, 0.05])
def test_steady_walks_hold_though_they_tell_little(turn):
    """Straight ahead all lenses are alike, and at one rate so are poses of other ticks."""
    time = torch.arange(16)
    place = torch.stack([-1.5 + 0.08 * time, 0.1 + 0 * time, 1.0 + 0 * time], -1)
    pose = Pose.create(place, turn * time, 0 * time).matrix.numpy()
    drawn = [draw(p, (24.0, 24.0, 24.0, 24.0), (48, 48)) for p in pose]
    rgb, depth = (np.stack(part) for part in zip(*drawn, strict=True))
    episode = Episode.from_poses(
        rgb, pose, intrinsics=Intrinsics(0.5, 0.5), source="room", name="1",
        depth=depth.astype(np.float32),
    )  # fmt: skip
    assert validate_poses(episode).is_valid


def test_frames_that_stay_the_same_prove_nothing(episode):
    still = replace(episode, rgb=np.repeat(episode.rgb[:1], len(episode), 0))
    assert not validate_poses(still).is_valid


def test_pairs_are_spread_over_the_episode(episode):
    assert validate_poses(episode, pairs=7).pairs == 7


def test_what_cannot_be_proved_is_said(episode):
    with pytest.raises(InvalidOptionError, match="expected depth"):
        validate_poses(replace(episode, depth=None))
    stands = np.repeat(episode.pose[:1], len(episode), 0)
    with pytest.raises(InvalidOptionError, match="moves"):
        validate_poses(replace(episode, pose=stands, motion=motions_of(stands)))


@pytest.mark.parametrize("wrong", ["late", "early", "lens", "still"])
def test_any_better_explanation_is_enough_to_fail(wrong):
    fair = PoseValidation(8, still=0.9, warped=0.1, late=0.2, early=0.2, lens=0.099, coverage=0.8)
    assert fair.is_valid
    assert not replace(fair, **{wrong: 0.088}).is_valid
