"""References of the networks: both clips of the transformer, and autoencoders of any width."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mgenv.matrix_game3.checkpoint.loader import materialise, open_weights
from mgenv.matrix_game3.checkpoint.references import (
    LIMIT,
    Case,
    Results,
    clip_latents,
    clip_start,
    relative_error,
)
from mgenv.matrix_game3.memory.camera import frame_of_latent
from mgenv.matrix_game3.network.config import TransformerConfig
from mgenv.matrix_game3.network.transformer import Transformer, build
from mgenv.matrix_game3.vae.config import VaeConfig
from mgenv.matrix_game3.vae.vae import VideoVAE

CONFIG, NETWORK = "dit_config.json", "dit.safetensors"
VAE_GOLDEN = "vae_golden.safetensors"

DECODED_LIMIT = 2e-3
"""What decoded videos may differ by, which are stored in half precision."""


def clips(case: Case) -> Results:
    if not (case.root / CONFIG).is_file() or not (case.root / NETWORK).is_file():
        return
    network = build(TransformerConfig.from_json(case.root / CONFIG))
    materialise(network, open_weights(case.root / NETWORK), case.device)
    if case.has("first.x", "first.t", "first.y", "text"):
        yield case.result("first.y", _first(case, network))
    if case.has("second.x", "second.t", "second.y", "text", "second.predict_latent_idx"):
        yield case.result("second.y", second_velocity(case, network))


def _actions(case: Case, frames: slice, batch: int) -> tuple[Tensor | None, Tensor | None]:
    if not case.has("keyboard", "mouse"):
        return None, None
    chosen = (case.float(name)[frames] for name in ("keyboard", "mouse"))
    keyboard, mouse = (action.expand(batch, *action.shape) for action in chosen)
    return keyboard, mouse


def _text(case: Case, batch: int) -> list[Tensor]:
    """Embedded prompts (K, D), one for all or one each."""
    text = case.float("text")
    return [text] * batch if text.ndim == 2 else list(text)


def _optional(case: Case, name: str) -> Tensor | None:
    return case.float(name) if case.has(name) else None


def _first(case: Case, network: Transformer) -> Tensor:
    x = case.float("first.x")
    batch, latents = x.shape[0], x.shape[2]
    keyboard, mouse = _actions(case, slice(0, frame_of_latent(latents - 1) + 1), batch)
    return network(
        x,
        case.float("first.t"),
        _text(case, batch),
        _optional(case, "plucker.first_clip"),
        keyboard,
        mouse,
        predict_latent_idx=(0, latents),
    )


def second_velocity(case: Case, network: Transformer) -> Tensor:
    """Velocity of the second clip."""
    conditions = network.prepare(**second_clip(case))
    return network.velocity(case.float("second.x"), case.float("second.t"), conditions)


def second_clip(case: Case) -> dict[str, Any]:
    """Arguments of ``Transformer.prepare`` for the second clip."""
    x, window = case.float("second.x"), clip_latents(case)
    start, end = clip_start(case), frame_of_latent(window[-1]) + 1
    keyboard, mouse = _actions(case, slice(start, end), x.shape[0])
    return {
        "text": _text(case, x.shape[0]),
        "plucker": _optional(case, "second.plucker"),
        "keyboard": keyboard,
        "mouse": mouse,
        "memory": _optional(case, "second.x_memory"),
        "memory_latent_idx": case.golden.get("second.memory_latent_idx"),
        "predict_latent_idx": (window.start, window.stop),
        "shape": (x.shape[0], *x.shape[2:]),
    }


def autoencoders(case: Case) -> Results:
    for file in sorted(case.root.glob("vae_*.safetensors")):
        if file.name != VAE_GOLDEN and case.has(f"{file.stem}.latent"):
            yield from _vae(case, file)


def _vae(case: Case, file: Path) -> Results:
    name, weights = file.stem, open_weights(file)
    with torch.device("meta"):
        vae = VideoVAE(VaeConfig.from_state_dict(weights.meta()))
    materialise(vae, weights, case.device)
    vae.set_statistics(
        case.golden.get(f"{name}.latent_mean"), case.golden.get(f"{name}.latent_std")
    )
    if case.has(f"{name}.video"):
        video, latent = case.golden[f"{name}.video"], vae.encode(case.float(f"{name}.video"))
        limit = max(LIMIT, 2 * rounding_error(vae.encode, video, latent))
        yield case.result(f"{name}.latent", latent, limit)
    if case.has(f"{name}.decoded"):
        decoded = vae.decode(case.float(f"{name}.latent"))
        yield case.result(f"{name}.decoded", decoded, DECODED_LIMIT)


def rounding_error(function: Callable[[Tensor], Tensor], stored: Tensor, output: Tensor) -> float:
    """The error of an output that rounding of its input alone makes, 0 if that is in float32.

    Stored videos were rounded after the latents had been worked out from them, so no computation
    comes closer to those than this: three inputs that round to the stored one are tried.
    """
    if torch.finfo(stored.dtype).bits >= 32:
        return 0.0
    kind, exact = torch.finfo(stored.dtype), stored.float()
    spacing = exact.abs().clamp_min(kind.smallest_normal).log2().floor().exp2() * kind.eps
    generator = torch.Generator().manual_seed(0)
    draws = (torch.rand(exact.shape, generator=generator).to(exact) - 0.5 for _ in range(3))
    return max(relative_error(function(exact + spacing * draw), output) for draw in draws)
