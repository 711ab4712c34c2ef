"""Reprojection proves poses that belong to their pictures, and only those."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mgenv.camera import Intrinsics
from mgenv.data.episode import Episode
from mgenv.data.motions import motions_of
from mgenv.data.proof import prove_poses
from mgenv.errors import InvalidOptionError
from mgenv.training.data import make_walks


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
    proof = prove_poses(episode)
    assert proof.holds and proof.gain > 3 and proof.late_gain < 0.7 * proof.gain
    assert proof.pairs > 30 and 0.6 < proof.coverage <= 1


def test_poses_of_another_tick_do_not(episode):
    late = np.concatenate([episode.pose[:1], episode.pose[:-1]])
    proof = prove_poses(replace(episode, pose=late, motion=motions_of(late)))
    assert proof.gain < 0.7 * prove_poses(episode).gain


def test_mirrored_turns_do_not(episode):
    mirror = np.diag([1.0, -1.0, 1.0, 1.0]).astype(np.float32)
    pose = mirror @ episode.pose @ np.diag([-1.0, 1.0, 1.0, 1.0]).astype(np.float32)
    proof = prove_poses(replace(episode, pose=pose, motion=motions_of(pose)))
    assert not proof.holds and proof.gain < 1.5


def test_a_wrong_lens_does_worse(episode):
    proof = prove_poses(replace(episode, intrinsics=Intrinsics.from_fov(60.0)))
    assert proof.gain < 0.7 * prove_poses(episode).gain


def test_frames_that_stay_the_same_prove_nothing(episode):
    still = replace(episode, rgb=np.repeat(episode.rgb[:1], len(episode), 0))
    assert not prove_poses(still).holds


def test_pairs_are_spread_over_the_episode(episode):
    assert prove_poses(episode, pairs=7).pairs == 7


def test_what_cannot_be_proved_is_said(episode):
    with pytest.raises(InvalidOptionError, match="expected depth"):
        prove_poses(replace(episode, depth=None))
    stands = np.repeat(episode.pose[:1], len(episode), 0)
    with pytest.raises(InvalidOptionError, match="moves"):
        prove_poses(replace(episode, pose=stands, motion=motions_of(stands)))
