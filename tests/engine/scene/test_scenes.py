"""Worlds from numbers."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from mgenv.engine.homes.layout import DOORWAY, GRID, ROOM_MASK, WALL
from mgenv.engine.motion.paths import UNREACHED, distances
from mgenv.engine.scene.batch import stack
from mgenv.engine.scene.scenes import HELD_OUT, make_scene, make_scenes
from mgenv.errors import InvalidOptionError

IDS = [*range(24), *range(HELD_OUT, HELD_OUT + 8)]


@pytest.fixture(scope="module")
def batch():
    return make_scenes(IDS, workers=1)


def test_a_world_id_names_one_world_for_ever():
    """The plan of world 7 is pinned: a change of it would break every trained model's worlds."""
    cells = make_scene(7).cells
    assert hashlib.sha256(cells.tobytes()).hexdigest()[:16] == "ea008114ebd7c920"


def test_a_scene_does_not_depend_on_its_neighbours_or_workers(batch):
    shuffled = make_scenes(IDS[::-1], workers=2)
    for name, array in batch.arrays._asdict().items():
        np.testing.assert_array_equal(array, getattr(shuffled.arrays, name)[::-1], err_msg=name)
    for one, other in zip(make_scene(IDS[5]), batch[5], strict=True):
        np.testing.assert_array_equal(one, other)


def test_worlds_differ(batch):
    plans = {cells.tobytes() for cells in batch.arrays.cells}
    assert len(plans) == len(IDS)


def test_every_world_has_rooms_doors_and_furniture(batch):
    rooms, objects, doors = batch.arrays.counts.T
    assert (rooms >= 3).all() and (rooms <= 16).all()
    assert (doors >= rooms - 1).all(), "fewer doors than a tree of rooms needs"
    assert (objects - 3 * doors - rooms > 3 * rooms).all(), "hardly any furniture"


def test_every_room_can_be_reached_from_every_other(batch):
    for s in range(len(batch)):
        scene = batch[s]
        start = int(np.flatnonzero(scene.free.ravel())[0])
        steps, queue = np.empty(GRID * GRID, np.int64), np.empty(GRID * GRID, np.int64)
        distances(scene.free, start, steps, queue)
        reached = scene.cells.ravel()[steps < UNREACHED]
        assert set(reached & ROOM_MASK) >= set(range(scene.counts[0])), f"world {IDS[s]}"


def test_the_map_is_closed_all_around(batch):
    cells = batch.arrays.cells
    for border in (cells[:, 0], cells[:, -1], cells[:, :, 0], cells[:, :, -1]):
        assert (border == WALL).all()


def test_free_cells_are_inside_and_some_are_in_doorways(batch):
    free, cells = batch.arrays.free.astype(bool), batch.arrays.cells
    assert (cells[free] != WALL).all()
    assert ((cells[free] & DOORWAY) > 0).sum() > 2 * len(batch)


def test_solid_objects_stand_inside_rooms(batch):
    for s in range(len(batch)):
        scene = batch[s]
        for row in scene.objects[: scene.counts[1]]:
            if row[7] > 0:
                assert scene.cells[int(row[2] / 0.25), int(row[1] / 0.25)] < 16, f"world {IDS[s]}"


def test_furniture_throws_shadows_on_the_floor(batch):
    light, cells = batch.arrays.light, batch.arrays.cells
    inside = np.repeat(np.repeat(cells != WALL, 2, 1), 2, 2)
    dark = (light < 160) & inside
    assert 0.02 < dark.sum() / inside.sum() < 0.5


def test_stacked_scenes_are_the_scenes():
    one, other = make_scene(1), make_scene(2)
    both = stack([one, other], [1, 2])
    assert len(both) == 2 and both.world_ids.tolist() == [1, 2]
    np.testing.assert_array_equal(both[1].objects, other.objects)


@pytest.mark.parametrize("ids", [[-1], [1.5], [], "7", [[1]]])
def test_bad_world_ids_are_named(ids):
    with pytest.raises(InvalidOptionError, match="World ids"):
        make_scenes(ids)
