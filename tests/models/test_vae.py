"""The autoencoder: shapes, scales of depth and latents, and what the shipped one reaches."""

from __future__ import annotations

import pytest
import torch

from mgenv.images import to_float, to_uint8
from mgenv.models.checkpoint import load_checkpoint
from mgenv.models.vae import (
    FAR,
    NEAR,
    VAE,
    VAEConfig,
    channel_to_depth,
    depth_to_channel,
)
from mgenv.models.world_model import WorldModel
from mgenv.training.data import make_walks
from mgenv.training.vae import vae_loss
from mgenv.worlds import checkpoints

CONFIG = VAEConfig(latent_channels=4, encoder_widths=(8, 8, 8), decoder_widths=(8, 8, 8))


@pytest.fixture
def vae() -> VAE:
    torch.manual_seed(0)
    return VAE(CONFIG).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def nano() -> WorldModel:
    return load_checkpoint(checkpoints()["nano"])


@pytest.fixture(scope="module")
def frames():
    """Frames of a world never trained on: rgb (M, 3, H, W), depth (M, 1, H, W)."""
    walks = make_walks([1_000_000], 16, 64, "cpu")
    return to_float(walks.rgb[0, ::2]), walks.depth[0, ::2].float()[:, None]


def test_depth_travels_as_log_depth():
    depth = torch.tensor([NEAR, 0.5, 2.0, FAR])
    channel = depth_to_channel(depth)
    assert channel[0] == pytest.approx(-1) and channel[-1] == pytest.approx(1)
    torch.testing.assert_close(channel_to_depth(channel), depth)
    steps = depth_to_channel(torch.tensor([0.5, 1.0, 2.0, 4.0])).diff()
    torch.testing.assert_close(steps, steps[:1].expand(3))  # equal ratios, equal steps


def test_depth_out_of_range_is_clamped():
    assert depth_to_channel(torch.tensor([0.0, 1e6])).abs().amax() == pytest.approx(1)
    torch.testing.assert_close(channel_to_depth(torch.tensor([-3.0, 3.0])),
                               torch.tensor([NEAR, FAR]))  # fmt: skip


def test_colours_survive_the_way_to_floats_and_back():
    rgb = torch.randint(256, (2, 4, 4, 3), dtype=torch.uint8)
    assert torch.equal(to_uint8(to_float(rgb)), rgb)
    assert to_uint8(torch.tensor([-9.0, 9.0]).view(2, 1, 1)).flatten().tolist() == [0, 255]


def test_shapes_with_any_leading_axes(vae):
    rgb, depth = torch.rand(2, 5, 3, 32, 32), torch.rand(2, 5, 1, 32, 32) + 1
    latents = vae.encode(rgb, depth)
    assert latents.shape == (2, 5, 4, 4, 4)
    assert vae.decode(latents).shape == (2, 5, 4, 32, 32)
    torch.testing.assert_close(vae.encode(rgb[0], depth[0]), latents[0])
    torch.testing.assert_close(vae.decode(latents[0]), vae.decode(latents)[0])


def test_latents_are_scaled_and_decoding_undoes_it(vae):
    rgb, depth = torch.rand(2, 3, 32, 32), torch.rand(2, 1, 32, 32) + 1
    raw, decoded = vae.encode(rgb, depth), vae.decode(vae.encode(rgb, depth))
    vae.mean.fill_(0.3)
    vae.std.fill_(2.0)
    scaled = vae.encode(rgb, depth)
    torch.testing.assert_close(scaled, (raw - 0.3) / 2)
    torch.testing.assert_close(vae.decode(scaled), decoded)


def test_unknown_depth_is_not_a_depth(vae):
    rgb = torch.rand(1, 3, 32, 32)
    unknown = vae.encode(rgb, None)
    for depth in (NEAR, FAR):
        assert not torch.allclose(unknown, vae.encode(rgb, torch.full((1, 1, 32, 32), depth)))


def test_the_loss_tells_better_from_worse_and_is_reproducible(vae):
    rgb, depth = torch.rand(2, 3, 32, 32), torch.rand(2, 1, 32, 32) + 1

    def loss() -> float:
        return float(vae_loss(vae, rgb, depth, torch.Generator().manual_seed(0)).total)

    first = loss()
    assert loss() == first
    vae.decoder.layers[-2].bias += 5.0  # type: ignore[operator, union-attr]
    assert loss() > first + 1


@torch.no_grad()
def test_the_shipped_autoencoder_keeps_pictures_and_depth(nano, frames):
    rgb, depth = frames
    decoded = nano.vae.decode(nano.vae.encode(rgb, depth))
    error = ((decoded[:, :3] - rgb) / 2).square().mean()
    assert -10 * error.log10() > 24  # decibels
    ratio = channel_to_depth(decoded[:, 3:]) / depth
    assert (ratio.log().abs() < 0.1).float().mean() > 0.9


@torch.no_grad()
def test_latents_of_the_shipped_one_have_about_unit_variance(nano, frames):
    latents = nano.vae.encode(*frames)
    assert 0.6 < latents.std() < 1.4
    assert latents.mean().abs() < 0.3


@torch.no_grad()
def test_depth_is_estimated_from_colour_alone(nano, frames):
    rgb, depth = frames
    ratio = (nano.estimate_depth(rgb) / depth).log().abs()
    constant = (depth.log() - depth.log().mean()).abs()
    assert ratio.median() < 0.2
    assert ratio.mean() < 0.5 * constant.mean()
