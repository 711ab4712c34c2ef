"""What golden tensors are references of, each computed again from the tensors beside it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mgenv.errors import CheckpointError
from mgenv.models.matrix_game3.camera import (
    camera_to_world,
    frame_of_latent,
    memory_pose_frame,
    plucker,
    poses_of_actions,
)
from mgenv.models.matrix_game3.config import TransformerConfig
from mgenv.models.matrix_game3.loader import materialise, open_weights
from mgenv.models.matrix_game3.retrieval import SINK_FRAME, retrieve
from mgenv.models.matrix_game3.sampler import FlowUniPC
from mgenv.models.matrix_game3.transformer import Transformer, build
from mgenv.models.matrix_game3.vae import VideoVAE
from mgenv.models.matrix_game3.vae_config import VaeConfig

LIMIT = 1e-4
"""Relative error that float32 may make."""

DECODED_LIMIT = 2e-3
"""That of decoded videos, which are stored in half precision."""

SHIFT = 5.0
CONFIG, NETWORK = "dit_config.json", "dit.safetensors"
VAE_GOLDEN = "vae_golden.safetensors"


class Result(NamedTuple):
    """A relative error (for ``retrieval`` the share of differing picks) and what it may be."""

    error: float
    limit: float

    @property
    def passes(self) -> bool:
        """Whether it is within its limit; what is not a number is not."""
        return math.isfinite(self.error) and self.error <= self.limit


Results = Iterator[tuple[str, Result]]


def relative_error(output: Tensor, reference: Tensor) -> float:
    """‖output - reference‖ / ‖reference‖ in double precision.

    The output is rounded first to the precision that the reference is stored in.
    """
    if output.shape != reference.shape:
        raise CheckpointError(
            f"expected a reference of shape {tuple(output.shape)}, got {tuple(reference.shape)}"
        )
    expected = reference.double()
    distance = (output.to(reference.dtype).double() - expected).norm()
    return float(distance / expected.norm().clamp_min(torch.finfo(torch.float64).tiny))


@dataclass(frozen=True)
class Case:
    """A folder's golden tensors, and where to compute."""

    root: Path
    golden: dict[str, Tensor]
    device: torch.device

    def has(self, *names: str) -> bool:
        """Whether all of these are there."""
        return all(name in self.golden for name in names)

    def float(self, name: str) -> Tensor:
        """One in float32."""
        return self.golden[name].float()

    def result(self, name: str, output: Tensor, limit: float = LIMIT) -> tuple[str, Result]:
        """An output beside its reference."""
        return name, Result(relative_error(output, self.golden[name]), limit)


# -- camera, memory and sampler ------------------------------------------------------------------


def _paths(case: Case) -> Results:
    if not case.has("keyboard", "mouse"):
        return
    poses = poses_of_actions(case.float("keyboard"), case.float("mouse"))
    if case.has("poses_xyz_pitch_yaw"):
        yield case.result("poses_xyz_pitch_yaw", poses)
    if case.has("c2w"):
        yield case.result("c2w", camera_to_world(poses))


