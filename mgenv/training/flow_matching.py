"""Flow-matching loss of the world model, and the refiner's pixel loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mgenv.models.sampler import add_noise, clean_estimate
from mgenv.models.transformer import history_windows, pose_features
from mgenv.models.vae import depth_to_channel
from mgenv.models.world_model import WorldModel
from mgenv.training.clips import Clips
from mgenv.training.error_buffer import ErrorBuffer


@dataclass
class Loss:
    """A scalar to minimise, and its parts for the log."""

    total: Tensor
    parts: dict[str, Tensor]


DEPTH_WEIGHT = 3.0
"""Weight of log depth relative to a colour channel."""

DROP_HISTORY = 0.15
"""Share of targets with only the last 0 … history - 1 frames of their history."""


def pixel_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Per-pixel error of colour and log depth (B, 4, H, W) with their gradients: (B, 1, H, W)."""
    error = predicted - target
    error = torch.cat([error[:, :3], DEPTH_WEIGHT * error[:, 3:]], 1)
    value = error.abs() + 2 * error.square()
    across = F.pad(error[..., 1:] - error[..., :-1], (0, 1)).abs()
    down = F.pad(error[..., 1:, :] - error[..., :-1, :], (0, 0, 0, 1)).abs()
    return (value + across + down).mean(1, keepdim=True)


def flow_matching_loss(
    model: WorldModel,
    clips: Clips,
    generator: torch.Generator,
    errors: ErrorBuffer,
    refined: int,
) -> Loss:
    """Velocity loss on the targets, and pixel loss on ``refined`` of them."""
    n = len(clips.canvas.mask) // len(clips.rgb)
    first = clips.rgb.shape[1] - n
    with torch.no_grad():
        clean = model.vae.encode(clips.rgb[:, first:], clips.depth[:, first:]).flatten(0, 1)
        context = model.vae.encode(clips.context_rgb, clips.context_depth)
        features = model.canvas_tokens(clips.canvas)
    noise = torch.randn(clean.shape, generator=generator, device=clean.device)
    sigma = draw_sigma(len(clean), generator)
    noisy = add_noise(clean, noise, sigma[:, None, None, None])
    velocity = predict_velocity(model, clips, context, features, noisy, sigma, generator)
    flow = F.mse_loss(velocity, noise - clean)
    estimate = clean_estimate(noisy, velocity, sigma[:, None, None, None])
    order = torch.rand(len(clean), generator=generator, device=clean.device).argsort()
    chosen = order[:refined]
    pixels = _refined_loss(model, clips, estimate, chosen, first, sigma, errors)
    return Loss(flow + pixels, {"flow": flow.detach(), "pixels": pixels.detach()})


def predict_velocity(
    model: WorldModel,
    clips: Clips,
    context: Tensor,
    features: Tensor,
    noisy: Tensor,
    sigma: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Velocities of all targets; those of a clip share the clean frames' keys and values."""
    network, (batch, frames) = model.network, context.shape[:2]
    history = network.config.history
    n, device = frames - history, context.device
    time = torch.arange(frames, device=device).expand(batch, -1)
    known = torch.ones(batch, frames, dtype=torch.bool, device=device)
    known[:, 0] = False
    previous = torch.cat([clips.pose[:, :1], clips.pose[:, :-1]], 1)
    motion = pose_features(clips.pose, previous, known)  # (B, F, 15)
    present = torch.ones(batch, frames + history - 1, dtype=torch.bool, device=device)
    present[:, : history - 1] = False
    keys_values = network.history(context, motion, time, present, None)
    window = history_windows(keys_values, history, network.config.tokens)
    seen = _history_present(batch * n, history, generator)
    target_motion = motion[:, history:].flatten(0, 1)
    target_motion = torch.where(seen[:, -1:], target_motion, _no_motion(target_motion))
    target_time = time[:, history:].flatten()
    joined = network.memory(features, target_motion, target_time, window, seen)
    return network.velocity(noisy, sigma, features, target_motion, target_time, joined, seen)


def draw_sigma(count: int, generator: torch.Generator) -> Tensor:
    """Noise levels (count,), half of them near 1, where few-step sampling begins."""
    uniform = torch.rand(count, generator=generator, device=generator.device)
    sigma = 3 * uniform / (1 + 2 * uniform)
    pure = torch.rand(count, generator=generator, device=generator.device) < 0.15
    return torch.where(pure, 1.0, sigma).clamp(0.02, 1.0)


def _history_present(count: int, history: int, generator: torch.Generator) -> Tensor:
    """Mask (count, history) of history frames: all, or, as at an episode's start, fewer."""
    device = generator.device
    length = torch.randint(0, history, (count, 1), generator=generator, device=device)
    dropped = torch.rand(count, 1, generator=generator, device=device) < DROP_HISTORY
    length = torch.where(dropped, length, history)
    return torch.arange(history, device=device) >= history - length


def _no_motion(features: Tensor) -> Tensor:
    """Pose features of a frame without a predecessor: pitch and height only."""
    blank = torch.zeros_like(features)
    blank[..., 12:14] = features[..., 12:14]
    return blank


def _refined_loss(
    model: WorldModel,
    clips: Clips,
    estimate: Tensor,
    chosen: Tensor,
    first: int,
    sigma: Tensor,
    errors: ErrorBuffer,
) -> Tensor:
    """Pixel loss of the ``chosen`` estimates; their residuals go into the error buffer."""
    refined = model.finish(estimate[chosen], clips.canvas.select(chosen)).float()
    rgb = clips.rgb[:, first:].flatten(0, 1)[chosen]
    depth = clips.depth[:, first:].flatten(0, 1)[chosen]
    target = torch.cat([rgb, depth_to_channel(depth)], 1)
    errors.add(refined.detach() - target, sigma[chosen])
    return pixel_loss(refined, target).mean()
