"""What each pixel shows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mgenv.camera import DEFAULT_INTRINSICS, Pose
from mgenv.engine.homes.furniture import FIRST_ITEM, ITEMS, LABELS
from mgenv.engine.homes.layout import CELL, DOOR_HEIGHT, DOORWAY, WALL, WALL_HEIGHT
from mgenv.engine.motion import navigation
from mgenv.engine.render.renderer import render, render_surfaces
from mgenv.engine.render.segmentation import HOUSE, classes, piece_names, pieces
from mgenv.engine.scene.scenes import make_scenes
from tests.engine.rooms import box_room

SIZE, FRAMES = 32, 24
IDS = [11, 12, 1_000_003, 5]
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
TOUCH = 0.01
"""How far from a surface a point may lie that is on it [m]."""


@pytest.fixture(scope="module")
def homes():
    return make_scenes(IDS, workers=1)


@pytest.fixture(scope="module")
def views(homes):
    walk = navigation.explore_many(homes, FRAMES, [5, 6, 7, 8], workers=1)
    return np.repeat(np.arange(len(IDS)), FRAMES), walk.pose.reshape(-1, 4, 4)


@pytest.fixture(scope="module")
def shown(homes, views):
    """(scene, class, piece, x, y, z) of every pixel, flat."""
    index, poses = views
    _, depth, surface = render_surfaces(homes, index, poses, SIZE)
    camera = DEFAULT_INTRINSICS.unproject(depth).reshape(len(index), -1, 3)
    points = Pose(torch.from_numpy(poses)).do(camera).reshape(-1, 3).double().numpy()
    kinds = classes(homes, index, surface).numpy().ravel()
    return np.repeat(index, SIZE * SIZE), kinds, pieces(homes, index, surface).ravel(), points


def test_pictures_are_those_without_segmentation(homes, views):
    index, poses = views
    rgb, depth, surface = render_surfaces(homes, index, poses, SIZE)
    plain, same = render(homes, index, poses, SIZE)
    assert torch.equal(rgb, plain) and torch.equal(depth, same)
    assert surface.dtype == torch.int32 and surface.shape == depth.shape


def test_the_house_is_where_geometry_puts_it(homes, shown):
    index, kinds, piece, (x, y, z) = *shown[:3], shown[3].T
    for name, height in (("floor", 0.0), ("ceiling", WALL_HEIGHT)):
        on_it = kinds == LABELS.index(name)
        assert on_it.any(), name
        assert np.abs(z[on_it] - height).max() < TOUCH, name
    cells = homes.arrays.cells
    walls = kinds == LABELS.index("wall")
    around = np.zeros(walls.sum(), bool)
    for dx, dy in ((TOUCH, 0), (-TOUCH, 0), (0, TOUCH), (0, -TOUCH)):
        i, j = ((x[walls] + dx) / CELL).astype(int), ((y[walls] + dy) / CELL).astype(int)
        cell = cells[index[walls], j, i]
        above_a_door = (cell & DOORWAY > 0) & (z[walls] > DOOR_HEIGHT - TOUCH)
        around |= (cell == WALL) | above_a_door
    assert around.all()
    house = kinds < LABELS.index("door frame")
    np.testing.assert_array_equal(piece.numpy() == HOUSE, house)


def test_a_point_on_a_piece_lies_on_an_object_of_that_class(homes, shown):
    index, kinds, _, points = shown
    found = 0
    for s in range(len(IDS)):
        scene = homes[s]
        count = scene.counts[1]
        centre, half = scene.objects[:count, 1:4], scene.objects[:count, 4:7]
        for kind in range(LABELS.index("door frame"), len(LABELS)):
            here = points[(index == s) & (kinds == kind)]
            mine = scene.belongs[:count, 0] == kind
            outside = np.abs(here[:, None] - centre[mine]) - half[mine]  # (points, objects, 3)
            if len(here):
                assert outside.max(-1).min(-1).max() < TOUCH, LABELS[kind]
                found += 1
    assert found > 40


def test_the_middle_of_a_bed_is_a_bed():
    """Looked at from above its foot, and never called anything else."""
    homes, looked = make_scenes(range(12), workers=1), 0
    for s in range(len(homes)):
        scene = homes[s]
        for piece in np.unique(scene.belongs[: scene.counts[1], 1]):
            rows = np.flatnonzero(scene.belongs[: scene.counts[1], 1] == piece)
            if LABELS[scene.belongs[rows[0], 0]] != "bed":
                continue
            x, y, z = scene.objects[rows[1], 1:4]  # the mattress
            pose = Pose.create(torch.tensor([x, y, 2.2]), torch.tensor(0.3), torch.tensor(-1.5))
            _, depth, surface = render_surfaces(homes, [s], pose.matrix[None], 33)
            assert abs(depth[0, 16, 16] - (2.2 - z)) < 0.3
            assert LABELS[classes(homes, [s], surface)[0, 16, 16]] == "bed"
            assert pieces(homes, [s], surface)[0, 16, 16] == piece + 1
            looked += 1
    assert looked >= 4


def test_every_piece_is_whole_and_as_large_as_its_kind(homes):
    """The classes in the object table against the catalogue that it was built from."""
    for s in range(len(IDS)):
        scene = homes[s]
        count = int(scene.counts[1])
        names = piece_names(scene.belongs, count)
        for n, name in enumerate(names):
            rows = np.flatnonzero(scene.belongs[:count, 1] == n)
            if name not in ITEMS:
                continue
            item, boxes = ITEMS[name], scene.objects[rows]
            assert len(rows) == len(item.parts) and np.ptp(rows) == len(rows) - 1
            low = (boxes[:, 1:3] - boxes[:, 4:6]).min(0)
            size = (boxes[:, 1:3] + boxes[:, 4:6]).max(0) - low
            largest = max(item.width[1], item.depth[1])
            assert size.max() < largest + 0.3, name
        assert len(names) == scene.belongs[:count, 1].max() + 1
        assert names.count("door frame") == scene.counts[2]
        assert names.count("ceiling lamp") == scene.counts[0]


def test_labels_name_every_class_once(homes):
    assert len(set(LABELS)) == len(LABELS) < 256 and LABELS[
        FIRST_ITEM : FIRST_ITEM + len(ITEMS)
    ] == tuple(ITEMS)
    used = homes.arrays.belongs[..., 0]
    assert used.max() < len(LABELS)


def test_a_lintel_is_part_of_its_doors_frame():
    batch = box_room()
    batch.arrays.cells[0, 24:26, 32] = DOORWAY
    pose = Pose.create(torch.tensor([8.1, 6.25, 1.5]), torch.tensor(0.0), torch.tensor(1.4))
    _, depth, surface = render_surfaces(batch, [0], pose.matrix[None], 33)
    assert depth[0, 16, 16] == pytest.approx((DOOR_HEIGHT - 1.5) / np.sin(1.4), abs=1e-3)
    assert LABELS[classes(batch, [0], surface)[0, 16, 16]] == "door frame"


@pytest.mark.parametrize("device", DEVICES)
def test_classes_do_not_depend_on_batch_workers_or_device(homes, views, device):
    index, poses = views
    surface = render_surfaces(homes, index, poses, SIZE, workers=1)[2]
    kinds, numbers = classes(homes, index, surface), pieces(homes, index, surface)
    again = render_surfaces(homes, index, poses, SIZE, workers=3)[2]
    assert torch.equal(surface, again)
    for f in (0, 7, 60):
        alone = make_scenes([IDS[index[f]]], workers=1)
        one = render_surfaces(alone, [0], poses[f : f + 1], SIZE)[2]
        assert torch.equal(classes(alone, [0], one)[0], kinds[f])
        assert torch.equal(pieces(alone, [0], one)[0], numbers[f])
    there = render_surfaces(homes, index, poses, SIZE, device=device)[2]
    assert (classes(homes, index, there).cpu() == kinds).float().mean() > 0.999
    copied = classes(homes, index, surface.to(device)).cpu()
    assert torch.equal(copied, kinds) and copied.dtype == torch.uint8
