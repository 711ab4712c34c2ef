"""Characters in pictures: they hide what is behind, are hidden, cast shadows and are labelled."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mgenv.engine.homes.furniture import FIRST_CHARACTER, LABELS
from mgenv.engine.homes.layout import GRID
from mgenv.engine.people.crowd import Crowd, empty, join, part_of, place
from mgenv.engine.render.renderer import render, render_surfaces
from mgenv.engine.render.segmentation import classes, pieces
from mgenv.engine.scene.shapes import hit_object
from tests.engine.people.one_character import character
from tests.engine.rooms import box_room, level_pose

SIZE, FLAT = 48, np.zeros((GRID, GRID), np.float32)
AHEAD = (6.2, 6.0)


def standing(x: float, y: float, seed: int = 3, frames: int = 1) -> Crowd:
    return place(np.tile(np.float32([x, y, 0.4, 0.2]), (frames, 1, 1)), [seed], FLAT)


@pytest.fixture
def view():
    return level_pose(4.6, 6.0, 0.0)


def test_a_character_hides_what_is_behind_it(view):
    room = box_room()
    _, far = render(room, [0], view, SIZE)
    _, near, surface = render_surfaces(room, [0], view, SIZE, crowd=standing(*AHEAD))
    kinds = classes(room, [0], surface, standing(*AHEAD))
    on_it = kinds >= FIRST_CHARACTER
    assert on_it.float().mean() > 0.02
    assert (near[on_it] < far[on_it]).all() and (near[on_it] > 0.6).all()
    assert torch.equal(near[~on_it], far[~on_it])


def test_depth_is_that_of_its_nearest_part(view):
    """The fast path, with its sphere, against trying every part."""
    crowd = standing(*AHEAD)
    _, near, surface = render_surfaces(box_room(), [0], view, SIZE, crowd=crowd)
    on_it = classes(box_room(), [0], surface, crowd)[0] >= FIRST_CHARACTER
    for i, j in np.argwhere(on_it.numpy())[::7]:
        across, down = 2 * (np.array([j, i]) + 0.5) / SIZE - 1
        ray = np.float32([1.0, -across, -down])
        inverse = np.float32(1.0) / ray
        found = min(
            hit_object(crowd.parts[0], 0, n, *view[0, :3, 3], *ray, *inverse)[0]
            for n in range(crowd.counts[0, 0])
        )
        assert near[0, i, j] == pytest.approx(float(found), abs=1e-3)


def test_a_character_behind_a_box_is_hidden(view):
    wall = (5.3, 6.0, 1.3, 0.1, 1.9, 1.3)
    alone, _ = render(box_room(wall), [0], view, SIZE)
    hidden, _ = render(box_room(wall), [0], view, SIZE, crowd=standing(*AHEAD))
    assert torch.equal(alone, hidden)


def test_it_darkens_the_floor_under_it(view):
    bird = next(seed for seed in range(99) if standing(*AHEAD, seed).kinds[0, 0] == 3)
    crowd = standing(6.0, 6.0, bird)
    down = np.array([[1, 0, 0, 5.6], [0, -1, 0, 6], [0, 0, -1, 2.2], [0, 0, 0, 1]], np.float32)
    bare, _ = render(box_room(), [0], down[None], SIZE, supersample=1)
    shaded, _, surface = render_surfaces(box_room(), [0], down[None], SIZE, 1, crowd=crowd)
    floor = classes(box_room(), [0], surface, crowd) == LABELS.index("floor")
    change = bare[floor].float() - shaded[floor].float()
    assert change.max() > 5 and (change > -1).all()


def test_labels_and_pieces_name_each_character(view):
    room, seeds = box_room(), [3, 4, 5]
    paths = np.float32([[[6.2, 5.4, 0, 0], [6.2, 6.0, 0, 0], [6.2, 6.6, 0, 0]]])
    crowd = place(paths, seeds, FLAT)
    _, _, surface = render_surfaces(room, [0], view, SIZE, crowd=crowd)
    kinds, numbers = classes(room, [0], surface, crowd), pieces(room, [0], surface, crowd)
    for n in range(3):
        on_it = numbers == 255 - n
        assert on_it.any(), n
        assert (kinds[on_it] == FIRST_CHARACTER + int(crowd.kinds[0, n])).all()
    columns = [np.nonzero((numbers == 255 - n).numpy())[2].mean() for n in range(3)]
    assert columns[0] > columns[1] > columns[2], "what is further left is seen further left"


def test_frames_are_joined_and_cut():
    crowd = join([empty(2), standing(*AHEAD, frames=3)])
    assert crowd.counts.shape == (5, 1) and (crowd.counts[:2] == 0).all()
    last = part_of(crowd, slice(4, 5))
    assert last is not None
    np.testing.assert_array_equal(last.parts[0, 0, : last.counts[0, 0]], _rows())
    assert part_of(None, slice(1)) is None


def _rows() -> np.ndarray:
    return character(3, 0.2, *AHEAD, heading=0.4)


def test_each_frame_has_its_own_characters(view):
    room, poses = box_room(), np.repeat(view, 2, 0)
    crowd = join([empty(1), standing(*AHEAD)])
    rgb, _ = render(room, [0, 0], poses, SIZE, crowd=crowd)
    bare, _ = render(room, [0], view, SIZE)
    assert torch.equal(rgb[0], bare[0]) and not torch.equal(rgb[1], bare[0])
