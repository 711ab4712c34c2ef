"""Drawn textures: seamless, soft, all different, the same for ever; and how they are sampled."""

import zlib
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from mgenv.engine.textures.bank import (
    CATEGORIES,
    NUM_TEXTURES,
    SIDE,
    TEXELS,
    Bank,
    procedural,
    sample,
)

Array = NDArray[np.float64]
SIDES = (64, 32, 16, 8, 4, 2, 1)
STARTS = (0, 4096, 5120, 5376, 5440, 5456, 5460)
FIRST = [numbers[0] for numbers in CATEGORIES.values()]
BITS = 2705649047


@pytest.fixture(scope="module")
def bank() -> Bank:
    return procedural()


@pytest.fixture(scope="module")
def few(bank: Bank) -> Bank:
    """The first of each category."""
    return Bank(bank.texels[FIRST], bank.size[FIRST], {})


def level(bank: Bank, index: int) -> Array:
    """Display values (N, S, S, 3) of a level."""
    side, start = SIDES[index], STARTS[index]
    texels = bank.texels[:, start : start + side * side].astype(np.float64)
    return texels.reshape(-1, side, side, 3)


def test_categories_number_at_least_2000_textures(bank: Bank) -> None:
    numbers = [number for every in bank.categories.values() for number in every]
    assert numbers == list(range(NUM_TEXTURES))
    assert NUM_TEXTURES == 2048
    assert bank.texels.shape == (NUM_TEXTURES, TEXELS, 3)
    assert bank.texels.dtype == np.uint8
    assert bank.size.shape == (NUM_TEXTURES,) and bank.size.dtype == np.float32


def test_bits_are_the_same_for_ever(bank: Bank) -> None:
    assert zlib.crc32(bank.texels.tobytes() + bank.size.tobytes()) == BITS


def test_each_level_is_the_mean_of_the_one_before(bank: Bank) -> None:
    some = bank._replace(texels=bank.texels[::9])
    for index, (side, half) in enumerate(pairwise(SIDES)):
        light = (level(some, index) / 255) ** 2
        light = light.reshape(-1, half, side // half, half, side // half, 3).mean((2, 4))
        assert np.abs(np.sqrt(light) * 255 - level(some, index + 1)).max() < 5


def test_textures_repeat_without_a_seam(bank: Bank) -> None:
    shown = level(bank, 0).mean(3)
    for axis in (1, 2):
        lines = np.moveaxis(shown, axis, 1)
        inside = np.abs(np.diff(lines, axis=1)).mean(2)
        seam = np.abs(lines[:, 0] - lines[:, -1]).mean(1)
        assert (seam < 1.8 * inside.max(1)).all()
        assert abs(seam.mean() / inside.mean() - 1) < 0.05


def test_neighbours_do_not_flip_between_extremes(bank: Bank) -> None:
    shown = level(bank, 0).mean(3)
    for axis in (1, 2):
        jumps = np.abs(np.diff(shown, axis=axis))
        assert jumps.max() < 160
        assert jumps.mean((1, 2)).max() < 35


def test_brightness_and_contrast_are_those_of_rooms(bank: Bank) -> None:
    shown = level(bank, 0).mean(3)
    means, contrast = shown.mean((1, 2)), shown.std((1, 2))
    assert means.min() > 55 and means.max() < 228
    assert contrast.min() > 1.5 and contrast.max() < 55
    assert bank.size.min() > 0.3 and bank.size.max() < 4


def nearest(features: Array) -> Array:
    """Root mean square difference of each row to the one most alike."""
    square = (features**2).mean(1)
    apart = square[:, None] + square - 2 * features @ features.T / features.shape[1]
    np.fill_diagonal(apart, np.inf)
    return np.sqrt(np.maximum(apart.min(1), 0))


def test_no_two_textures_are_alike(bank: Bank) -> None:
    coarse = level(bank, 2).reshape(NUM_TEXTURES, 256, 3)
    assert nearest(coarse.reshape(NUM_TEXTURES, -1)).min() > 4
    structure = coarse - coarse.mean(1, keepdims=True)
    assert nearest(structure.reshape(NUM_TEXTURES, -1)).min() > 2


def slow_level(bank: Bank, number: int, index: int, u: float, v: float) -> Array:
    """Linear light (3,) of a level between its four nearest texels, in whole arrays."""
    side = SIDES[index]
    light = (level(bank, index)[number] / 255) ** 2
    weights = []
    for part in (v, u):
        apart = np.abs((np.arange(side) + 0.5) / side - part % 1.0)
        near = np.minimum(apart, 1 - apart) * side
        weights.append(np.ones(1) if side == 1 else np.maximum(1 - near, 0))
    return np.einsum("y,x,yxk->k", *weights, light)


def slow_sample(bank: Bank, number: int, u: float, v: float, footprint: float) -> Array:
    size = float(bank.size[number])
    wide = np.clip(footprint / size * SIDE, 1, SIDE)
    index = min(int(np.ceil(np.log2(wide) - 1e-9)) - 1, 5) if wide > 1 else 0
    part = wide / 2**index - 1
    near, far = (slow_level(bank, number, index + k, u / size, v / size) for k in (0, 1))
    return near + part * (far - near)


def test_sample_equals_its_slow_twin(few: Bank) -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        number = int(rng.integers(len(FIRST)))
        u, v = rng.uniform(-7, 7, 2).astype(np.float32)
        footprint = np.float32(10 ** rng.uniform(-3, 0.6))
        got = sample(few.texels, number, u, v, few.size[number], footprint)
        expected = slow_sample(few, number, float(u), float(v), float(footprint))
        assert np.allclose(got, expected, atol=2e-4)


def test_a_far_view_is_the_mean_colour(few: Bank) -> None:
    means = ((level(few, 0) / 255) ** 2).mean((1, 2))
    u, v, footprint = np.float32(3.3), np.float32(-1.7), np.float32(9)
    for number, mean in enumerate(means):
        seen = sample(few.texels, number, u, v, few.size[number], footprint)
        assert np.allclose(seen, mean, atol=0.01)


def test_a_near_view_is_the_texel(few: Bank) -> None:
    texels = (level(few, 0)[:, 20, 10] / 255) ** 2
    for number, texel in enumerate(texels):
        size = few.size[number]
        u, v = size * np.float32(10.5 / SIDE), size * np.float32(20.5 / SIDE)
        seen = sample(few.texels, number, u, v, size, np.float32(0.001))
        assert np.allclose(seen, texel, atol=2e-3)


def test_nothing_jumps_as_a_camera_draws_back(bank: Bank) -> None:
    number, place = CATEGORIES["brick"][5], np.float32(0.4)
    size = bank.size[number]
    steps = np.linspace(0.001, 3 * size, 2000).astype(np.float32)
    seen = [sample(bank.texels, number, place, place, size, step) for step in steps]
    assert np.abs(np.diff(np.array(seen), axis=0)).max() < 0.02
