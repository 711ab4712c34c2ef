"""Conditions and sampling of one clip.

Legend: B slots, C latent channels, P past latents, n new ones, T = P + n, M memory latents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from mgenv.matrix_game3.memory.camera import (
    FRAMES_PER_LATENT,
    camera_to_world,
    rays,
    relative_window,
)
from mgenv.matrix_game3.memory.memory_query import RetrievedMemory
from mgenv.matrix_game3.network.action import NULL_KEYBOARD, NULL_MOUSE
from mgenv.matrix_game3.network.conditions import Conditions, Prompt
from mgenv.matrix_game3.network.transformer import Transformer
from mgenv.matrix_game3.rollout.sampler import FlowUniPC

REUSE = ("none", "alternate", "first_step", "causal")
"""Reuse of the keys and values of memory and past latents, each faster and less exact than the one
before: none; every second step except the last takes those of the step before; all steps take those
of the first; all steps take those of a separate pass that does not see the new latents."""

CELL = 16
"""Pixels along the side of a latent cell."""


class Window(Protocol):
    """Poses (F, 5), keyboard (F, 6) and mouse (F, 2) of the frames of a clip, past ones first."""

    poses: Tensor
    keyboard: Tensor
    mouse: Tensor
    index: int


@dataclass(frozen=True)
class ClipConditions:
    """Conditions with prompt, actions and memory, and those without for guidance, or None."""

    full: Conditions
    null: Conditions | None = None

    @property
    def all(self) -> tuple[Conditions, ...]:
        """The conditions that are not None."""
        return (self.full,) if self.null is None else (self.full, self.null)


def clip_conditions(
    network: Transformer,
    text: Prompt,
    negative: Prompt | None,
    windows: Sequence[Window],
    found: Sequence[RetrievedMemory | None],
    grid: tuple[int, int],
    latents: int,
) -> ClipConditions:
    """Prepare a clip of ``latents`` latents for B slots.

    Args:
        text: prompt of all slots.
        negative: negative prompt; None for no guidance.
        windows, found: of each slot; all slots have memory, or none.
        grid: rows and columns of a latent.
    """
    keyboard = torch.stack([window.keyboard for window in windows]).float()  # (B, F, 6)
    mouse = torch.stack([window.mouse for window in windows]).float()  # (B, F, 2)
    window = torch.stack(
        [window_rays(w.poses, grid, network.device) for w in windows]
    )  # (B, 1536, T, h, w)
    first = torch.tensor([window.index for window in windows])
    indices = first[:, None] + torch.arange(latents)  # (B, T)
    memory = [one for one in found if one is not None]
    assert len(memory) in (0, len(windows)), "all slots of a batch have memory, or none"
    seen = window
    if memory:
        remembered = torch.stack(
            [memory_rays(one.relative.to(network.device), grid) for one in memory]
        )
        seen = torch.cat([remembered, window], 2)  # (B, 1536, M + T, h, w)
    full = network.prepare(
        text,
        seen,
        keyboard,
        mouse,
        torch.stack([one.latents for one in memory]) if memory else None,
        torch.stack([one.index for one in memory]) if memory else None,
        indices,
    )
    if negative is None:
        return ClipConditions(full)
    keys, moves = torch.full_like(keyboard, NULL_KEYBOARD), torch.full_like(mouse, NULL_MOUSE)
    null = network.prepare(negative, window, keys, moves, predict_latent_idx=indices)
    return ClipConditions(full, null)


def window_rays(poses: Tensor, grid: tuple[int, int], device: torch.device | str = "cpu") -> Tensor:
    """Rays (1536, T, h, w) of a clip with frames at ``poses`` (F, 5)."""
    first = (len(poses) - 1) % FRAMES_PER_LATENT  # a latent has the pose of its last frame
    cameras = relative_window(camera_to_world(poses[first::FRAMES_PER_LATENT]))
    return rays(cameras.to(device), grid[0] * CELL, grid[1] * CELL, grid)


def memory_rays(relative: Tensor, grid: tuple[int, int]) -> Tensor:
    """Rays (1536, M, h, w) of remembered latents, cameras (M, 4, 4) relative to their queries."""
    return rays(relative, grid[0] * CELL, grid[1] * CELL, grid)


def sample_clip(
    network: Transformer,
    conditions: ClipConditions,
    past: Tensor,
    noise: Tensor,
    steps: int,
    shift: float,
    guidance: float,
    reuse: str = "none",
) -> Tensor:
    """New latents (B, C, n, h, w) from noise, after clean ``past`` (B, C, P, h, w).

    Args:
        reuse: one of ``REUSE``.
    """
    sampler, state = FlowUniPC(steps, shift), noise
    if reuse == "causal":
        conditions = ClipConditions(*(network.causal(past, one) for one in conditions.all))
    now = conditions
    for index, time in enumerate(sampler.timesteps.tolist()):
        latents, new = now.full.shape[1], state.shape[2]
        x = torch.cat([past, state], 2)[:, :, -latents:]  # (B, C, T or n, h, w)
        t = x.new_full((x.shape[0], latents), time)
        t[:, : latents - new] = 0.0
        keep = past.shape[2] if _keeps(reuse, index, steps) else 0
        draft = index + 1 < steps
        velocity, later = _velocity(network, now, x, t, guidance, keep, new, draft)
        now = conditions if reuse == "alternate" and not keep else later
        state = sampler.step(velocity, index, state)
    return state


def _keeps(reuse: str, index: int, steps: int) -> bool:
    """Whether the next step reuses what step ``index`` computes."""
    if reuse == "alternate":
        return index % 2 == 0 and index + 2 < steps
    return reuse == "first_step" and index == 0 and steps > 1


def _velocity(
    network: Transformer,
    conditions: ClipConditions,
    x: Tensor,
    t: Tensor,
    guidance: float,
    keep: int,
    new: int,
    draft: bool,
) -> tuple[Tensor, ClipConditions]:
    """Velocity of the ``new`` latents, guided if there are two conditions; later conditions."""
    if keep:
        made, later = zip(
            *(network.velocity_keeping(x, t, one, keep, new, draft) for one in conditions.all),
            strict=True,
        )
        conditions = ClipConditions(*later)
    else:
        made = [network.velocity(x, t, one, new, draft) for one in conditions.all]
    full, null = made[0], made[-1]
    return (null + guidance * (full - null) if len(made) == 2 else full), conditions
