"""Loss of the autoencoder, and statistics of its latents."""

from __future__ import annotations

import torch
from torch import Tensor

from mgenv.images import psnr, to_float
from mgenv.models.vae import UNKNOWN_DEPTH, VAE, depth_to_channel
from mgenv.training.data import Walks
from mgenv.training.flow_matching import Loss, pixel_loss

KL_WEIGHT = 1e-4
UNKNOWN_DEPTH_SHARE = 0.15
"""Share of frames encoded without depth, so that colour alone can be remembered."""

MEASURED = 2048
"""Frames from which latent statistics are measured."""


def draw_frames(walks: Walks, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random frames: rgb (M, 3, H, W) in [-1, 1] and depth (M, 1, H, W) [m]."""
    worlds, length = walks.count
    device = walks.rgb.device
    walk = torch.randint(worlds, (count,), generator=generator, device=device)
    time = torch.randint(length, (count,), generator=generator, device=device)
    return to_float(walks.rgb[walk, time]), walks.depth[walk, time].float().unsqueeze(1)


def vae_loss(vae: VAE, rgb: Tensor, depth: Tensor, generator: torch.Generator) -> Loss:
    """Reconstruction loss of colour and log depth, and a weak KL term on the latents."""
    target = torch.cat([rgb, depth_to_channel(depth)], 1)
    hidden = torch.rand(len(rgb), 1, 1, 1, generator=generator, device=rgb.device)
    channel = torch.where(hidden < UNKNOWN_DEPTH_SHARE, UNKNOWN_DEPTH, target[:, 3:])
    mean, log_variance = vae.encoder(torch.cat([rgb, channel], 1)).float().chunk(2, 1)
    log_variance = log_variance.clamp(-12, 4)
    noise = torch.randn(mean.shape, generator=generator, device=mean.device)
    decoded = vae.decoder(mean + noise * (log_variance / 2).exp()).float()
    pixels = pixel_loss(decoded, target).mean()
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
    decibels = psnr((decoded[:, :3] - rgb).square().mean(), peak=2.0)
    return Loss(
        pixels + KL_WEIGHT * kl,
        {"pixels": pixels.detach(), "kl": kl.detach(), "psnr": decibels.detach()},
    )


@torch.no_grad()
def measure_latents(vae: VAE, walks: Walks, generator: torch.Generator) -> None:
    """Set the VAE's buffers so that latents have zero mean and unit variance."""
    vae.mean.zero_()
    vae.std.fill_(1.0)
    parts = [vae.encode(*draw_frames(walks, 256, generator)) for _ in range(MEASURED // 256)]
    latents = torch.cat(parts).float()
    vae.mean.copy_(latents.mean((0, 2, 3)))
    vae.std.copy_(latents.std((0, 2, 3)).clamp_min(1e-3))
