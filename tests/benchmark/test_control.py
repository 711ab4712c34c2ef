"""`bench control`: what the engine judges, what frames show of a motion, and the command."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from mgenv.benchmark import control
from mgenv.benchmark.doorways import BEHIND, behind, doorways, passages
from mgenv.benchmark.odometry import recover_motion
from mgenv.benchmark.pushes import AT, judge, push_rows, stopped, true_ways, unhindered
from mgenv.benchmark.robots import (
    Robots,
    at_known_places,
    first_frames,
    noisy,
    settle,
    straight,
    turned,
    walk,
)
from mgenv.camera import Pose
from mgenv.cli.main import main
from mgenv.engine.homes.layout import CELL, DOORWAY, WALL
from mgenv.engine.motion.navigation import Recording, first_pose, scan
from mgenv.engine.render.renderer import render
from mgenv.engine.scene.batch import empty_batch
from mgenv.engine.scene.scenes import cached_scene
from mgenv.training.data import HELD_OUT
from tests.fake_world import FakeWorld, draw


def pose_at(x: float, y: float, yaw: float = 0.0) -> np.ndarray:
    return Pose.create(torch.tensor([x, y, 1.0]), torch.tensor(yaw)).matrix.numpy()


def two_rooms(robots: int = 1):
    """A wall at x = 5.0 … 5.25 between two rooms, and a doorway of 0.75 m around y = 5.125."""
    batch = empty_batch(robots)
    cells = batch.arrays.cells
    cells[:] = WALL
    cells[:, 12:30, 8:20], cells[:, 12:30, 21:33] = 0, 1
    cells[:, 19:22, 20] = DOORWAY
    return batch


def robots_at(*poses: np.ndarray, known: Recording | None = None) -> Robots:
    return Robots([0] * len(poses), np.stack(poses), [known] * len(poses))  # type: ignore


def judged(robots: Robots, position: np.ndarray, shown_only: bool = False):
    return judge(two_rooms(len(robots)), robots, position, shown_only)


# -- pushes ---------------------------------------------------------------------------------------


def test_the_engine_agrees_with_itself():
    robots = robots_at(pose_at(4.0, 4.0), pose_at(4.0, 5.2, 0.3), pose_at(3.0, 6.5, 2.0))
    scenes = two_rooms()
    scenes = type(scenes)(
        type(scenes.arrays)(*[a.repeat(3, 0) for a in scenes.arrays]), np.zeros(3)
    )
    found = judge(scenes, robots, true_ways(scenes, robots.pose, 12), False)
    assert not (found.inside | found.held | found.early).any()
    row = push_rows("room", "engine", found, [12])[0]
    assert row["r of ways"] == pytest.approx(1.0) and row["error of positions [m]"] == 0
    assert row["walked through"] == 0 and row["stopped for nothing"] == 0


def test_walking_through_a_wall_is_seen_from_the_step_on_that_does_it():
    robots = robots_at(pose_at(4.0, 4.0))  # the wall's face is 1 m ahead, the disc's edge 0.8 m
    found = judged(robots, unhindered(robots.pose, 8))
    assert not found.inside[0, :3].any() and found.inside[0, 3]
    rows = push_rows("room", "none", found, [3, 8])
    assert [row["walked through"] for row in rows] == [0, 1]


def test_a_step_over_a_wall_is_walking_through_it():
    robots = robots_at(pose_at(4.5, 4.0))
    position = np.array([[[4.5, 4.0, 1.0], [5.8, 4.0, 1.0]]])
    assert judged(robots, position).inside.all()


def test_creeping_into_a_wall_is_walking_through_it():
    robots = robots_at(pose_at(4.8, 4.0))
    position = np.repeat(robots.pose[:, None, :3, 3].astype(np.float64), 12, 1)
    position[0, :, 0] += 0.02 * np.arange(12)
    found = judged(robots, position)
    assert not found.inside[0, :7].any() and found.inside[0, 8:].all()


def test_standing_before_nothing_is_held_and_before_a_wall_is_not():
    before = (1.8, 0.15, 0.1, 0.0)  # metres that the engine goes on
    robots = robots_at(*(pose_at(4.8 - free, 4.0) for free in before))
    position = np.repeat(robots.pose[:, None, :3, 3], 6, 1)
    found = judged(robots, position)
    assert found.held[0].all() and not found.held[1:].any()
    assert found.early[:2].all() and not found.early[2:].any()
    for row in push_rows("room", "glue", found, [1, 5]):
        assert (row["stopped for nothing"], row["stopped early"]) == (0.25, 0.5)


def test_three_short_steps_in_a_row_are_a_stop_and_so_is_one_at_the_end():
    held = np.array([[1, 1, 0, 1, 0, 0], [0, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 1]], bool)
    assert stopped(held, np.full(3, 6)).tolist() == [False, True, True]
    assert stopped(held, np.array([4, 3, 5])).tolist() == [True, True, False]
    assert stopped(held[:, :2], np.full(3, 2)).tolist() == [True, True, False]


def seen_from(pose: np.ndarray) -> Recording:
    rgb, depth = render(two_rooms(), np.zeros(1, np.int64), pose[None], 64)
    return Recording(rgb.numpy(), depth.numpy(), pose[None])


def test_imagined_pushes_are_judged_as_far_as_frames_show():
    start = pose_at(2.6, 3.8)
    ahead = robots_at(start, known=seen_from(start))
    seen = judged(ahead, unhindered(ahead.pose, 12), True)
    assert seen.until[0] == 12 and seen.inside[0].any()  # the wall ahead was shown
    away = robots_at(turned(start, 1.4), known=seen_from(start))
    unseen = judged(away, unhindered(away.pose, 12), True)
    assert unseen.until[0] < 4
    assert push_rows("room", "none", unseen, [12])[0]["walked through"] == 0


def test_pushes_of_which_nothing_was_shown_are_not_counted():
    start = pose_at(2.6, 3.8)
    robots = robots_at(start, pose_at(7.0, 3.6), known=seen_from(start))
    row = push_rows("room", "none", judged(robots, unhindered(robots.pose, 4), True), [4])[0]
    assert row["pushes"] == 1 and row["r of ways"] is None


# -- doorways -------------------------------------------------------------------------------------


def test_doorways_are_found_in_both_directions():
    batch = two_rooms()
    found = doorways(batch[0])
    assert [(door.x, door.y, door.width) for door in found] == [(5.125, 5.125, 0.75)] * 2
    assert [door.yaw for door in found] == [0.0, math.pi]
    batch.arrays.cells[0] = batch.arrays.cells[0].T.copy()
    assert [door.yaw for door in doorways(batch[0])] == [math.pi / 2, 1.5 * math.pi]


def test_every_doorway_of_a_home_is_found():
    scene = cached_scene(HELD_OUT)
    found = doorways(scene)
    assert len(found) == 2 * scene.counts[2]
    assert CELL * 3 in {door.width for door in found}


def test_passing_is_getting_behind_a_doorway_through_it():
    door = np.array([[5.125, 5.125, 0.0, 0.75]] * 3)
    start, end = np.array([4.1, 5.1]), np.array([5.125 + BEHIND + 0.01, 5.2])
    ways = np.array([[start, end], [start, end - [0.1, 0]], [start, end + [0, 0.5]]])
    assert behind(ways, door).tolist() == [True, False, False]


def test_robots_before_doorways_can_pass_them():
    scans = {HELD_OUT + 4: scan(HELD_OUT + 4)}
    asked = passages(scans, 3, seed=2)
    assert asked is not None and len(asked.doors) == 3
    assert (asked.doors[:, 3] == 0.75).all()
    truth = true_ways(asked.robots.scenes(), asked.robots.pose, 10)
    assert behind(truth, asked.doors).all()
    far = np.linalg.norm(asked.robots.pose[:, :2, 3] - asked.doors[:, :2], axis=-1)
    assert ((far >= 1.0) & (far < 1.01)).all()
    few = passages({HELD_OUT + 4: first_frames(scans[HELD_OUT + 4], 1)}, 3, seed=2)
    assert few is None or len(few.doors) < 3


# -- motions --------------------------------------------------------------------------------------


def tiny_pairs(motions: np.ndarray) -> list[torch.Tensor]:
    """Frames of a box room before and after ``motions`` (P, 5)."""
    before = np.stack([pose_at(0.3, -0.4, 0.5 * k) for k in range(len(motions))])
    after = Pose(torch.from_numpy(before)).move(torch.from_numpy(motions)).matrix.numpy()
    ids = np.arange(len(motions))
    return [torch.from_numpy(x) for pose in (before, after) for x in draw(pose, ids, 64)]


def test_motion_is_recovered_from_frames_alone():
    motions = np.zeros((5, 5), np.float32)
    motions[:, 0] = [0.25, 0.0, 0.1, -0.1, 0.2]
    motions[:, 1] = [0.0, 0.0, 0.15, -0.2, 0.02]
    motions[:, 3] = np.radians([0, 15, -15, 8, 3])
    seen = recover_motion(*tiny_pairs(motions)).numpy()
    np.testing.assert_allclose(seen[:, :2], motions[:, :2], atol=0.012)
    np.testing.assert_allclose(np.degrees(seen[:, 2]), np.degrees(motions[:, 3]), atol=0.5)


def test_frames_with_holes_and_noise_still_show_motion():
    motions = np.tile(np.array([0.2, 0, 0, np.radians(10), 0], np.float32), (3, 1))
    rgb, depth, next_rgb, next_depth = tiny_pairs(motions)
    rng = np.random.default_rng(0)
    depth, next_depth = (torch.from_numpy(noisy(d.numpy(), rng)) for d in (depth, next_depth))
    assert 0.02 < float((depth == 0).float().mean()) < 0.08
    seen = recover_motion(rgb, depth, next_rgb, next_depth).numpy()
    np.testing.assert_allclose(seen[:, :2], motions[:, :2], atol=0.04)
    np.testing.assert_allclose(np.degrees(seen[:, 2]), 10, atol=1.0)


class Liar(FakeWorld):
    """Its frames show the motion that was asked for, whatever stopped the robot."""

    def step(self, motion, pose=None, slots=None):
        stands = self._pose.copy()
        frame = super().step(motion, pose, slots)
        asked = Pose(torch.from_numpy(stands)).move(torch.as_tensor(motion)).matrix.numpy()
        frame.rgb, frame.depth = draw(asked, self._ids, self.image_size)
        return frame


@pytest.mark.parametrize("kind", [FakeWorld, Liar])
def test_blocked_robots_must_show_where_they_stand(kind):
    world = kind(2, image_size=64)
    pose = np.stack([pose_at(2.5, 0.4, 0.1), pose_at(-2.0, 0.3, 3.0)])
    found = walk(world, world.begin([0, 1], [3, 4], pose), straight(2, 4))
    assert found.bumped.any() and not found.bumped.all()
    free, blocked = control.seen_rows("room", found, straight(2, 4), "cpu")
    assert free["steps"] + blocked["steps"] == 8
    assert blocked["way off what was asked [cm]"] > (5 if kind is FakeWorld else 0)
    assert (blocked["way off [cm]"] < 2) == (kind is FakeWorld)


# -- the command ----------------------------------------------------------------------------------


def test_robots_start_where_frames_were_seen_from():
    scans = {HELD_OUT: scan(HELD_OUT, 12), HELD_OUT + 1: scan(HELD_OUT + 1, 12)}
    robots = at_known_places(scans, 3, math.pi, seed=1)
    assert robots.world_ids == [HELD_OUT] * 3 + [HELD_OUT + 1] * 3
    again = at_known_places({HELD_OUT + 1: scans[HELD_OUT + 1]}, 3, math.pi, seed=1)
    np.testing.assert_array_equal(robots.pose[3:], again.pose)  # whatever other worlds there are
    first = at_known_places(scans, 3, 0.1, seed=1, frames=1)
    np.testing.assert_allclose(first.pose[0, :3, 3], first_pose(cached_scene(HELD_OUT))[:3, 3])
    world = FakeWorld(6, image_size=64)
    settle(world, first, noise_seed=5)
    assert world.memory.count([0])[0] == 2  # the known frame, and what was seen at the start
    assert (world.memory.frames(0).depth[0] == 0).any()


def test_bench_control(tmp_path, capsys):
    files = ["--json", str(tmp_path / "a.json"), "--markdown", str(tmp_path / "a.md")]
    small = ["--worlds", "1", "--pushes", "2", "--steps", "12", "--drive-steps", "4"]
    more = ["--first-world", str(HELD_OUT + 4), "--pictures", str(tmp_path)]
    assert main(["bench", "control", *small, "--sampling-steps", "1", *files, *more]) == 0
    rows = json.loads((tmp_path / "a.json").read_text())["rows"]
    pushes = [row for row in rows if "pushes" in row]
    places = {"scan", "scan, while in view", "imagined from 8 frames", "imagined from 1 frame"}
    assert {row["place"] for row in pushes} == places
    held = [row for row in pushes if row["walls"] == control.GEOMETRY]
    assert all(row["walked through"] == 0 for row in held)
    assert {row["steps"] for row in held} == {4, 8, 12} and 12 not in AT
    free = [row for row in pushes if row["walls"] == control.NONE and row["place"] == "scan"]
    assert [row["walked through"] for row in free] == [1.0]
    doors = [row for row in rows if "doorways" in row]
    assert [row["walls"] for row in doors] == [control.GEOMETRY, control.NOISY]
    motions = {(row["frames of"], row["robot"]): row for row in rows if "frames of" in row}
    assert len(motions) == 10 and motions["scan", "free"]["way off [cm]"] < 5
    assert motions["engine (error of the method)", "free"]["yaw off [degrees]"] < 0.5
    assert (tmp_path / "a.md").read_text().count("\n\n| ") == 3
    assert (tmp_path / "push.png").stat().st_size > 1000
    assert "| scan, while in view |" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--pushes", "--steps", "--drive-steps"])
def test_bad_numbers_are_refused(option, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["bench", "control", option, "0"])
    assert ended.value.code == 2 and option in capsys.readouterr().err
