"""Losses of a rollout's newest frame."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mgenv.memory.reprojection import Canvas
from mgenv.models.sampler import add_noise, clean_estimate, noise_levels
from mgenv.models.transformer import pose_features
from mgenv.models.vae import depth_to_channel
from mgenv.models.world_model import WorldModel
from mgenv.training.discriminator import Discriminator, generator_loss
from mgenv.training.flow_matching import Loss, pixel_loss
from mgenv.training.rollouts import Rollouts

SELF_WEIGHT = 0.3
"""Weight of the pixel loss against generated memory, relative to observed memory."""

TRUE_JUDGED, KNOWN_JUDGED = 0.5, 0.05
"""Weights of the discriminator: in large holes with a true frame, and on all of a view without one
(there, new holes add 1). It is off where observed frames cover a view with a true frame, to
preserve PSNR."""

GAP_WEIGHT, HOLE_WEIGHT = 0.5, 0.05
"""Weights of the pixel loss against the true frame: in gaps that memory surrounds, and in large
holes, where it is one of many plausible frames."""


def imagine_with_gradient(
    model: WorldModel,
    rollouts: Rollouts,
    canvas: Canvas,
    pose: Tensor,
    steps: int,
) -> Tensor:
    """Frames (B, 4, H, W) of the few-step sampler, with a gradient through the last step only."""
    history, network = rollouts.history, model.network
    with torch.no_grad():
        features = model.canvas_tokens(canvas)
    motion = pose_features(pose, history.pose, history.present[:, -1])
    time, present = history.time, history.present
    context = network.memory(features, motion, time, history.keys_values(), present)
    shape = (len(pose), model.config.vae.latent_channels, *features.shape[-2:])
    levels = noise_levels(steps)
    noisy = clean = _noise(shape, rollouts)
    for index, sigma in enumerate(levels[:-1]):
        at = torch.full((len(pose),), sigma, device=pose.device)
        with torch.set_grad_enabled(index + 1 == steps):
            velocity = network.velocity(noisy, at, features, motion, time, context, present)
        clean = clean_estimate(noisy, velocity, sigma)
        if index + 1 < steps:
            noisy = add_noise(clean, _noise(shape, rollouts), levels[index + 1])
    return model.finish(clean, canvas).float()


def rollout_loss(
    critic: Discriminator,
    rollouts: Rollouts,
    canvas: Canvas,
    frame: Tensor,
    truth: Tensor,
    adversarial_weight: Tensor,
) -> Loss:
    """Pixel loss against the true frame or, without one, memory; adversarial loss in holes.

    Args:
        frame, truth: (B, 4, H, W) colour and log depth.
        adversarial_weight: scalar.
    """
    known, true = canvas.mask, rollouts.has_truth.float()[:, None, None, None]
    own = torch.cat([canvas.rgb, depth_to_channel(canvas.depth)], 1)
    target = torch.where(true > 0, truth, own)
    judged = generator_loss(critic, truth, frame, shown_mask(rollouts, canvas))  # (B, h, w)
    hole = F.avg_pool2d(1 - known, known.shape[-1] // judged.shape[-1])  # (B, 1, h, w)
    large = F.avg_pool2d(hole, 3, 1, 1, count_include_pad=False).square()
    spread = F.interpolate(large, known.shape[-2:])  # (B, 1, H, W)
    gap = GAP_WEIGHT * (1 - spread) + HOLE_WEIGHT * spread
    weight = known * (true + SELF_WEIGHT * (1 - true)) + (1 - known) * true * gap
    pixels = (pixel_loss(frame, target) * weight).mean()
    critic_weight = true * TRUE_JUDGED * hole * large + (1 - true) * (KNOWN_JUDGED + hole)
    adversarial = (judged * critic_weight.squeeze(1)).mean()
    total = pixels + adversarial_weight * adversarial
    return Loss(total, {"rollout_pixels": pixels.detach(), "adversarial": adversarial.detach()})


def shown_mask(rollouts: Rollouts, canvas: Canvas) -> Tensor:
    """The memory mask as the discriminator sees it: (B, 1, H, W).

    Zero where a slot wanders: its true frame is of another place, so edges of the mask would give
    the generated frame away.
    """
    return canvas.mask * (~rollouts.wanders).float()[:, None, None, None]


def _noise(shape: tuple[int, ...], rollouts: Rollouts) -> Tensor:
    device = rollouts.walks.rgb.device
    return torch.randn(shape, generator=rollouts.generator, device=device)
