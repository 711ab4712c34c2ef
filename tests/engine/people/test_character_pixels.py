"""Characters are told apart in pictures: two differ more than one does from its own next step."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mgenv.camera import CAMERA_HEIGHT
from mgenv.engine.motion.explorer import write_pose
from mgenv.engine.people.crowd import empty
from mgenv.engine.people.figures import CHOICES
from mgenv.engine.render.raytrace import (
    BOUNDS,
    CEILING_MATERIAL,
    FLOOR_MATERIAL,
    LAMP,
    LAMP_COLOUR,
    WALL_MATERIAL,
)
from mgenv.engine.render.renderer import render
from mgenv.engine.scene.batch import SceneBatch, empty_batch
from tests.engine.people.one_character import bounding_sphere, character, choices_of

PHASES = (0.0, 0.17, 0.34)
SEEDS, AWAY, HEADING = 12, 2.0, 0.8


def _grey_hall() -> SceneBatch:
    """One hall of 15 m, all grey, evenly lit."""
    batch = empty_batch(1)
    scene = batch[0]
    scene.cells[:] = 255
    scene.cells[2:62, 2:62] = 0
    room = scene.rooms[0]
    room[BOUNDS : BOUNDS + 4] = 0.5, 0.5, 15.5, 15.5
    room[LAMP : LAMP + 4] = 8.0
    room[LAMP_COLOUR : LAMP_COLOUR + 3] = 1.0
    for at in (FLOOR_MATERIAL, WALL_MATERIAL, CEILING_MATERIAL):
        room[at : at + 8] = (0.0, *[0.25] * 6, 1.0)
    scene.light[:] = 255
    return batch


def picture(rows: NDArray[np.float32], size: int = 64) -> NDArray[np.float64]:
    """What a camera sees (size, size, 3) of a character at (8, 8) from ``AWAY`` metres."""
    crowd = empty(1, 1)
    crowd.parts[0, 0, : len(rows)], crowd.counts[0, 0] = rows, len(rows)
    crowd.spheres[0, 0] = np.append(*bounding_sphere(rows))
    pose = np.empty((1, 4, 4), np.float32)
    write_pose(pose[0], 8.0 - AWAY, 8.0, CAMERA_HEIGHT, 0.0, -0.15)
    return render(_grey_hall(), [0], pose, size, crowd=crowd)[0][0].numpy().astype(np.float64)


def _difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Mean over the pixels, in grey levels."""
    return float(np.abs(one - other).mean())


def _random_seeds(count: int, plan: int | None = None) -> list[int]:
    drawn = (int(seed) for seed in np.random.default_rng(plan or 0).integers(2**63, size=1000))
    return [s for s in drawn if plan is None or choices_of(s)["plan"] == plan][:count]


def _compare(seeds: list[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Greatest differences to itself (N,), differences to the others (N, N - 1)."""
    shown = [[picture(character(s, p, 8.0, 8.0, HEADING)) for p in PHASES] for s in seeds]
    own = [max(_difference(a, b) for a in views for b in views) for views in shown]
    first = [views[0] for views in shown]
    others = [[_difference(a, b) for b in first if b is not a] for a in first]
    return np.array(own), np.array(others)


@pytest.mark.parametrize("plan", range(CHOICES["plan"]))
def test_two_of_a_kind_differ_more_than_one_in_two_phases(plan):
    own, others = _compare(_random_seeds(SEEDS, plan))
    assert len(own) == SEEDS and own.min() > 0.0
    assert (others.mean(1) > own).all(), "each differs from the others more than from itself"
    assert (others > own[:, None]).mean() >= 0.95, "so do nearly all pairs"


def test_random_pairs_differ_more_than_one_in_two_phases():
    own, others = _compare(_random_seeds(2 * SEEDS, None))
    assert (others > own[:, None]).mean() >= 0.95


def test_they_are_seen():
    """A character covers at least one pixel in two hundred, and not the whole picture."""
    plain = picture(np.zeros((0, 16), np.float32))
    for seed in range(12):
        view = picture(character(seed, 0.1, 8.0, 8.0, HEADING))
        share = (np.abs(view - plain).max(-1) > 8).mean()
        assert 0.005 < share < 0.5, (seed, share)
