"""A pruned decoder is smaller, still decodes, and can learn from the whole one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mgenv.errors import InvalidOptionError
from mgenv.matrix_game3.vae.config import (
    VaeConfig,
)
from mgenv.matrix_game3.vae.streaming import StreamingDecoder
from mgenv.matrix_game3.vae.vae import VideoVAE
from mgenv.training.pruning.prune import axes, fit_pruned, narrowed, prune_channels
from tests.matrix_game3.light_vae import PUBLIC_LIGHT_50, PUBLIC_LIGHT_75, PUBLIC_VAE

CONFIG = VaeConfig(
    latent_channels=6,
    encoder_widths=(4, 4, 4, 8, 8),
    decoder_widths=(32, 32, 32, 16, 8),
    encoder_blocks=1,
    decoder_blocks=2,
)


def make(config: VaeConfig = CONFIG) -> VideoVAE:
    torch.manual_seed(0)
    return VideoVAE(config).requires_grad_(False).eval()


@pytest.fixture
def latent() -> Tensor:
    return torch.randn(1, 6, 3, 2, 3, generator=torch.Generator().manual_seed(1))


def silence(vae: VideoVAE, every: int) -> None:
    """Stops whatever writes all but each `every`-th channel of a group.

    The rest is made loud, so that the epsilon of the norms does not show.
    """
    weights = dict(vae.decoder.named_parameters())
    for key, (outputs, *_) in axes(vae.config).items():
        if not outputs or key.endswith("gamma"):
            continue
        for channels, rows in zip(outputs, weights[key].data.chunk(len(outputs)), strict=True):
            index = torch.arange(len(rows)) // channels.spread
            rows[index % every != 0] = 0
            rows *= 4


def test_public_widths() -> None:
    assert narrowed(PUBLIC_VAE, 0.5) == PUBLIC_LIGHT_50
    assert narrowed(PUBLIC_VAE, 0.75) == PUBLIC_LIGHT_75


@pytest.mark.parametrize("rate", [0.0, 0.5, 0.7, 0.99])
@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        replace(CONFIG, decoder_widths=(8, 8, 8, 8, 8)),
        replace(CONFIG, decoder_widths=(24, 12, 12, 6, 9)),
    ],
)
def test_any_decoder_and_rate_runs(config: VaeConfig, rate: float, latent: Tensor) -> None:
    vae = make(config)
    pruned = prune_channels(vae, rate)
    assert pruned.config == narrowed(config, rate)
    assert pruned.decode(latent).shape == vae.decode(latent).shape
    if rate == 0:
        assert torch.allclose(pruned.decode(latent), vae.decode(latent), atol=1e-5)


def test_every_weight_is_cut() -> None:
    assert set(axes(CONFIG)) == set(make().decoder.state_dict())


@pytest.mark.parametrize("every", [2, 4])
def test_silent_channels_are_those_cut(every: int, latent: Tensor) -> None:
    vae = make()
    silence(vae, every)
    pruned = prune_channels(vae, 1 - 1 / every)
    expected = vae.decode(latent)
    assert (pruned.decode(latent) - expected).norm() < 1e-3 * expected.norm()


def test_encoder_stays_whole() -> None:
    vae, video = make(), torch.rand(1, 3, 5, 32, 32)
    assert torch.equal(prune_channels(vae, 0.5).encode(video), vae.encode(video))


def test_pruned_saves_loads_and_streams(tmp_path: Path, latent: Tensor) -> None:
    pruned = prune_channels(make(), 0.5)
    save_file(pruned.state_dict(), tmp_path / "light.safetensors")
    loaded = VideoVAE.from_state_dict(load_file(tmp_path / "light.safetensors"))
    assert loaded.config == pruned.config
    decoder = StreamingDecoder(loaded)
    pieces = [decoder.decode(part) for part in latent.split(1, dim=2)]
    assert torch.allclose(torch.cat(pieces, dim=2), pruned.decode(latent), atol=1e-5)


def test_fine_tuning_lowers_the_error_and_leaves_the_whole_alone() -> None:
    full = make()
    pruned = prune_channels(full, 0.5)
    before = {key: value.clone() for key, value in full.state_dict().items()}
    encoder = {key: value.clone() for key, value in pruned.encoder.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    videos = list(torch.rand(2, 1, 3, 5, 32, 32, generator=generator) * 2 - 1)
    errors = fit_pruned(full, pruned, videos, 30, learning_rate=3e-3, generator=generator)
    assert max(errors[-5:]) < 0.5 * errors[0]
    assert all(torch.equal(value, before[key]) for key, value in full.state_dict().items())
    assert all(
        torch.equal(value, encoder[key]) for key, value in pruned.encoder.state_dict().items()
    )


def test_bad_rates_and_widths_are_refused() -> None:
    with pytest.raises(InvalidOptionError, match=r"\[0, 1\), got 1.5"):
        prune_channels(make(), 1.5)
    with pytest.raises(InvalidOptionError, match="divide each other"):
        prune_channels(make(replace(CONFIG, decoder_widths=(4, 8, 8, 8, 8))), 0.5)
