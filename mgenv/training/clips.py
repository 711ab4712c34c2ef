"""Clips for training: targets, their history, and canvases from the same walk's memory.

At least a third of the targets must be largely unseen, or the model only learns to copy. Many clips
therefore have no memory, many skip frames (so that the view turns far from one to the next), and
some canvases lack the last frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mgenv.config import option, settings
from mgenv.images import to_float
from mgenv.memory.reprojection import Canvas, reproject
from mgenv.memory.retrieval import Candidates, visible
from mgenv.memory.step import Found, Last, sources_of
from mgenv.training.data import Walks
from mgenv.training.error_buffer import ErrorBuffer


@settings
class ClipConfig:
    """How clips are drawn."""

    targets: int = option(8, "predicted frames of a clip, which share its history")
    history: int = option(4, "clean frames before them")
    candidates: int = option(48, "remembered frames of the same walk")
    retrieved: int = option(6, "sources of a canvas, beside the last frame")
    no_memory: float = option(0.4, "share of clips without remembered frames")
    sparse_memory: float = option(0.2, "share of clips with 1 to 4 remembered frames")
    strides: tuple[int, ...] = option((1, 2, 4), "steps of a walk from one frame to the next")
    stride_weights: tuple[float, ...] = option((0.5, 0.2, 0.3), "share of clips of each stride")
    drop_last: float = option(0.15, "share of canvases without the last frame")
    inject: float = option(0.5, "share of contexts with the model's own residuals added")


@dataclass
class Clips:
    """B clips of F frames, n targets each.

    Attributes:
        rgb: (B, F, 3, H, W) in [-1, 1]; depth: (B, F, 1, H, W) [m]; pose: (B, F, 4, 4).
        context_rgb, context_depth: the same, with the model's own errors on some frames.
        canvas: canvases of the B·n targets.
    """

    rgb: Tensor
    depth: Tensor
    pose: Tensor
    context_rgb: Tensor
    context_depth: Tensor
    canvas: Canvas


def draw_clips(
    walks: Walks,
    batch: int,
    config: ClipConfig,
    errors: ErrorBuffer,
    generator: torch.Generator,
) -> Clips:
    """Draw clips and build their canvases."""
    walk, time = _draw_times(walks, batch, config, generator)
    rgb = to_float(walks.rgb[walk[:, None], time])  # (B, F, 3, H, W)
    depth = walks.depth[walk[:, None], time].float().unsqueeze(2)
    pose = walks.pose[walk[:, None], time]
    context_rgb, context_depth = errors.inject(rgb, depth, config.inject, generator)
    memory, index = _draw_memory(walks, walk, time, config, generator)
    canvas = _canvases(
        walks, walk, pose, context_rgb, context_depth, memory, index, errors, config, generator
    )
    return Clips(rgb, depth, pose, context_rgb, context_depth, canvas)


def _draw_times(
    walks: Walks, batch: int, config: ClipConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Walks (B,) and frame indices (B, F)."""
    count, length = walks.count
    device = walks.rgb.device
    frames = config.history + config.targets
    walk = torch.randint(count, (batch,), generator=generator, device=device)
    stride = _draw_strides(batch, config, generator).clamp(max=(length - 2) // frames)
    room = length - 1 - stride * (frames - 1)
    start = 1 + (torch.rand(batch, generator=generator, device=device) * (room - 1)).long()
    return walk, start[:, None] + stride[:, None] * torch.arange(frames, device=device)


def _draw_strides(batch: int, config: ClipConfig, generator: torch.Generator) -> Tensor:
    """Steps of the walk between frames of a clip: int64 (B,)."""
    draw = torch.rand(batch, generator=generator, device=generator.device)
    stride = torch.full_like(draw, config.strides[-1], dtype=torch.int64)
    bound = sum(config.stride_weights)
    for value, weight in zip(config.strides[-2::-1], config.stride_weights[:0:-1], strict=True):
        bound -= weight
        stride = torch.where(draw * sum(config.stride_weights) < bound, value, stride)
    return stride


def _draw_memory(
    walks: Walks, walk: Tensor, time: Tensor, config: ClipConfig, generator: torch.Generator
) -> tuple[Candidates, Tensor]:
    """Frames of the same walk outside the clip, and their frame indices (B, C)."""
    batch, device = len(walk), walk.device
    length = walks.count[1]
    shape = (batch, config.candidates)
    index = (torch.rand(shape, generator=generator, device=device) * length).long()
    kind = torch.rand(batch, generator=generator, device=device)
    few = torch.randint(1, 5, (batch,), generator=generator, device=device)
    limit = torch.where(kind < config.no_memory + config.sparse_memory, few, config.candidates)
    limit = torch.where(kind < config.no_memory, 0, limit)
    valid = torch.arange(config.candidates, device=device) < limit[:, None]
    valid &= (index < time[:, :1]) | (index > time[:, -1:])
    candidates = Candidates(
        walks.points[walk[:, None], index],
        walks.pose[walk[:, None], index],
        torch.ones_like(valid),
        valid,
    )
    return candidates, index


def _canvases(
    walks: Walks,
    walk: Tensor,
    pose: Tensor,
    context_rgb: Tensor,
    context_depth: Tensor,
    memory: Candidates,
    index: Tensor,
    errors: ErrorBuffer,
    config: ClipConfig,
    generator: torch.Generator,
) -> Canvas:
    """Canvases of the B·n targets, from retrieved frames and the frame before."""
    n, first = config.targets, config.history
    query = pose[:, first:].flatten(0, 1)  # (Bn, 4, 4)
    repeated = Candidates(*[part.repeat_interleave(n, 0) for part in memory])
    picks = visible(repeated, query, config.retrieved).indices  # (Bn, k)
    valid = picks >= 0
    frame = index.repeat_interleave(n, 0).gather(1, picks.clamp_min(0))
    at = walk.repeat_interleave(n)[:, None]
    rgb, depth = to_float(walks.rgb[at, frame]), walks.depth[at, frame].float()
    rgb, depth, observed = errors.corrupt_sources(rgb, depth, config.inject, generator)
    last = slice(first - 1, -1)
    keep = torch.rand(len(query), 1, generator=generator, device=query.device) >= config.drop_last
    found = Found(rgb, depth, walks.pose[at, frame], observed, valid, frame)
    before = Last(
        context_rgb[:, last].flatten(0, 1),
        context_depth[:, last].flatten(0, 1)[:, 0],
        pose[:, last].flatten(0, 1),
        keep[:, 0],
    )
    return reproject(sources_of(found, before), query)
