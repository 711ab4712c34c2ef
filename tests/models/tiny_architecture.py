"""A second architecture: it shows what is remembered, and a running mean of frames elsewhere."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from mgenv.models.architecture import Architecture
from mgenv.models.vae import channel_to_depth, depth_to_channel


@dataclass
class MeanConfig:
    image_size: int = 16

    def to_dict(self) -> dict:
        return asdict(self)


class MeanModel(nn.Module):
    architecture = "running-mean"

    def __init__(self, config: MeanConfig) -> None:
        super().__init__()
        self.config = config
        self.keep = nn.Parameter(torch.tensor(0.5))


@dataclass
class MeanState:
    mean: Tensor  # (B, 4, H, W)

    def tensors(self) -> list[Tensor]:
        return [self.mean]

    def view(self, part) -> MeanState:
        return MeanState(self.mean[part])

    def select(self, rows: Tensor) -> MeanState:
        return MeanState(self.mean[rows])

    def assign(self, rows: Tensor, other: MeanState) -> None:
        self.mean[rows] = other.mean

    def copy_(self, other: MeanState) -> None:
        self.mean.copy_(other.mean)

    def forget(self, rows: Tensor) -> None:
        self.mean[rows] = 0.0


class MeanRunner:
    def __init__(self, model: MeanModel, device: torch.device, steps: int) -> None:
        self.keep, self.side = float(model.keep.detach()), model.config.image_size
        self.noise_shape = (steps, 4, self.side, self.side)

    def begin_state(self, batch: int) -> MeanState:
        return MeanState(torch.zeros(batch, 4, self.side, self.side))

    def observe(self, state: MeanState, frame: Tensor, pose: Tensor) -> MeanState:
        return MeanState(self.keep * state.mean + (1 - self.keep) * frame)

    def imagine(self, canvas, pose: Tensor, state: MeanState, noise: Tensor) -> Tensor:
        return state.mean + 0.05 * noise[0]

    def decode(self, latents: Tensor, canvas) -> Tensor:
        known = torch.cat([canvas.rgb, depth_to_channel(canvas.depth)], 1)
        return torch.where(canvas.mask > 0.5, known, latents).clamp(-1, 1)

    def estimate_depth(self, rgb: Tensor) -> Tensor:
        return channel_to_depth(torch.zeros_like(rgb[:, 0]))


ENTRY = Architecture(lambda config: MeanModel(MeanConfig(**config)), MeanRunner)
