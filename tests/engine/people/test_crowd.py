"""Characters that walk about and make way."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mgenv.engine.estates.terrain import CLIMB, height_at
from mgenv.engine.homes.layout import CELL, GRID
from mgenv.engine.motion.navigation import explore_many
from mgenv.engine.people.crowd import Crowd, empty, place, stroll
from mgenv.engine.people.figures import CHOICES
from mgenv.engine.people.safe_sets import CLEAR, beat_of, is_safe, passable, safe_cells
from mgenv.engine.scene.scenes import make_scenes
from mgenv.engine.scene.shapes import CYLINDER
from tests.engine.people.one_character import choices_of

WORLDS, TICKS, PEOPLE = 20, 200, 4
FLAT = np.zeros((GRID, GRID), np.float32)


@pytest.fixture(scope="module")
def homes():
    """Free cells (W, 64, 64), cameras (W, T, 3) and ways (W, T, K, 4) in furnished homes."""
    batch = make_scenes(range(WORLDS))
    cameras = explore_many(batch, TICKS, np.arange(WORLDS)).pose[:, :, :3, 3]
    free = batch.arrays.free
    ways = [stroll(free[s], FLAT, cameras[s], _seeds(s)) for s in range(WORLDS)]
    return free, cameras, np.stack(ways)


def _seeds(world):
    return np.arange(PEOPLE) + 100 * world


def _hall(size=40):
    """Free cells of one empty hall."""
    free = np.zeros((GRID, GRID), np.uint8)
    free[4 : 4 + size, 4 : 4 + size] = 1
    return free


def _steps():
    """Floor heights with stairs in the west and a ledge too high to climb in the east."""
    ground = FLAT.copy()
    for step in range(4):
        ground[:, 16 + 2 * step :] += 0.15
    ground[:, 34:] += 1.0
    return ground


def _still(ticks=300, x=3.0, y=3.0):
    return np.tile(np.array([x, y, 1.0], np.float32), (ticks, 1))


def _wrapped(angle):
    return (angle + math.pi) % (2 * math.pi) - math.pi


def test_they_walk_on_free_cells_only(homes):
    free, _, ways = homes
    cells = np.floor(ways[..., :2] / CELL).astype(int)  # (W, T, K, 2)
    for s in range(WORLDS):
        assert free[s][cells[s, ..., 1], cells[s, ..., 0]].all(), s


def test_they_make_way_for_the_camera(homes):
    """Measured over 40 homes of 400 ticks: 0 % nearer than 0.5 m, 0.002 % nearer than 0.75 m."""
    _, cameras, ways = homes
    gaps = np.linalg.norm(ways[..., :2] - cameras[:, :, None, :2], axis=-1)  # (W, T, K)
    assert (gaps[:, 0] > 1.5).all(), "starts"
    assert (gaps < 0.5).mean() < 0.0002 and (gaps < 0.75).mean() < 0.001
    assert (gaps < 5.0).mean() > 0.5, "they are where the camera is"


def test_who_stands_in_the_way_of_a_fast_camera_steps_aside():
    """The camera runs up and down a corridor three cells wide with a niche."""
    free = np.zeros((GRID, GRID), np.uint8)
    free[30:33, 4:60] = 1
    free[33:39, 30:34] = 1
    run = np.concatenate([np.linspace(1.5, 14.5, 80), np.linspace(14.5, 1.5, 80)])
    camera = np.stack([run, np.full(160, 7.9), np.ones(160)], -1).astype(np.float32)
    ways = stroll(free, FLAT, camera, [1, 2])
    gaps = np.linalg.norm(ways[..., :2] - camera[:, None, :2], axis=-1)
    assert (gaps > 0.5).all()


def test_they_keep_apart(homes):
    _, _, ways = homes
    gaps = np.linalg.norm(ways[:, :, :, None, :2] - ways[:, :, None, :, :2], axis=-1)
    others = gaps[..., ~np.eye(PEOPLE, dtype=bool)]
    assert (others < 0.6).mean() < 0.01 and (others < 0.4).mean() < 0.002


def test_they_get_about(homes):
    _, _, ways = homes
    steps = np.linalg.norm(np.diff(ways[..., :2], axis=1), axis=-1)  # (W, T - 1, K)
    lengths = steps.sum(1) * 100 / TICKS
    assert lengths.mean() > 4.0 and np.quantile(lengths, 0.05) > 1.0, "metres in 100 ticks"
    assert steps.max() < 0.151, "nobody runs"
    spans = np.ptp(ways[..., :2], axis=1).max(-1)  # (W, K)
    assert np.median(spans) > 2.5


def test_they_turn_smoothly_and_look_where_they_go(homes):
    _, _, ways = homes
    turns = _wrapped(np.diff(ways[..., 2], axis=1))
    assert np.abs(turns).max() < 0.31
    motion = np.diff(ways[..., :2], axis=1)
    fast = np.linalg.norm(motion, axis=-1) > 0.02
    aside = np.abs(_wrapped(np.arctan2(motion[..., 1], motion[..., 0]) - ways[:, :-1, :, 2]))
    assert (aside[fast] > 0.8).mean() < 0.05


def test_strides_follow_the_way_and_end_on_both_feet(homes):
    _, _, ways = homes
    beats = np.diff(ways[..., 3], axis=1)
    beats = np.abs((beats + 0.5) % 1.0 - 0.5)
    assert beats.max() < 0.36, "the phase never jumps"
    still = np.linalg.norm(np.diff(ways, axis=1), axis=-1) == 0.0
    assert still.any()
    resting = ways[:, :-1, :, 3][still]
    np.testing.assert_allclose(np.round(2 * resting) / 2, resting, atol=1e-5)


def test_a_foot_on_the_floor_does_not_slide():
    """The lowest shoe of a walker that goes a stride stays where it is."""
    seed = next(s for s in range(100) if choices_of(s)["plan"] == 0)
    way = stroll(_hall(), FLAT, _still(400, 2.0, 2.0), [seed])
    parts = place(way, [seed], FLAT).parts[:, 0]
    straight = np.flatnonzero(np.abs(_wrapped(np.diff(way[:, 0, 2]))) < 0.01)
    slides = []
    for t in straight:
        shoe = 3 if way[t, 0, 3] < 0.5 else 7
        if int(2 * way[t, 0, 3]) == int(2 * way[t + 1, 0, 3]):
            slides.append(np.linalg.norm(parts[t + 1, shoe, 1:3] - parts[t, shoe, 1:3]))
    assert len(slides) > 40 and np.median(slides) < 0.01


def test_same_inputs_same_bits_and_seeds_differ():
    free, camera = _hall(), _still()
    first = stroll(free, FLAT, camera, [5, 6])
    np.testing.assert_array_equal(first, stroll(free, FLAT, camera, [5, 6]))
    other = stroll(free, FLAT, camera, [7, 8])
    assert np.abs(first[:, :, :2] - other[:, :, :2]).max() > 1.0


def test_they_walk_at_any_frame_rate():
    slow = stroll(_hall(), FLAT, _still(100), [5, 6], fps=5.0)
    fast = stroll(_hall(), FLAT, _still(600), [5, 6], fps=30.0)
    for ways in (slow, fast):
        seconds = 20.0
        length = np.linalg.norm(np.diff(ways[..., :2], axis=0), axis=-1).sum(0)
        assert (length / seconds > 0.2).all() and (length / seconds < 1.6).all()


def test_they_climb_stairs_but_no_ledge():
    free, ground = _hall(), _steps()
    allowed = passable(free, ground)
    assert (allowed[4:44, 34] == 0).all() and allowed[20, 16:33].all()
    ways = stroll(free, ground, _still(600), np.arange(6))
    cells = np.floor(ways[..., :2] / CELL).astype(int)
    heights = ground[cells[..., 1], cells[..., 0]]
    assert heights.max() > 0.5, "some climb the stairs"
    assert np.abs(np.diff(heights, axis=0)).max() <= CLIMB, "nobody climbs the ledge"


def test_safe_cells_let_a_walker_escape():
    """From each safe cell a safe one is a step away, and the camera is far from it."""
    free, cameras = _hall(), _still(40)
    cameras[:, 0] = np.linspace(2.0, 9.0, 40)
    beat = beat_of(10.0)
    safe = safe_cells(free, cameras.astype(np.float64), beat)
    for n in range(len(safe) - 1):
        for j in range(4, 44):
            for i in range(4, 44):
                x, y = (i + 0.5) * CELL, (j + 0.5) * CELL
                if not is_safe(safe[n, 0], x, y):
                    continue
                at = cameras[min(n * beat, 39)]
                assert math.hypot(x - at[0], y - at[1]) >= CLEAR[0] - 1e-6
                ways = ((0, 0), (CELL, 0), (-CELL, 0), (0, CELL), (0, -CELL))
                assert any(is_safe(safe[n + 1, 0], x + a, y + b) for a, b in ways)


def _surface(row):
    """Points (N, 3) all over a part."""
    u, v = np.meshgrid(np.linspace(0, 2 * np.pi, 24), np.linspace(-1, 1, 9))
    wide = np.ones_like(v) if row[0] == CYLINDER else np.sqrt(1 - v**2)
    points = np.stack([wide * np.cos(u), wide * np.sin(u), v], -1).reshape(-1, 3)
    return row[1:4] + points * row[4:7]


def _walkers(seeds, ground=FLAT, ticks=200):
    ways = stroll(_hall(), ground, _still(ticks), seeds)
    return ways, place(ways, seeds, ground)


def test_the_sphere_holds_every_part():
    seeds = np.arange(12)
    _, crowd = _walkers(seeds, _steps())
    for t in range(0, 200, 7):
        for k in range(len(seeds)):
            sphere = crowd.spheres[t, k]
            for row in crowd.parts[t, k, : crowd.counts[t, k]]:
                gaps = np.linalg.norm(_surface(row) - sphere[:3], axis=-1)
                assert gaps.max() <= sphere[3], (t, k)
    assert crowd.spheres[..., 3].max() < 1.8


def test_feet_are_on_the_floor_in_every_phase():
    seeds = np.arange(12)
    ground = _steps()
    ways, crowd = _walkers(seeds, ground)
    used = np.arange(crowd.parts.shape[2]) < crowd.counts[..., None]  # (T, K, parts)
    bottoms = np.where(used, crowd.parts[..., 3] - crowd.parts[..., 6], 99.0).min(-1)
    floor = np.array([[height_at(ground, x, y) for x, y in row] for row in ways[..., :2]])
    assert np.abs(bottoms - floor).max() < 0.03


def test_a_crowd_has_the_shapes_it_says():
    seeds = [3, 4, 5]
    ways, crowd = _walkers(seeds, ticks=20)
    assert ways.shape == (20, 3, 4) and ways.dtype == np.float32
    assert crowd.parts.shape == (20, 3, 24, 16) and crowd.parts.dtype == np.float32
    assert crowd.counts.dtype == np.int64 and (crowd.counts > 5).all()
    assert crowd.spheres.shape == (20, 3, 4) and crowd.spheres.dtype == np.float32
    assert crowd.kinds.dtype == np.uint8
    np.testing.assert_array_equal(crowd.kinds[0], [choices_of(s)["plan"] for s in seeds])
    unused = np.arange(24) >= crowd.counts[..., None]
    assert (crowd.parts[unused] == 0).all() and np.isfinite(crowd.parts).all()


def test_nobody_is_a_crowd_too():
    ways = stroll(_hall(), FLAT, _still(7), [])
    for crowd in (empty(7), place(ways, [], FLAT)):
        assert isinstance(crowd, Crowd)
        assert crowd.parts.shape == (7, 0, 24, 16) and crowd.counts.shape == (7, 0)


def test_all_kinds_come():
    assert {choices_of(s)["plan"] for s in range(40)} == set(range(CHOICES["plan"]))
