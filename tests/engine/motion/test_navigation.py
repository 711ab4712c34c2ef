"""Walls, walks and scans."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from mgenv.camera import CAMERA_HEIGHT, Pose
from mgenv.engine.homes.layout import CELL, GRID, ROOM_MASK
from mgenv.engine.motion import navigation
from mgenv.engine.motion.paths import UNREACHED, distances
from mgenv.engine.render.renderer import render
from mgenv.engine.scene.baking import ROBOT_RADIUS, overlap
from mgenv.engine.scene.batch import stack
from mgenv.engine.scene.scenes import make_scene, make_scenes
from mgenv.engine.scene.shapes import CYLINDER
from mgenv.errors import UnknownNameError
from tests.engine.rooms import HIGH, box_room

FRAMES = 96


@pytest.fixture(scope="module")
def homes():
    return make_scenes([*range(16)], workers=1)


@pytest.fixture(scope="module")
def walks(homes):
    return navigation.explore_many(homes, FRAMES, np.arange(16), workers=1)


def push(batch, position, displacement):
    reached, bumped = navigation.collide(batch, [0], [position], [displacement])
    return reached[0], bool(bumped[0])


def test_nothing_in_the_way_is_nothing_in_the_way():
    reached, bumped = push(box_room(), (6.0, 6.0, 1.0), (0.2, -0.1, 0.0))
    np.testing.assert_allclose(reached, (6.2, 5.9, 1.0))
    assert not bumped


def test_a_wall_stops_a_body_a_radius_before_it():
    reached, bumped = push(box_room(), (7.5, 6.0, 1.0), (1.0, 0.0, 0.0))
    assert reached[0] == pytest.approx(HIGH - ROBOT_RADIUS, abs=5e-3) and bumped


def test_a_body_slides_along_a_wall():
    reached, bumped = push(box_room(), (7.79, 6.0, 1.0), (0.2, 0.2, 0.0))
    assert reached[1] == pytest.approx(6.2, abs=0.02) and reached[0] < HIGH - 0.19 and bumped


def test_a_body_slides_around_a_pillar():
    batch = box_room((6.5, 6.05, 1.0, 0.2, 0.2, 1.0), shape=CYLINDER)
    position = (6.0, 6.0, 1.0)
    for _ in range(8):
        position, _ = push(batch, position, (0.2, 0.0, 0.0))
    assert position[0] > 6.9 and position[1] < 5.8


@pytest.mark.parametrize("gap", [0.1, 0.3, 0.38])
def test_a_body_does_not_squeeze_through_a_narrow_gap(gap):
    beside = 0.5 + gap / 2
    batch = box_room((6.5, 6 + beside, 1, 0.3, 0.5, 1), (6.5, 6 - beside, 1, 0.3, 0.5, 1))
    scene, aside, position = batch[0], np.empty(2), np.array([5.9, 6.02, 1.0])
    for _ in range(20):
        position, _ = push(batch, position, (0.25, 0.0, 0.0))
        assert (
            overlap(scene.cells, scene.ground, scene.objects, 2, *position, ROBOT_RADIUS, aside)
            < 2e-3
        )
    assert position[0] < 6.3


def test_only_solid_things_at_the_bodys_height_stop_it():
    table = (6.5, 6.0, 0.7, 0.3, 0.3, 0.05)
    assert push(box_room(table), (6.0, 6.0, 1.0), (0.3, 0.0, 0.0))[1]
    assert not push(box_room(table), (6.0, 6.0, 1.8), (0.3, 0.0, 0.0))[1]
    assert not push(box_room((6.5, 6.0, 0.01, 0.3, 0.3, 0.01)), (6.0, 6.0, 1.0), (0.3, 0, 0))[1]
    assert not push(box_room(table, solid=0.0), (6.0, 6.0, 1.0), (0.3, 0.0, 0.0))[1]


def test_height_stays_between_floor_and_ceiling():
    reached, bumped = push(box_room(), (6.0, 6.0, 1.0), (0.0, 0.0, 9.0))
    assert reached[2] == pytest.approx(2.3) and bumped
    reached, bumped = push(box_room(), (6.0, 6.0, 1.0), (0.0, 0.0, -9.0))
    assert reached[2] == pytest.approx(0.3) and bumped


def test_an_absurd_motion_ends_at_a_wall():
    reached, bumped = push(box_room(), (6.0, 6.0, 1.0), (1e12, 0.0, 0.0))
    assert reached[0] < HIGH and bumped


def test_no_walk_ends_inside_anything(homes, walks):
    aside = np.empty(2)
    for n in range(16):
        for pose in walks.pose[n]:
            x, y, z = pose[:3, 3].astype(float)
            count = int(homes.arrays.counts[n, 1])
            depth = overlap(
                homes[n].cells,
                homes[n].ground,
                homes[n].objects,
                count,
                x,
                y,
                z,
                ROBOT_RADIUS,
                aside,
            )
            assert depth < 0.01


def test_a_motion_that_met_nothing_leads_exactly_to_the_next_pose(walks):
    before = Pose(torch.from_numpy(walks.pose[:, :-1]))
    asked = before.move(torch.from_numpy(walks.motion[:, 1:])).matrix.numpy()
    error = np.abs(asked - walks.pose[:, 1:]).max((2, 3))
    free = ~walks.bumped[:, 1:]
    assert error[free].max() < 2.1e-3, "a touch of up to 2 mm is no bump"
    assert np.median(error[free]) < 1e-5
    assert error[~free].max() > 0.02, "nothing was shortened where something was met"
    turn = np.abs(asked[..., :3, :3] - walks.pose[:, 1:, :3, :3]).max()
    assert turn < 1e-4, "walls must not turn the robot"


def test_walks_keep_to_what_robots_can_do(walks):
    forward, left, up, yaw, pitch = np.moveaxis(walks.motion, -1, 0)
    assert np.abs(forward).max() <= 0.2501 and np.abs(left).max() <= 0.2501
    assert np.abs(yaw).max() <= math.radians(15.01)
    assert np.abs(up).max() <= 0.13 and np.abs(pitch).max() <= 0.13
    assert (walks.motion[:, 0] == 0).all() and not walks.bumped[:, 0].any()


def test_exploring_walks_see_the_place(homes, walks):
    """They get around, come back, look around, and seldom stand still."""
    position = walks.pose[:, :, :2, 3]
    spread = (position.max(1) - position.min(1)).max(-1)
    assert np.median(spread) > 3.0
    still = (np.abs(walks.motion[:, 1:]).max(-1) < 1e-6).mean()
    assert still < 0.1
    turned = np.abs(walks.motion[..., 3]).sum(1)
    assert np.median(turned) > 2 * math.pi


def test_some_walks_bump_and_most_steps_do_not():
    batch = make_scenes(range(64), workers=1)
    bumped = navigation.explore_many(batch, 128, np.arange(64)).bumped.mean(1)
    assert 0.01 < bumped.mean() < 0.15 and (bumped == 0).mean() > 0.1 and bumped.max() > 0.05


def explore(scene, seed: int) -> navigation.Walk:
    walks = navigation.explore_many(stack([scene]), FRAMES, [seed], workers=1)
    return navigation.Walk(*(array[0] for array in walks))


def test_walks_depend_on_their_seed_only(homes, walks):
    backwards = navigation.explore_many(
        homes, FRAMES, np.arange(16)[::-1], workers=2, scene_index=np.arange(16)[::-1]
    )
    one = explore(homes[3], 3)
    for name, array in walks._asdict().items():
        np.testing.assert_array_equal(array, getattr(backwards, name)[::-1], err_msg=name)
        np.testing.assert_array_equal(array[3], getattr(one, name), err_msg=name)
    assert not np.array_equal(one.pose, explore(homes[3], 4).pose)


@pytest.mark.parametrize(
    ("style", "used"),
    [("differential", (0, 3)), ("holonomic", (0, 1, 3)), ("fpv", (0, 3, 4)), ("drone", (0, 2, 3))],
)
def test_robot_styles_move_as_their_robots_do(homes, style, used):
    motion = navigation.explore_many(homes, FRAMES, np.arange(16), robot_style=style).motion
    moves = np.abs(motion).max((0, 1)) > 1e-3
    assert moves[list(used)].all()
    if style == "differential":
        assert not moves[[1, 2, 4]].any()
    if style in ("differential", "holonomic"):
        assert not moves[[2, 4]].any()


def test_unknown_styles_are_named():
    with pytest.raises(UnknownNameError, match="differential"):
        navigation.explore_many(stack([make_scene(0)]), 4, [0], robot_style="diferential")


def test_first_pose_is_always_the_same_and_looks_into_the_room(homes):
    poses = np.stack([navigation.first_pose(homes[s]) for s in range(16)])
    again = np.stack([navigation.first_pose(make_scene(s)) for s in range(16)])
    np.testing.assert_array_equal(poses, again)
    _, depth = render(homes, np.arange(16), poses, 16)
    assert (depth[:, 6:10, 4:12].mean((1, 2)) > 1.5).all()
    assert (poses[:, 2, 3] == CAMERA_HEIGHT).all() and np.abs(poses[:, 2, 2]).max() < 1e-6


def test_a_scan_is_level_always_the_same_and_shows_several_rooms():
    one, again = navigation.scan(5, 128, 16), navigation.scan(5, 128, 16)
    for array, other in zip(one, again, strict=True):
        np.testing.assert_array_equal(array, other)
    assert one.rgb.shape == (128, 16, 16, 3) and one.depth.shape == (128, 16, 16)
    assert (one.pose[:, 2, 3] == CAMERA_HEIGHT).all() and np.abs(one.pose[:, 2, 2]).max() < 1e-6
    scene = make_scene(5)
    x, y = (one.pose[:, :2, 3] / CELL).astype(int).T
    rooms, frames = np.unique(scene.cells[y, x] & ROOM_MASK, return_counts=True)
    assert len(rooms) >= 3 and (frames >= 8).sum() >= 3
    np.testing.assert_array_equal(one.pose[0], navigation.first_pose(scene))


def test_a_scan_turns_around_in_the_first_room():
    pose = navigation.scan(5, 20, 8).pose
    yaw = np.unwrap(np.arctan2(pose[:, 1, 2], pose[:, 0, 2]))
    assert yaw.max() - yaw.min() > 1.8 * math.pi


def test_distances_are_those_of_a_plain_search(homes):
    scene = homes[1]
    cells = [tuple(cell) for cell in np.argwhere(scene.free)]
    steps, queue = np.empty(GRID * GRID, np.int64), np.empty(GRID * GRID, np.int64)
    distances(scene.free, int(cells[0][0] * GRID + cells[0][1]), steps, queue)
    slow, frontier = {cells[0]: 0}, [cells[0]]
    while frontier:
        j, i = frontier.pop(0)
        for there in ((j, i + 1), (j, i - 1), (j + 1, i), (j - 1, i)):
            if scene.free[there] and there not in slow:
                slow[there] = slow[j, i] + 1
                frontier.append(there)
    assert {cell: steps[cell[0] * GRID + cell[1]] for cell in slow} == slow
    assert (steps == UNREACHED).sum() == GRID * GRID - len(slow)


def test_the_renderer_is_compiled_before_what_shares_its_functions():
    """Else it is slower, and rounds otherwise, wherever a walk comes first."""
    code = (
        "from mgenv.engine.motion import navigation, viewpoints; "
        "from mgenv.engine.render import renderer; "
        "from mgenv.engine.scene.scenes import make_scene; "
        "real = viewpoints.random_views; "
        "viewpoints.random_views = lambda *a: (print(len(renderer.render_frames.signatures)), "
        "real(*a)); "
        "navigation.first_pose(make_scene(3))"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(child.stdout) >= 1
