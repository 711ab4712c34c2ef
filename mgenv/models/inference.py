"""Inference of a trained model: precision and layer implementations."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Sequence

import torch

from mgenv.models.onednn_layers import has_onednn, to_onednn
from mgenv.models.transformer_inference_cpu import CpuTransformer
from mgenv.models.world_model import WorldModel


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
