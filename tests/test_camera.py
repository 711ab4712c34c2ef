"""Conventions: x right, y down, z forward in the camera; metres and z up in the world."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from mgenv.camera import (
    DEFAULT_INTRINSICS,
    MAX_PITCH,
    Intrinsics,
    Pose,
    frustum_points,
    full_precision,
    planar,
    planar_from,
)


def pose(x=0.0, y=0.0, z=1.0, yaw=0.0, pitch=0.0) -> Pose:
    return Pose.create(torch.tensor([x, y, z]), torch.tensor(yaw), torch.tensor(pitch))


def motion(forward=0.0, left=0.0, up=0.0, yaw=0.0, pitch=0.0) -> torch.Tensor:
    return torch.tensor([forward, left, up, yaw, pitch])


@pytest.fixture
def some() -> Pose:
    generator = torch.Generator().manual_seed(0)
    draw = torch.rand(20, 5, generator=generator) * 2 - 1
    return Pose.create(draw[:, :3] * 5, draw[:, 3] * 3, draw[:, 4])


def test_a_level_camera_has_its_axes_where_the_design_says():
    right, down, forward = pose().rotation.T
    assert_close(forward, torch.tensor([1.0, 0.0, 0.0]))
    assert_close(right, torch.tensor([0.0, -1.0, 0.0]))
    assert_close(down, torch.tensor([0.0, 0.0, -1.0]))


def test_yaw_turns_left_and_pitch_looks_up():
    assert_close(pose(yaw=math.pi / 2).rotation[:, 2], torch.tensor([0.0, 1.0, 0.0]))
    assert pose(pitch=0.5).rotation[2, 2] > 0


def test_poses_are_rigid_and_right_handed(some):
    identity = torch.eye(3).expand(20, 3, 3)
    assert_close(some.rotation @ some.rotation.mT, identity, atol=1e-6, rtol=0)
    assert_close(torch.linalg.det(some.rotation), torch.ones(20))


def test_yaw_pitch_and_position_are_read_back(some):
    again = Pose.create(some.position, some.yaw, some.pitch)
    assert_close(again.matrix, some.matrix, atol=1e-6, rtol=0)


def test_the_inverse_undoes(some):
    identity = torch.eye(4).expand(20, 4, 4)
    assert_close(some.compose(some.inverse()).matrix, identity, atol=1e-5, rtol=0)
    assert_close(some.relative_to(some).matrix, identity, atol=1e-5, rtol=0)
    points = torch.randn(20, 7, 3)
    assert_close(some.inv_do(some.do(points)), points, atol=1e-5, rtol=0)
    assert_close(some.inverse().do(points), some.inv_do(points), atol=1e-5, rtol=0)


def test_camera_points_lie_where_the_camera_looks():
    ahead = pose(x=1.0, yaw=math.pi / 2).do(torch.tensor([[0.0, 0.0, 2.0]]))
    assert_close(ahead, torch.tensor([[1.0, 2.0, 1.0]]))
    right_of = pose().do(torch.tensor([[1.0, 0.0, 0.0]]))
    assert_close(right_of, torch.tensor([[0.0, -1.0, 1.0]]))


def test_moves_follow_the_heading_then_turn():
    moved = pose(yaw=math.pi / 2).move(motion(forward=1.0, left=0.5, up=0.25, yaw=math.pi / 2))
    assert_close(moved.position, torch.tensor([-0.5, 1.0, 1.25]))
    assert abs(moved.yaw) == pytest.approx(math.pi, abs=1e-5)


def test_walking_keeps_the_height_however_the_camera_is_tilted():
    moved = pose(pitch=0.8).move(motion(forward=1.0))
    assert_close(moved.position, torch.tensor([1.0, 0.0, 1.0]))
    assert moved.pitch == pytest.approx(0.8, abs=1e-6)


def test_pitch_stays_within_its_bounds():
    assert pose().move(motion(pitch=3.0)).pitch == pytest.approx(MAX_PITCH, abs=1e-5)
    assert pose().move(motion(pitch=-3.0)).pitch == pytest.approx(-MAX_PITCH, abs=1e-5)


def test_no_motion_changes_nothing(some):
    assert_close(some.move(torch.zeros(20, 5)).matrix, some.matrix, atol=1e-5, rtol=0)


def test_the_default_camera_sees_ninety_degrees():
    points = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [0.0, -1.0, 1.0]])
    image, depth = DEFAULT_INTRINSICS.project(points)
    assert_close(image, torch.tensor([[0.5, 0.5], [1.0, 0.5], [0.5, 0.0]]))
    assert_close(depth, torch.ones(3))


def test_what_is_behind_is_outside_the_image():
    image, _ = DEFAULT_INTRINSICS.project(torch.tensor([[0.0, 0.0, -1.0], [0.0, 0.0, 0.0]]))
    assert (image < 0).all()


@pytest.mark.parametrize("intrinsics", [DEFAULT_INTRINSICS, Intrinsics(0.7, 1.1, 0.4, 0.6)])
def test_unproject_undoes_project_at_pixel_centres(intrinsics):
    depth = torch.rand(2, 6, 8) + 0.5
    image, far = intrinsics.project(intrinsics.unproject(depth))
    assert_close(far, depth)
    columns = ((torch.arange(8) + 0.5) / 8).expand(2, 6, 8)
    rows = ((torch.arange(6) + 0.5) / 6)[:, None].expand(2, 6, 8)
    assert_close(image, torch.stack([columns, rows], -1))


def test_aspect_keeps_pixels_square():
    wide = Intrinsics.from_fov(90.0, aspect=2.0)
    rays = wide.rays(8, 16)
    assert_close(rays[0, 1, 0] - rays[0, 0, 0], rays[1, 0, 1] - rays[0, 0, 1])


def test_normals_face_the_camera_and_stand_on_the_surface():
    flat = DEFAULT_INTRINSICS.normals(torch.full((8, 8), 2.0))
    assert_close(flat, torch.tensor([0.0, 0.0, -1.0]).expand(8, 8, 3), atol=1e-5, rtol=0)
    rays = DEFAULT_INTRINSICS.rays(8, 8)
    slanted = 2.0 / (1.0 + 0.5 * rays[..., 0])  # the plane z + x / 2 = 2
    expected = -torch.tensor([0.5, 0.0, 1.0]) / math.sqrt(1.25)
    normal = DEFAULT_INTRINSICS.normals(slanted)
    assert_close(normal, expected.expand(8, 8, 3), atol=1e-4, rtol=0)


def test_edges_do_not_tilt_normals():
    depth = torch.full((8, 8), 3.0)
    depth[:, :4] = 1.0
    normal = DEFAULT_INTRINSICS.normals(depth)
    assert_close(normal, torch.tensor([0.0, 0.0, -1.0]).expand(8, 8, 3), atol=1e-4, rtol=0)


def test_frustum_points_are_seen():
    camera = pose(x=2.0, yaw=1.0)
    points = frustum_points(DEFAULT_INTRINSICS, camera, counts=4, near=0.5, far=2.0)
    assert points.shape == (64, 3)
    image, depth = DEFAULT_INTRINSICS.project(camera.inv_do(points))
    assert ((image > 0) & (image < 1)).all() and (depth > 0.5).all() and (depth < 2.0).all()


def test_the_ground_plan_agrees_with_the_camera(some):
    viewer, points = planar(some.matrix.numpy()), np.ones((20, 3))
    forward, left = planar_from(viewer, points).T
    level = Pose.create(some.position, some.yaw)
    local = level.inv_do(torch.ones(20, 1, 3))[:, 0]
    np.testing.assert_allclose(forward, local[:, 2], atol=1e-5)
    np.testing.assert_allclose(left, -local[:, 0], atol=1e-5)


def test_geometry_stays_exact_where_networks_do_not():
    @full_precision
    def product(x: torch.Tensor) -> torch.Tensor:
        return x @ x

    x = torch.rand(4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert product(x).dtype == torch.float32
        assert_close(product(x), torch.mm(x.double(), x.double()).float(), atol=1e-6, rtol=0)
