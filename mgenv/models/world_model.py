"""The world model: autoencoder, transformer and refiner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from mgenv.config import group, option, settings
from mgenv.memory.reprojection import Canvas
from mgenv.models.history import History
from mgenv.models.refiner import Refiner, RefinerConfig
from mgenv.models.sampler import sample
from mgenv.models.transformer import Transformer, TransformerConfig, canvas_features, pose_features
from mgenv.models.vae import VAE, VAEConfig, channel_to_depth, depth_to_channel


@settings
class WorldModelConfig:
    """Configuration of the network, stored in the checkpoint's header."""

    image_size: int = option(64, "pixels along a side of a frame")
    vae: VAEConfig = group(VAEConfig, "autoencoder of colour and depth")
    transformer: TransformerConfig = group(TransformerConfig, "velocity network")
    refiner: RefinerConfig = group(RefinerConfig, "network that sharpens decoded frames")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> WorldModelConfig:
        """From :func:`dataclasses.asdict`, lists for tuples allowed."""
        vae: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values["vae"].items()
        }
        refiner = {k: tuple(v) for k, v in values["refiner"].items()}
        return cls(
            image_size=values["image_size"],
            vae=VAEConfig(**vae),
            transformer=TransformerConfig(**values["transformer"]),
            refiner=RefinerConfig(**refiner),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


class WorldModel(nn.Module):
    """Predicts the next frame from memory and motion."""

    architecture = "flow-transformer"

    def __init__(self, config: WorldModelConfig) -> None:
        super().__init__()
        self.config = config
        self.vae = VAE(config.vae)
        self.network = Transformer(config.transformer)
        self.refiner = Refiner(config.refiner)

    def canvas_tokens(self, canvas: Canvas) -> Tensor:
        """Canvas features (B, C + 28, h, w), see :func:`canvas_features`."""
        latents = self.vae.encode(canvas.rgb, canvas.depth)
        return canvas_features(latents, canvas.mask, canvas.evidence)

    def imagine(
        self,
        canvas: Canvas,
        pose: Tensor,
        history: History,
        noise: Callable[[], Tensor],
        steps: int,
    ) -> Tensor:
        """Latents of the frame at ``pose`` (B, 4, 4): (B, C, h, w)."""
        features = self.canvas_tokens(canvas)
        motion = pose_features(pose, history.pose, history.present[:, -1])
        present, time = history.present, history.time
        context = self.network.memory(features, motion, time, history.keys_values(), present)

        def velocity(noisy: Tensor, sigma: Tensor) -> Tensor:
            return self.network.velocity(noisy, sigma, features, motion, time, context, present)

        return sample(velocity, noise, steps)

    def finish(self, latents: Tensor, canvas: Canvas) -> Tensor:
        """Latents to colour and log depth (B, 4, H, W)."""
        known = torch.cat([canvas.rgb, depth_to_channel(canvas.depth)], 1)
        return self.refiner(self.vae.decode(latents), known, canvas.mask, canvas.evidence)

    def estimate_depth(self, rgb: Tensor) -> Tensor:
        """Depth [m] (B, 1, H, W) of colour (B, 3, H, W) alone, from the autoencoder."""
        return channel_to_depth(self.vae.decode(self.vae.encode(rgb, None))[:, 3:])
