from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mgenv.camera import Pose
from mgenv.demo.drawing import HEIGHT, WIDTH, draw_comparison, draw_walk
from mgenv.demo.walk import TURNS, leave_and_return, likeness, path_length, walk_length, wander
from tests.fake_world import FakeWorld, draw


@pytest.fixture(scope="module")
def world():
    return FakeWorld(1)


@pytest.fixture(scope="module")
def walk(world):
    return leave_and_return(world, world_id=5, steps_out=10)


def test_the_walk_ends_where_it_began(walk):
    assert len(walk) == walk_length(10) == 1 + 2 * (10 + TURNS)
    np.testing.assert_allclose(walk[-1].pose, walk[0].pose, atol=1e-5)
    farthest = max(np.linalg.norm(step.pose[:2, 3] - walk[0].pose[:2, 3]) for step in walk)
    assert farthest > 1.0
    assert path_length(walk) > 2 * farthest - 1e-3


def test_the_way_back_faces_the_other_way(walk):
    out, back = Pose(torch.as_tensor(walk[5].pose)), Pose(torch.as_tensor(walk[15 + TURNS].pose))
    assert torch.allclose(out.position, back.position, atol=1e-5)
    assert math.cos(float(out.yaw - back.yaw)) == pytest.approx(-1, abs=1e-4)


def test_no_step_is_longer_or_turns_further_than_a_robot_can(walk):
    poses = Pose(torch.as_tensor(np.stack([step.pose for step in walk])))
    moved = poses.position.diff(dim=0).norm(dim=-1)
    turned = torch.cos(poses.yaw.diff())
    assert moved.max() < 0.25
    assert turned.min() > math.cos(math.radians(15.5))


def test_memory_is_empty_at_first_and_knows_the_way_back(walk):
    assert len(walk[1].retrieved) == 1, "only the first frame"
    assert len(walk[-1].retrieved) > 0
    assert walk[-1].coverage > walk[0].coverage


def test_a_repeated_walk_sees_the_same_from_the_same_places(world, walk):
    again = leave_and_return(world, 5, 10, path=walk)
    for one, other in zip(walk, again, strict=True):
        np.testing.assert_array_equal(one.pose, other.pose)
        np.testing.assert_array_equal(one.rgb, other.rgb)


def test_a_forgetful_walk_retrieves_nothing_old(world, walk):
    again = leave_and_return(world, 5, 10, forget=True, path=walk)
    assert all(len(step.retrieved) == 0 for step in again[1:])


def test_wandering_keeps_clear_of_walls():
    pose = Pose.create(torch.tensor([2.4, 0.0, 1.0]), torch.tensor(0.0)).matrix.numpy()[None]
    motion = wander(draw(pose, np.array([0]), 32)[1][0])
    assert motion[0] == 0 and abs(motion[3]) > 0.1, "turns before the wall"
    pose = Pose.create(torch.tensor([-2.0, 0.0, 1.0]), torch.tensor(0.0)).matrix.numpy()[None]
    motion = wander(draw(pose, np.array([0]), 32)[1][0])
    assert motion[0] > 0, "goes where there is room"


def test_likeness_is_psnr_and_sharpness():
    picture = np.random.default_rng(0).integers(0, 255, (16, 16, 3)).astype(np.uint8)
    assert likeness(picture, picture).psnr == math.inf
    assert likeness(picture, picture).sharpness == pytest.approx(1)
    off_by_ten = picture.clip(0, 245) + np.uint8(10)
    assert likeness(picture.clip(0, 245), off_by_ten).psnr == pytest.approx(28.13, abs=0.01)
    grey = np.full_like(picture, picture.mean())
    assert likeness(picture, grey).sharpness == 0


def test_pictures_of_a_walk_are_of_one_even_size_and_move(walk):
    film = draw_walk(walk, "tiny")
    assert len(film) == len(walk)
    assert {frame.shape for frame in film} == {(HEIGHT, WIDTH, 3)}
    assert HEIGHT % 2 == WIDTH % 2 == 0
    assert all((one != other).any() for one, other in zip(film, film[1:], strict=False))
    closing = draw_comparison({"a": walk[0].rgb, "b": walk[5].rgb})
    assert closing.shape == (HEIGHT, WIDTH, 3)
