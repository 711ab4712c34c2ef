from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mgenv.errors import InvalidOptionError
from mgenv.matrix_game3.memory import camera
from tests.matrix_game3.public_frames import window_pose_frames

GOLDEN = Path(__file__).parents[2] / "fixtures" / "matrix_game3"
PICTURE = (64, 96, (4, 6))


@pytest.fixture(scope="module")
def golden():
    return load_file(GOLDEN / "dit_golden.safetensors")


def error(found, expected):
    found, expected = found.to(expected.dtype).float(), expected.float()
    return float((found - expected).norm() / expected.norm())


def keys(frames, **pressed):
    keyboard, mouse = torch.zeros(frames, 6), torch.zeros(frames, 2)
    for name, value in pressed.items():
        if name in "wsad":
            keyboard[:, "wsad".index(name)] = value
        else:
            mouse[:, ("pitch", "yaw").index(name)] = value
    return keyboard, mouse


def one_by_one(keyboard, mouse):
    """The path written as a loop over frames."""
    poses = [[0.0] * 5]
    for (w, s, a, d), (tilt, turn) in zip(
        keyboard[:-1, :4].tolist(), mouse[:-1].tolist(), strict=True
    ):
        x, y, z, pitch, yaw = poses[-1]
        heading = yaw + (15 * turn if abs(turn) >= 0.02 else 0.0)
        while heading > 180:
            heading -= 360
        while heading < -180:
            heading += 360
        ahead, right = w - s, d - a
        step = 8.73 if ahead and right else 12.35
        mean = math.radians((yaw + heading) / 2)
        x += step * (math.cos(mean) * ahead - math.sin(mean) * right)
        y += step * (math.sin(mean) * ahead + math.cos(mean) * right)
        poses.append([x, y, z, pitch + (15 * tilt if abs(tilt) >= 0.02 else 0.0), heading])
    return torch.tensor(poses)


def test_poses_are_the_public_ones(golden):
    poses = camera.poses_of_actions(golden["keyboard"], golden["mouse"])
    assert error(poses, golden["poses_xyz_pitch_yaw"]) < 1e-6
    assert error(camera.camera_to_world(poses), golden["c2w"]) < 1e-6


@pytest.mark.parametrize("turn", [0.1, -0.1, 1.0, -1.0])
def test_turning_through_half_a_circle_is_the_loop_over_frames(turn):
    keyboard, mouse = keys(300, w=1.0, d=1.0, yaw=turn)
    mouse[100:130] = 0.0
    mouse[200:] *= -1
    mouse = torch.round(mouse * 64) / 64  # exact in single precision
    poses = camera.poses_of_actions(keyboard, mouse)
    torch.testing.assert_close(poses, one_by_one(keyboard, mouse), rtol=1e-5, atol=1e-2)


def test_resting_on_the_seam_keeps_its_side():
    keyboard, mouse = keys(6, w=1.0, yaw=-6.0)
    mouse[2:4] = 0.0
    poses = camera.poses_of_actions(keyboard, mouse)
    assert poses[2:5, 4].tolist() == [-180.0] * 3
    torch.testing.assert_close(poses, one_by_one(keyboard, mouse), rtol=1e-5, atol=1e-3)


def test_a_trembling_mouse_does_not_turn():
    assert camera.poses_of_actions(*keys(5, yaw=0.019, pitch=-0.019)).count_nonzero() == 0


def test_a_path_goes_on_where_it_stopped(golden):
    keyboard, mouse = golden["keyboard"], golden["mouse"]
    whole = camera.poses_of_actions(keyboard, mouse)
    rest = camera.poses_of_actions(keyboard[40:], mouse[40:], first=whole[40])
    torch.testing.assert_close(rest, whole[40:], rtol=1e-6, atol=1e-3)


def test_a_batch_is_its_members(golden):
    keyboard = torch.stack([golden["keyboard"], golden["keyboard"].flip(0)])
    mouse = torch.stack([golden["mouse"], golden["mouse"].flip(0)])
    c2w = camera.camera_to_world(camera.poses_of_actions(keyboard, mouse))
    alone = camera.camera_to_world(camera.poses_of_actions(keyboard[1], mouse[1]))
    assert torch.equal(c2w[1], alone)
    frames = window_pose_frames(41, 97)
    both = camera.plucker(c2w[:, frames], *PICTURE, c2w[:, [4, 8]], c2w[:, [96, 88]])
    assert both.shape == (2, 1536, 16, 4, 6)
    one = camera.plucker(alone[frames], *PICTURE, alone[[4, 8]], alone[[96, 88]])
    torch.testing.assert_close(both[1], one)


def test_pitch_and_yaw_turn_as_euler_angles():
    pose = torch.tensor([100.0, -200.0, 0.0, 30.0, 70.0])
    cos, sin = math.cos(math.radians(30)), math.sin(math.radians(30))
    tilt = torch.tensor([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    cos, sin = math.cos(math.radians(70)), math.sin(math.radians(70))
    turn = torch.tensor([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    axes = torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]])
    matrix = camera.camera_to_world(pose)
    torch.testing.assert_close(matrix[:3, :3], turn @ tilt @ axes)
    torch.testing.assert_close(matrix[:3, 3], torch.tensor([1.0, -2.0, 0.0]))


def test_rays_of_the_first_clip_are_the_public_ones(golden):
    frames = window_pose_frames(0, 57)
    found = camera.plucker(golden["c2w"][frames], *PICTURE)
    assert error(found[None], golden["plucker.first_clip"]) < 1e-4


def test_rays_of_memory_are_the_public_ones(golden):
    c2w, frames = golden["c2w"], window_pose_frames(41, 97)
    remembered = [*golden["retrieval.selected_frames"].tolist()[:-1], 4]
    memory = [camera.memory_pose_frame(frame) for frame in remembered]
    queries = golden["retrieval.reference_frames"]
    found = camera.plucker(c2w[frames], *PICTURE, c2w[memory], c2w[queries])
    assert error(found[None], golden["second.plucker"]) < 1e-4
    indices = [camera.latent_index(frame) for frame in remembered]
    assert indices == golden["second.memory_latent_idx"].tolist()


def test_a_camera_that_stands_still_has_finite_rays():
    c2w = camera.camera_to_world(torch.zeros(3, 5))
    assert camera.plucker(c2w, 32, 32, (2, 2), c2w[:1], c2w[:1]).isfinite().all()


def test_bad_input_is_told():
    with pytest.raises(InvalidOptionError, match="of one length"):
        camera.poses_of_actions(torch.zeros(5, 6), torch.zeros(4, 2))
    with pytest.raises(InvalidOptionError, match="divides 64×96"):
        camera.plucker(torch.eye(4)[None], 64, 96, (5, 6))
    with pytest.raises(InvalidOptionError, match="with the poses of their queries"):
        camera.plucker(torch.eye(4)[None], *PICTURE, memory=torch.eye(4)[None])