def _picture(reference: Tensor) -> tuple[int, int, tuple[int, int]]:
    """Height, width and latent grid of camera rays (1, 6 · cell, T, h, w)."""
    cell = math.isqrt(reference.shape[1] // 6)
    rows, columns = reference.shape[-2:]
    return rows * cell, columns * cell, (rows, columns)


def _rays(case: Case) -> Results:
    if case.has("c2w", "plucker.first_clip"):
        reference = case.golden["plucker.first_clip"]
        frames = [frame_of_latent(index) for index in range(reference.shape[2])]
        rays = plucker(case.float("c2w")[frames], *_picture(reference))
        yield case.result("plucker.first_clip", rays[None])
    needed = ("retrieval.selected_frames", "retrieval.reference_frames")
    if case.has("c2w", "second.plucker", "second.predict_latent_idx", *needed):
        reference, c2w = case.golden["second.plucker"], case.float("c2w")
        picked = [*case.golden[needed[0]].tolist()[:-1], SINK_FRAME]
        memory = c2w[[memory_pose_frame(frame) for frame in picked]]
        window = c2w[[frame_of_latent(index) for index in _window(case)]]
        rays = plucker(window, *_picture(reference), memory, c2w[case.golden[needed[1]]])
        yield case.result("second.plucker", rays[None])


def _window(case: Case) -> range:
    """Latents of the second clip."""
    return range(*case.golden["second.predict_latent_idx"].tolist())


def _start(case: Case) -> int:
    """The second clip's first frame; memory is of those before it."""
    if case.has("second.predict_latent_idx"):
        return frame_of_latent(_window(case)[0]) - 3
    return int(case.golden["retrieval.reference_frames"].max()) + 1 - 56


def _retrieval(case: Case) -> Results:
    if not case.has("c2w", "retrieval.reference_frames", "retrieval.selected_frames"):
        return
    expected = case.golden["retrieval.selected_frames"]
    candidates = torch.arange(1, _start(case), device=case.device)
    queries = case.golden["retrieval.reference_frames"]
    picked, overlap = retrieve(case.float("c2w"), queries, candidates)
    yield "retrieval", Result(float((picked != expected).float().mean()), 0.0)
    if case.has("retrieval.overlap"):
        yield case.result("retrieval.overlap", overlap)


def _samplers(case: Case) -> Results:
    names = (re.fullmatch(r"(unipc(\d+))\.trajectory", key) for key in case.golden)
    for found in names:
        if found and case.has(f"{found[1]}.model_output", f"{found[1]}.x0"):
            yield from _sampler(case, found[1], int(found[2]))


def _sampler(case: Case, name: str, steps: int) -> Results:
    sampler, sample, states = FlowUniPC(steps, SHIFT), case.float(f"{name}.x0"), []
    for index, output in enumerate(case.float(f"{name}.model_output")):
        sample = sampler.step(output, index, sample)
        states.append(sample)
    yield case.result(f"{name}.trajectory", torch.stack(states))
    for schedule in ("timesteps", "sigmas"):
        if case.has(f"{name}.{schedule}"):
            yield case.result(f"{name}.{schedule}", getattr(sampler, schedule).to(case.device))


# -- networks ------------------------------------------------------------------------------------


def _clips(case: Case) -> Results:
    if not (case.root / CONFIG).is_file() or not (case.root / NETWORK).is_file():
        return
    network = build(TransformerConfig.from_json(case.root / CONFIG))
    materialise(network, open_weights(case.root / NETWORK), case.device)
    if case.has("first.x", "first.t", "first.y", "text"):
        yield case.result("first.y", _first(case, network))
    if case.has("second.x", "second.t", "second.y", "text", "second.predict_latent_idx"):
        yield case.result("second.y", _second(case, network))


def _actions(case: Case, frames: slice, batch: int) -> tuple[Tensor | None, Tensor | None]:
    if not case.has("keyboard", "mouse"):
        return None, None
    chosen = (case.float(name)[frames] for name in ("keyboard", "mouse"))
    keyboard, mouse = (action.expand(batch, *action.shape) for action in chosen)
    return keyboard, mouse


def _optional(case: Case, name: str) -> Tensor | None:
    return case.float(name) if case.has(name) else None


def _first(case: Case, network: Transformer) -> Tensor:
    x = case.float("first.x")
    batch, latents = x.shape[0], x.shape[2]
    keyboard, mouse = _actions(case, slice(0, frame_of_latent(latents - 1) + 1), batch)
    return network(
        x,
        case.float("first.t"),
        [case.float("text")] * batch,
        _optional(case, "plucker.first_clip"),
        keyboard,
        mouse,
        predict_latent_idx=(0, latents),
    )


def _second(case: Case, network: Transformer) -> Tensor:
    x, window = case.float("second.x"), _window(case)
    start, end = _start(case), frame_of_latent(window[-1]) + 1
    keyboard, mouse = _actions(case, slice(start, end), x.shape[0])
    return network(
        x,
        case.float("second.t"),
        [case.float("text")] * x.shape[0],
        _optional(case, "second.plucker"),
        keyboard,
        mouse,
        memory=_optional(case, "second.x_memory"),
        memory_latent_idx=case.golden.get("second.memory_latent_idx"),
        predict_latent_idx=(window.start, window.stop),
    )


def _vaes(case: Case) -> Results:
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


VAE_CHECKS = (_vaes,)
GAME_CHECKS = (_paths, _rays, _retrieval, _samplers, _clips)
