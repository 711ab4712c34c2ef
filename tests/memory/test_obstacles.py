"""Remembered surfaces stop robots as walls and objects do, in rooms made for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mgenv.camera import Pose
from mgenv.engine.render.renderer import render
from mgenv.engine.scene.baking import ROBOT_RADIUS, overlap
from mgenv.engine.scene.shapes import CYLINDER
from mgenv.memory import MemoryBank
from mgenv.memory.obstacles import allowed_motion
from tests.engine.rooms import HIGH, LOW, box_room, level_pose

SIZE = 64
SPOTS = ((4.6, 4.6), (4.6, 7.4), (7.4, 4.6), (7.4, 7.4), (5.0, 6.0), (7.2, 6.0))
"""Where cameras stood that saw the rooms."""

DOOR = ((6.1, 4.8, 1.2, 0.1, 0.8, 1.2), (6.1, 7.2, 1.2, 0.1, 0.8, 1.2))
"""A wall across the room at x = 6.0 … 6.2 with an opening of 0.8 m at y = 5.6 … 6.4."""


def remembered(batch, noise: float = 0.0, holes: float = 0.0, observed=True, slots: int = 1):
    """A memory of a room, seen from all spots all around; depth with errors and holes of 0 m."""
    poses = [level_pose(x, y, yaw)[0] for x, y in SPOTS for yaw in np.arange(8) * np.pi / 4]
    pose = np.stack(poses)
    rgb, depth = render(batch, np.zeros(len(pose), np.int64), pose, image_size=SIZE)
    generator = torch.Generator().manual_seed(0)
    depth = depth * (1 + noise * torch.randn(depth.shape, generator=generator))
    depth = depth * (torch.rand(depth.shape, generator=generator) >= holes)
    bank = MemoryBank(slots, SIZE)
    bank.enter(range(slots), [0] * slots)
    for slot in range(slots):
        bank.add([slot] * len(pose), rgb, depth, pose, observed)
    return bank


def push(bank, position, motion, steps: int = 1, yaw: float = 0.0):
    """Positions (steps + 1, 3) of a robot that asks for one motion again and again, and bumps."""
    at, bumps, asked = [np.array(position, float)], [], torch.zeros(1, 5)
    asked[0, : len(motion)] = torch.tensor(motion)
    nothing = torch.zeros(1, SIZE, SIZE), torch.zeros(1, dtype=torch.bool)
    pose = torch.from_numpy(level_pose(*position[:2], yaw, position[2]))
    for _ in range(steps):
        moved, bumped = allowed_motion(bank, [0], pose, asked, nothing)
        pose = Pose(pose).move(moved).matrix
        at.append(pose[0, :3, 3].double().numpy())
        bumps.append(bool(bumped[0]))
    return np.stack(at), bumps


@pytest.fixture(scope="module")
def empty_room():
    return remembered(box_room())


def test_nothing_in_the_way_is_nothing_in_the_way(empty_room):
    moved, bumped = allowed_motion(
        empty_room, [0], torch.from_numpy(level_pose(6.0, 6.0, 0.3)),
        torch.tensor([[0.2, -0.1, 0.0, 0.1, 0.0]]),
        (torch.zeros(1, SIZE, SIZE), torch.zeros(1, dtype=torch.bool)),
    )  # fmt: skip
    assert moved.tolist() == torch.tensor([[0.2, -0.1, 0.0, 0.1, 0.0]]).tolist()
    assert not bumped[0]


@pytest.mark.parametrize("noise, holes", [(0.0, 0.0), (0.02, 0.1)])
@pytest.mark.parametrize("observed", [True, False])
def test_a_wall_stops_a_body_a_radius_before_it(noise, holes, observed):
    bank = remembered(box_room(), noise, holes, observed)
    at, bumps = push(bank, (6.5, 6.0, 1.0), (0.25,), steps=12)
    assert at[-1, 0] == pytest.approx(HIGH - ROBOT_RADIUS, abs=0.1 if noise else 0.04)
    assert bumps[-1] and not bumps[0]


def test_a_body_slides_along_a_wall(empty_room):
    at, _ = push(empty_room, (7.6, 5.0, 1.0), (0.2, 0.15), steps=8)
    assert at[-1, 1] > 5.9 and at[:, 0].max() < HIGH - ROBOT_RADIUS + 0.04


def test_a_corner_holds_a_body(empty_room):
    at, _ = push(empty_room, (7.2, 7.2, 1.0), (0.2, 0.2), steps=12)
    assert (at[:, :2] < HIGH - ROBOT_RADIUS + 0.04).all() and (at[-1, :2] > HIGH - 0.35).all()


def test_a_long_motion_ends_at_a_wall(empty_room):
    at, bumps = push(empty_room, (5.0, 6.0, 1.0), (9.0,))
    assert at[-1, 0] == pytest.approx(HIGH - ROBOT_RADIUS, abs=0.05) and bumps == [True]
    at, bumps = push(empty_room, (5.0, 6.0, 1.0), (1e6,))
    assert at[-1, 0] == pytest.approx(HIGH - ROBOT_RADIUS, abs=0.05) and bumps == [True]


@pytest.mark.parametrize("noise, holes", [(0.0, 0.0), (0.02, 0.1)])
@pytest.mark.parametrize("offset", [-0.1, 0.0, 0.1])
def test_a_doorway_lets_a_body_through(noise, holes, offset):
    at, _ = push(remembered(box_room(*DOOR), noise, holes), (5.2, 6.0 + offset, 1.0), (0.25,), 10)
    assert at[-1, 0] > 7.0


@pytest.mark.parametrize("noise, holes", [(0.0, 0.0), (0.02, 0.1)])
def test_the_wall_beside_a_doorway_does_not(noise, holes):
    at, _ = push(remembered(box_room(*DOOR), noise, holes), (5.2, 5.0, 1.0), (0.25,), 12)
    assert at[-1, 0] < 6.0


def test_a_body_does_not_squeeze_through_a_narrow_gap():
    walls = (6.1, 5.0, 1.2, 0.1, 0.85, 1.2), (6.1, 7.0, 1.2, 0.1, 0.85, 1.2)  # 0.3 m wide
    at, _ = push(remembered(box_room(*walls)), (5.2, 6.0, 1.0), (0.25,), 12)
    assert at[-1, 0] < 6.0


def test_a_body_slides_around_a_pillar():
    bank = remembered(box_room((6.2, 6.05, 1.0, 0.15, 0.15, 1.0), shape=CYLINDER))
    at, _ = push(bank, (5.4, 6.0, 1.0), (0.2,), steps=14)
    assert at[-1, 0] > 6.7
    gaps = np.hypot(at[:, 0] - 6.2, at[:, 1] - 6.05)
    assert gaps.min() > 0.15 + ROBOT_RADIUS - 0.05


def test_a_robot_inside_something_may_only_leave(empty_room):
    inside = (HIGH - 0.1, 6.0, 1.0)
    at, bumps = push(empty_room, inside, (0.25,), steps=4)
    assert at[-1, 0] <= inside[0] + 1e-6 and all(bumps)
    at, _ = push(empty_room, inside, (-0.25,), steps=2)
    assert inside[0] - 0.6 < at[-1, 0] < inside[0] - 0.45


def test_penetration_never_grows(empty_room):
    scene, aside, rng = box_room()[0], np.empty(2), np.random.default_rng(0)
    for _ in range(12):
        position, yaw = (*rng.uniform(LOW + 0.1, HIGH - 0.1, 2), 1.0), rng.uniform(-3, 3)
        at, _ = push(empty_room, position, tuple(rng.uniform(-0.25, 0.25, 2)), 6, yaw)
        depths = [
            overlap(scene.cells, scene.ground, scene.objects, 0, *p, ROBOT_RADIUS, aside)
            for p in at
        ]
        assert max(depths) <= max(depths[0], 0.0) + 0.04


def test_only_things_at_the_bodys_height_stop_it():
    table = remembered(box_room((6.2, 6.0, 0.7, 0.3, 0.6, 0.05)))
    assert push(table, (5.4, 6.0, 1.0), (0.25,), 8)[0][-1, 0] < 5.8
    assert push(table, (5.4, 6.0, 1.9), (0.25,), 8)[0][-1, 0] == pytest.approx(7.4, abs=0.01)
    rug = remembered(box_room((6.2, 6.0, 0.01, 0.5, 0.6, 0.01)))
    assert push(rug, (5.4, 6.0, 1.0), (0.25,), 8)[0][-1, 0] == pytest.approx(7.4, abs=0.01)


def test_a_drone_does_not_sink_into_a_table():
    table = remembered(box_room((6.2, 6.0, 0.4, 0.5, 0.6, 0.4)))
    at, bumps = push(table, (6.2, 6.0, 2.0), (0.0, 0.0, -0.2), steps=8)
    assert 1.65 < at[-1, 2] < 1.95 and bumps[-1]


def test_what_other_frames_see_through_is_not_there(empty_room):
    """One frame with a wall that never was, in a room that many saw empty."""
    bank = remembered(box_room())
    pose = level_pose(5.0, 6.0, 0.0)
    bank.add([0], np.zeros((1, SIZE, SIZE, 3), np.uint8), np.full((1, SIZE, SIZE), 1.0), pose, True)
    at, bumps = push(bank, (5.0, 6.0, 1.0), (0.25,), steps=6)
    assert at[-1, 0] == pytest.approx(6.5) and not any(bumps)


def test_the_newest_frame_stops_where_memory_knows_nothing():
    bank = MemoryBank(1, SIZE)
    bank.enter([0], [0])
    asked = torch.tensor([[0.25, 0.0, 0.0, 0.0, 0.0]])
    pose = torch.from_numpy(level_pose(0.0, 0.0, 0.0))
    wall = torch.full((1, SIZE, SIZE), 0.3)
    seen, unseen = torch.ones(1, dtype=torch.bool), torch.zeros(1, dtype=torch.bool)
    moved, bumped = allowed_motion(bank, [0], pose, asked, (wall, seen))
    assert moved[0, 0] == pytest.approx(0.1, abs=0.05) and bumped[0]
    moved, bumped = allowed_motion(bank, [0], pose, asked, (wall, unseen))
    assert moved[0, 0] == 0.25 and not bumped[0]


def test_a_slot_does_not_depend_on_its_neighbours():
    bank = remembered(box_room(*DOOR), slots=3)
    places = enumerate((5.6, 5.8, 7.7))
    poses = torch.from_numpy(
        np.concatenate([level_pose(x, 5.0 + 0.3 * n, 0.1 * n) for n, x in places])
    )
    asked = torch.tensor([[0.25, 0.1, 0.0, 0.0, 0.0]]).repeat(3, 1)
    asked[1, 0] = 1.0  # a long one takes several strides
    newest = torch.zeros(3, SIZE, SIZE), torch.zeros(3, dtype=torch.bool)
    together = allowed_motion(bank, range(3), poses, asked, newest)
    for n in range(3):
        part = slice(n, n + 1)
        own = newest[0][part], newest[1][part]
        alone = allowed_motion(bank, [n], poses[part], asked[part], own)
        assert torch.equal(alone[0], together[0][part]) and torch.equal(alone[1], together[1][part])


_CHILD = """
import sys
import numpy as np
from mgenv.memory import obstacles_cuda as kernels
data = dict(np.load(sys.argv[1]))
points, pool_pose, observed, table, pose, lens, rows, depth, source_pose, worth, way = (
    data[n] for n in
    "points pool_pose observed table pose lens rows depth source_pose worth way".split()
)
n = len(way)
scores = np.empty(table.shape, np.float32)
kernels.score[1, table.size](points, pool_pose, observed, table, pose, lens, scores)
bands = np.empty((n, 3), np.float32)
keys = np.zeros((n, kernels.SIDE**2 * kernels.LAYERS), np.int32)
columns = np.empty((n, kernels.SIDE**2), np.int64)
obstacles = np.zeros((n, kernels.MAX_OBSTACLES, kernels.OBSTACLE_SIZE), np.float32)
reached, bumped = np.empty((n, 3)), np.empty(n, np.bool_)
cells, ground = np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.float32)
kernels.find_bands[1, n](points, rows, pose, way, bands)
kernels.flag[-(-depth.size // 64), 64](depth, source_pose, worth, pose, bands, lens, keys)
kernels.judge[-(-columns.size // 64), 64](
    keys, depth, source_pose, worth, pose, bands, lens, columns
)
kernels.sweep_ways[1, n](cells, ground, columns, keys, pose, bands, way, obstacles, reached, bumped)
np.savez(sys.argv[2], scores=scores, reached=reached, bumped=bumped)
"""


def test_the_kernels_sweep_as_the_loops_do(tmp_path: Path):
    """The kernels' own logic, in Numba's simulator."""
    from mgenv.memory import obstacles_cpu as loops

    bank = remembered(box_room(*DOOR))
    pose = torch.from_numpy(level_pose(5.7, 5.2, 0.2))
    way, lens = torch.tensor([[0.2, 0.1, 0.0]], dtype=torch.float64), torch.full((4,), 0.5)
    points, _, observed, _ = bank.geometry()
    table = bank.table([0])[:, ::8]
    rows, _ = loops.choose(points, bank.poses(), observed, table, pose, lens, 2)
    depth, source_pose = bank.depths(rows)[:, :, ::4, ::4].contiguous(), bank.poses()[rows]
    worth = torch.ones(rows.shape)
    job = (points, rows, depth, source_pose, worth, pose, way, lens)
    reached, bumped = loops.sweep_slots(*job)
    names = "points rows depth source_pose worth pose way lens".split()
    arrays = {name: part.numpy() for name, part in zip(names, job, strict=True)}
    rest = {"pool_pose": bank.poses(), "observed": observed, "table": table}
    np.savez(tmp_path / "in.npz", **arrays, **{name: part.numpy() for name, part in rest.items()})
    simulated = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
    files = [str(tmp_path / "in.npz"), str(tmp_path / "out.npz")]
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", _CHILD, *files], env=simulated, cwd=root, check=True)
    result = np.load(files[1])
    assert bumped[0] and result["bumped"][0]
    assert 0.0 < np.abs(reached.numpy()).sum() < 0.29
    np.testing.assert_allclose(result["reached"], reached.numpy(), atol=1e-5)
    scores = result["scores"][0]
    best = np.argsort(-scores, kind="stable")[: (scores > 0).sum()]
    assert table[0, best].tolist() == rows[0, : len(best)].tolist()


@pytest.mark.gpu
def test_a_gpu_sweeps_as_a_cpu_does():
    bank, rng = remembered(box_room(*DOOR), 0.02, 0.1), np.random.default_rng(0)
    there = MemoryBank(1, SIZE, device="cuda")
    there.enter([0], [0])
    frames = bank.frames(0)
    there.add([0] * len(frames.rgb), frames.rgb, frames.depth, frames.pose, True)
    differences = []
    for _ in range(40):
        x, y = rng.uniform(LOW + 0.2, HIGH - 0.2, 2)
        pose = torch.from_numpy(level_pose(x, y, rng.uniform(-3, 3)))
        asked = torch.tensor([[0.25, 0.0, 0.0, 0.1, 0.0]])
        newest = torch.zeros(1, SIZE, SIZE), torch.zeros(1, dtype=torch.bool)
        moved, bumped = allowed_motion(bank, [0], pose, asked, newest)
        on_gpu = pose.cuda(), asked.cuda(), (newest[0].cuda(), newest[1].cuda())
        other, hit = allowed_motion(there, [0], *on_gpu)
        assert bool(hit[0]) == bool(bumped[0])
        differences.append(float((moved - other.cpu()).abs().max()))
    # A robot that starts inside a wall stands on a tie, which the last bit of depth decides.
    assert sorted(differences)[-2] < 1e-4 and max(differences) < 5e-3
