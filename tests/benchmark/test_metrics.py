"""Measures of pictures: what they say of pictures whose answer is known."""

from __future__ import annotations

import math

import pytest
import torch

from mgenv.benchmark.metrics import psnr, seen_pixels, sharpness, squared_error, ssim, variance
from mgenv.camera import Pose
from tests.memory.scenes import draw, looking


@pytest.fixture
def noise() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (2, 32, 32, 3), generator=generator, dtype=torch.uint8)


def grey(value: int) -> torch.Tensor:
    return torch.full((1, 8, 8, 3), value, dtype=torch.uint8)


def test_psnr_of_a_known_error():
    error = squared_error(grey(0), grey(51))  # a fifth of full scale
    assert error.shape == (1, 8, 8)
    assert psnr(error) == pytest.approx(-20 * math.log10(0.2), abs=1e-4)


def test_psnr_counts_only_the_pixels_asked_for():
    frames = grey(0).clone()
    frames[:, :4] = 255
    error = squared_error(frames, grey(0))
    where = torch.zeros(1, 8, 8, dtype=torch.bool)
    where[:, :4] = True
    assert psnr(error, where) == pytest.approx(0, abs=1e-4)
    assert psnr(error, ~where) == pytest.approx(100)
    assert psnr(error) == pytest.approx(10 * math.log10(2), abs=1e-4)
    assert math.isnan(psnr(error, torch.zeros_like(where)))


def test_blur_is_less_sharp_and_flat_is_not_sharp_at_all(noise):
    smooth = torch.nn.functional.avg_pool2d(noise.movedim(-1, 1).float(), 3, 1, 1)
    blurred = smooth.movedim(1, -1).to(torch.uint8)
    assert sharpness(noise).shape == (2,)
    assert (sharpness(blurred) < 0.5 * sharpness(noise)).all()
    assert sharpness(grey(90)).item() == 0


def test_sharpness_is_the_mean_gradient():
    ramp = (torch.arange(8) * 10).to(torch.uint8).view(1, 8, 1).expand(8, 8, 3)
    assert sharpness(ramp).item() == pytest.approx(10)


def test_variance_tells_a_dead_picture(noise):
    assert variance(grey(90)).item() == 0
    assert (variance(noise) > 1000).all()


def test_ssim_of_the_same_and_of_others(noise):
    assert ssim(noise, noise) == pytest.approx(1, abs=1e-4)
    assert ssim(noise, noise.flip(0)) < 0.2


WALL, BEHIND = (2.0, 0.9), (6.0, 0.2)


def seen(pose, *known, walls=(WALL, BEHIND)) -> torch.Tensor:
    depths = torch.stack([draw(other, list(walls))[1] for other in known])
    return seen_pixels(draw(pose, list(walls))[1], pose, depths, torch.stack(known))


def test_a_view_has_seen_itself():
    assert seen(looking(0.0), looking(0.0)).all()


def test_only_what_is_in_a_known_view_is_seen():
    mask = seen(looking(0.0), looking(0.0, 2.0)).float()  # shifted left by half a view
    assert mask[:, :14].mean() > 0.95 and mask[:, 18:].mean() < 0.05


def test_views_add_up():
    assert seen(looking(0.0), looking(0.0, 2.0), looking(0.0, -2.0)).float().mean() > 0.95


def test_what_a_wall_hides_is_not_seen():
    assert not seen(looking(2.5), looking(0.0)).any()
    assert not seen(looking(0.0), looking(2.5)).any()


def test_the_other_side_of_a_thin_wall_is_not_seen():
    other = Pose.create(torch.tensor([4.0, 0.0, 1.0]), torch.tensor(math.pi)).matrix
    assert not seen(looking(0.0), other, walls=(WALL,)).any()


def test_chunks_do_not_matter():
    pose = looking(0.0)
    known = torch.stack([looking(0.0, y) for y in (-2.0, -1.0, 1.0)])
    depth = torch.stack([draw(other, [WALL])[1] for other in known])
    view = draw(pose, [WALL])[1]
    whole = seen_pixels(view, pose, depth, known)
    assert torch.equal(whole, seen_pixels(view, pose, depth, known, chunk=1))
