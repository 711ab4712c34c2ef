"""The video autoencoder computes what the public one does, at every width."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mgenv.errors import CheckpointError, InvalidOptionError
from mgenv.matrix_game3.vae.config import VaeConfig, join_decoder
from mgenv.matrix_game3.vae.vae import VideoVAE, fold_patches, unfold_patches
from tests.matrix_game3.light_vae import PUBLIC_LIGHT_75

FIXTURES = Path(__file__).parents[2] / "fixtures" / "matrix_game3"
WIDTHS = ("00", "50", "75")
TINY = VaeConfig(
    latent_channels=5,
    encoder_widths=(3, 3, 6, 12, 12),
    decoder_widths=(16, 16, 16, 8, 4),
    encoder_blocks=1,
    decoder_blocks=2,
)


@cache
def golden() -> dict[str, Tensor]:
    return load_file(FIXTURES / "vae_golden.safetensors")


@cache
def state_of(width: str) -> dict[str, Tensor]:
    return load_file(FIXTURES / f"vae_{width}.safetensors")


@cache
def public_vae(width: str) -> VideoVAE:
    mean, std = (golden()[f"vae_{width}.latent_{name}"] for name in ("mean", "std"))
    return VideoVAE.from_state_dict(state_of(width), mean, std)


def relative_error(out: Tensor, expected: Tensor) -> float:
    return ((out - expected).norm() / expected.norm()).item()


def typical_error(out: Tensor, expected: Tensor) -> float:
    """Ratio of medians: a few cells near the pole of a two-channel norm do not decide it."""
    return ((out - expected).abs().median() / expected.abs().median()).item()


def within_rounding(video: Tensor) -> Tensor:
    """A video that half precision would round to `video`."""
    generator = torch.Generator().manual_seed(0)
    cell = 2.0 ** (video.abs().clamp_min(2**-14).log2().floor() - 10)
    return video + (torch.rand(video.shape, generator=generator) - 0.5) * cell


@pytest.mark.parametrize("width", WIDTHS)
def test_latents_equal_the_public_ones(width: str) -> None:
    """The stored videos were rounded after use: that noise (measured here) is all that differs."""
    video, vae = golden()[f"vae_{width}.video"].float(), public_vae(width)
    latent, expected = vae.encode(video), golden()[f"vae_{width}.latent"]
    noise = typical_error(vae.encode(within_rounding(video)), latent)
    assert typical_error(latent, expected) < max(1e-4, 2 * noise)
    assert relative_error(latent, expected) < 1e-3


@pytest.mark.parametrize("width", WIDTHS)
def test_decoded_video_equals_the_public_one(width: str) -> None:
    """Stored in half precision, which alone makes 2e-4."""
    video = public_vae(width).decode(golden()[f"vae_{width}.latent"])
    assert relative_error(video, golden()[f"vae_{width}.decoded"].float()) < 3e-4


@pytest.mark.parametrize("width", WIDTHS)
def test_keys_are_the_public_ones(width: str) -> None:
    ours = public_vae(width).state_dict()
    assert {key: value.shape for key, value in ours.items()} == {
        key: value.shape for key, value in state_of(width).items()
    }


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        replace(
            TINY,
            encoder_widths=(2, 4, 4, 8),
            decoder_widths=(12, 12, 6, 3),
            encoder_temporal=(True, False),
            decoder_temporal=(False, True),
        ),
        replace(TINY, decoder_widths=(7, 7, 7, 7, 5), patch=1),
        replace(TINY, latent_channels=48, decoder_blocks=1),
        PUBLIC_LIGHT_75,
    ],
)
def test_config_is_worked_out_from_any_state_dict(config: VaeConfig) -> None:
    with torch.device("meta"):
        state = VideoVAE(config).state_dict()
    assert VaeConfig.from_state_dict(state) == config


def test_light_decoder_joins_the_whole_encoder() -> None:
    joined = join_decoder(state_of("00"), state_of("75"))
    config = VaeConfig.from_state_dict(joined)
    assert config.encoder_widths == public_vae("00").config.encoder_widths
    assert config.decoder_widths == public_vae("75").config.decoder_widths
    video = golden()["vae_00.video"].float()
    assert torch.equal(
        VideoVAE.from_state_dict(joined).encode(video),
        VideoVAE.from_state_dict(state_of("00")).encode(video),
    )


def test_state_of_another_model_is_refused_by_name() -> None:
    state = {key: value for key, value in state_of("75").items() if key != "conv2.weight"}
    with pytest.raises(CheckpointError, match="conv2.weight"):
        VaeConfig.from_state_dict(state)


def test_weights_that_do_not_fit_are_named() -> None:
    state = state_of("75") | {"decoder.surplus": torch.zeros(1)}
    state["decoder.middle.1.proj.weight"] = torch.zeros(3, 3, 1, 1)
    with pytest.raises(CheckpointError, match=r"(?s)decoder\.surplus.*middle\.1\.proj\.weight"):
        VideoVAE.from_state_dict(state)


def test_widths_whose_shortcuts_do_not_fill_are_refused() -> None:
    with pytest.raises(InvalidOptionError, match="multiple of the next"):
        replace(TINY, decoder_widths=(36, 12, 12, 6, 9))


def test_patches_unfold_to_the_same_video() -> None:
    video = torch.randn(2, 3, 5, 8, 12)
    folded = fold_patches(video, 2)
    assert folded.shape == (2, 12, 5, 4, 6)
    assert torch.equal(unfold_patches(folded, 2), video)


def test_statistics_of_the_wrong_length_are_refused() -> None:
    with pytest.raises(InvalidOptionError, match="5 values of latent_mean, got 3"):
        VideoVAE(TINY, latent_mean=[0.0] * 3)
