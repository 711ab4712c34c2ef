"""Cropping and scaling keep every pixel where its intrinsics say it is."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mgenv.camera import Intrinsics
from mgenv.data.sources.pictures import Lens, area_mean, bilinear, depth_as, square


@pytest.mark.parametrize(("width", "height"), [(120, 80), (80, 120), (81, 60), (64, 64)])
def test_the_middle_square_is_taken_and_the_lens_follows(width, height):
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([columns, rows, columns], -1).astype(np.uint8)
    lens = Lens.in_pixels((70, 74), (64 * width / 120, 37), (width, height))
    side = min(width, height)
    rgb, intrinsics = square(Image.fromarray(pixels), lens, side, "here")
    left, top = (width - side) // 2, (height - side) // 2
    assert rgb[0, 0, :2].tolist() == [left, top] and rgb.shape == (side, side, 3)
    found = np.array([intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy]) * side
    assert found == pytest.approx([70, 74, 64 * width / 120 - left, 37 - top])


@pytest.mark.parametrize(("side", "size"), [(80, 32), (64, 16), (7, 5), (5, 8)])
def test_every_pixel_counts_by_its_area(side, size):
    """As if each were first cut into equal pieces that fit both grids."""
    pixels = np.random.default_rng(0).random((side, side, 3)).astype(np.float32)
    pieces = pixels.repeat(size, 0).repeat(size, 1)
    expected = pieces.reshape(size, side, size, side, 3).mean((1, 3), dtype=np.float64)
    np.testing.assert_allclose(area_mean(pixels, size), expected, atol=1e-5)


def test_the_ends_meet_only_where_they_should():
    pixels = np.arange(4, dtype=np.float32).reshape(1, 4, 1).repeat(3, 0)
    u, v = np.array([0.0, 0.125, 0.5, 1.0]), np.array([0.0, 0.5, 0.5, 1.0])
    assert bilinear(pixels, u, v, around=True)[:, 0].tolist() == [1.5, 0.0, 1.5, 1.5]
    assert bilinear(pixels, u, v)[:, 0].tolist() == [0.0, 0.0, 1.5, 3.0]


def test_depth_is_never_mixed_and_unknown_outside():
    depth = np.array([[1.0, 5.0], [1.0, 5.0]], np.float32)
    straight = Lens(Intrinsics(0.5, 0.5))
    assert set(np.unique(depth_as(depth, straight, Intrinsics(0.5, 0.5), 7))) == {1.0, 5.0}
    narrow = depth_as(depth, Lens(Intrinsics(1.0, 1.0)), Intrinsics(0.5, 0.5), 8)
    assert not narrow[:2].any() and not narrow[:, -2:].any() and narrow[2:6, 2:6].all()


def test_small_pictures_are_enlarged_without_moving():
    ramp = np.tile(np.linspace(0, 255, 4), (4, 1)).astype(np.uint8)
    picture = Image.fromarray(np.stack([ramp] * 3, -1))
    rgb, intrinsics = square(picture, Lens(Intrinsics(0.5, 0.5)), 8, "here")
    assert rgb[0, ::2, 0].tolist() == ramp[0].tolist() and intrinsics.cx == 0.5
