"""Who walks about."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mgenv.engine.people.figures import CHOICES
from mgenv.engine.scene.shapes import BOX, MAX_PARTS, OBJECT_SIZE
from tests.engine.people.one_character import body, bounding_sphere, character, choices_of

PHASES = (0.0, 0.1, 0.3)
SEEDS = [0, 1, 7, 12345, 2**40 + 3, 2**63, 2**64 - 1]


def test_there_are_more_than_a_hundred_million():
    assert math.prod(CHOICES.values()) > 10**8


@pytest.mark.parametrize("plan", range(CHOICES["plan"]))
def test_every_choice_is_to_be_seen(plan):
    """So that the product of the choices counts characters that differ."""
    start = {name: 1 if name != "plan" else plan for name in CHOICES}
    for name, options in CHOICES.items():
        looks = {
            b"".join(body(start | {name: option}, phase).tobytes() for phase in PHASES)
            for option in range(options)
        }
        assert len(looks) == options, name


def test_every_option_is_drawn_and_seeds_differ():
    drawn = [tuple(choices_of(seed).values()) for seed in range(3000)]
    assert len(set(drawn)) == 3000
    for n, options in enumerate(CHOICES.values()):
        assert {choices[n] for choices in drawn} == set(range(options))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_names_one_character(seed):
    rows = character(seed, 0.3)
    np.testing.assert_array_equal(rows, character(seed, 0.3))
    assert rows.shape[1] == OBJECT_SIZE and rows.dtype == np.float32 and len(rows) <= MAX_PARTS
    assert (rows[:, 7] == 0).all() and np.isfinite(rows).all()


def test_the_tallest_with_everything_fits():
    most = {name: options - 1 for name, options in CHOICES.items()} | {"hat": 3, "back": 1}
    for plan in range(CHOICES["plan"]):
        assert len(body(most | {"plan": plan}, 0.2)) <= MAX_PARTS


def test_a_stride_comes_round_and_moves():
    for seed in range(40):
        start, half = character(seed, 0.0), character(seed, 0.3)
        np.testing.assert_allclose(start, character(seed, 1.0), atol=1e-5)
        assert np.abs(half[:, 1:4] - start[:, 1:4]).max() > 0.005
        np.testing.assert_array_equal(half[:, 8:], start[:, 8:])


def test_they_stand_on_the_floor_and_under_the_ceiling():
    for seed in range(300):
        for phase in PHASES:
            rows = character(seed, phase)
            bottom, top = rows[:, 3] - rows[:, 6], rows[:, 3] + rows[:, 6]
            assert -1e-4 < bottom.min() < 0.05, seed
            assert 0.4 < top.max() < 2.45, seed
            assert (rows[:, 4:7] > 0.005).all(), seed


def test_all_parts_hold_together():
    """Every part touches another, from the first on to all of them."""
    for seed in range(300):
        rows = character(seed, 0.15)
        gap = np.abs(rows[:, None, 1:4] - rows[None, :, 1:4]) - rows[:, None, 4:7] - rows[:, 4:7]
        touch = (gap < 0.03).all(-1)
        joined = np.linalg.matrix_power(touch.astype(float), len(rows)) > 0
        assert joined.all(), (seed, choices_of(seed))


def test_turning_turns_it_about_where_it_stands():
    plain, turned = character(5, 0.2), character(5, 0.2, 3.0, -1.0, math.pi / 2)
    np.testing.assert_allclose(turned[:, 1] - 3.0, -plain[:, 2], atol=1e-5)
    np.testing.assert_allclose(turned[:, 2] + 1.0, plain[:, 1], atol=1e-5)
    np.testing.assert_array_equal(turned[:, 3:], plain[:, 3:])
    assert (plain[:, 4] == plain[:, 5]).all() and (plain[:, 0] != BOX).all(), "all parts are round"


def test_the_sphere_holds_all_of_it():
    for seed in range(60):
        rows = character(seed, 0.4, 2.0, 3.0, 0.7)
        centre, radius = bounding_sphere(rows)
        for corner in np.stack(np.meshgrid(*[(-1, 1)] * 3), -1).reshape(-1, 3):
            points = rows[:, 1:4] + corner * rows[:, 4:7]
            assert np.linalg.norm(points - centre, axis=1).max() < radius + 1e-5
        assert radius < 1.8
