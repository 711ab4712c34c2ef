"""References of camera, memory and sampler, each computed again from the tensors beside it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mgenv.errors import CheckpointError
from mgenv.matrix_game3.memory.camera import (
    camera_to_world,
    frame_of_latent,
    memory_pose_frame,
    plucker,
    poses_of_actions,
)
from mgenv.matrix_game3.memory.retrieval import SINK_FRAME, retrieve
from mgenv.matrix_game3.rollout.sampler import FlowUniPC

LIMIT = 1e-4
"""Relative error that float32 may make."""

SHIFT = 5.0


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
        yield case.result("plucker.first_clip", rays.expand(len(reference), *rays.shape))
    needed = ("retrieval.selected_frames", "retrieval.reference_frames")
    if case.has("c2w", "second.plucker", "second.predict_latent_idx", *needed):
        reference, c2w = case.golden["second.plucker"], case.float("c2w")
        picked = [*case.golden[needed[0]].tolist()[:-1], SINK_FRAME]
        memory = c2w[[memory_pose_frame(frame) for frame in picked]]
        window = c2w[[frame_of_latent(index) for index in clip_latents(case)]]
        rays = plucker(window, *_picture(reference), memory, c2w[case.golden[needed[1]]])
        yield case.result("second.plucker", rays.expand(len(reference), *rays.shape))


def clip_latents(case: Case) -> range:
    """Latents of the second clip."""
    return range(*case.golden["second.predict_latent_idx"].tolist())


def clip_start(case: Case) -> int:
    """The second clip's first frame; memory is of those before it."""
    if case.has("second.predict_latent_idx"):
        return frame_of_latent(clip_latents(case)[0]) - 3
    return int(case.golden["retrieval.reference_frames"].max()) + 1 - 56


def _retrieval(case: Case) -> Results:
    if not case.has("c2w", "retrieval.reference_frames", "retrieval.selected_frames"):
        return
    expected = case.golden["retrieval.selected_frames"]
    candidates = torch.arange(1, clip_start(case), device=case.device)
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


CHECKS = (_paths, _rays, _retrieval, _samplers)
