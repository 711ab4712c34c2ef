"""Inference of a trained flow transformer: precision, layer implementations, and its runner."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mgenv.memory.reprojection import Canvas
from mgenv.models.architecture import Architecture
from mgenv.models.history import History
from mgenv.models.onednn_layers import has_onednn, to_onednn
from mgenv.models.sampler import noise_levels
from mgenv.models.transformer_inference_cpu import CpuTransformer
from mgenv.models.vae import channel_to_depth
from mgenv.models.world_model import WorldModel, WorldModelConfig


def inference_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies it fast, else float32."""
    if device.type == "cuda":
        return torch.bfloat16
    fast = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def for_inference(
    model: WorldModel, device: torch.device, dtype: torch.dtype, levels: Sequence[float]
) -> WorldModel:
    """A copy for one device.

    Args:
        levels: the sampler's noise levels.
    """
    model = copy.deepcopy(model).to(device).eval().requires_grad_(False)
    if device.type == "cpu" and has_onednn():
        return _for_cpu(model, dtype, levels)
    for part in (model.vae, model.network, model.refiner):
        for parameter in part.parameters():
            parameter.data = parameter.data.to(dtype)
    model.vae.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.refiner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def _for_cpu(model: WorldModel, dtype: torch.dtype, levels: Sequence[float]) -> WorldModel:
    """Replace layers by oneDNN layers and the network by a :class:`CpuTransformer`, in place."""
    to_onednn(model.vae, dtype)
    model.refiner = to_onednn(model.refiner, dtype)  # type: ignore[assignment]
    network = CpuTransformer(model.network, levels, dtype)
    model.network = network  # type: ignore[assignment]
    return model


def precision(model: WorldModel, dtype: torch.dtype) -> contextlib.AbstractContextManager:
    """Autocast context for ``model``; a :class:`CpuTransformer` casts by itself."""
    device = next(model.parameters()).device.type
    low = dtype != torch.float32 and not isinstance(model.network, CpuTransformer)
    return torch.autocast(device, torch.bfloat16, enabled=low)


class FlowRunner:
    """A flow transformer that runs: see :class:`mgenv.models.architecture.Runner`."""

    def __init__(self, model: WorldModel, device: torch.device, steps: int) -> None:
        self.device, self._dtype = device, inference_dtype(device)
        self.model = for_inference(model, device, self._dtype, noise_levels(steps))
        latent, side = model.config.vae.latent_channels, model.config.transformer.side
        self.noise_shape = (steps, latent, side, side)

    def begin_state(self, batch: int) -> History:
        state = History.empty(self.model.config.transformer, batch, self.device)
        state.cache = state.cache.to(self._dtype)
        return state

    def observe(self, state: History, frame: Tensor, pose: Tensor) -> History:
        with precision(self.model, self._dtype):
            latents = self.model.vae.encode(frame[:, :3], channel_to_depth(frame[:, 3:]))
            return state.append(self.model.network, latents, pose)

    def imagine(self, canvas: Canvas, pose: Tensor, state: History, noise: Tensor) -> Tensor:
        draws = iter(noise)
        with precision(self.model, self._dtype):
            return self.model.imagine(canvas, pose, state, lambda: next(draws), len(noise))

    def decode(self, latents: Tensor, canvas: Canvas) -> Tensor:
        with precision(self.model, self._dtype):
            frame = self.model.finish(latents, canvas)
        return frame.float().clamp(-1, 1)

    def estimate_depth(self, rgb: Tensor) -> Tensor:
        with precision(self.model, self._dtype):
            return self.model.estimate_depth(rgb)[:, 0].float()


def _build(config: dict[str, Any]) -> WorldModel:
    return WorldModel(WorldModelConfig.from_dict(config))


ENTRY = Architecture(_build, FlowRunner)
"""The architecture ``"flow-transformer"``."""
