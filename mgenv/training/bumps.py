"""Training of the bump head: motions asked for in front of real walls, and what came of them."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from mgenv.camera import Pose
from mgenv.engine import navigation
from mgenv.engine.scenes import SceneBatch
from mgenv.models.bump import BumpHead, bump_loss, local_map
from mgenv.training.data import Walks
from mgenv.training.flow_matching import Loss

REMEMBERED, NEAREST = 32, 12
"""Frames drawn from the walk's memory, and how many of them, the nearest, are looked at."""

FRESH = 0.25
"""Share of maps drawn from the last frame alone."""

POINT_NOISE, MAX_STEP = 0.02, 0.25
"""Error of imagined surfaces, and the longest step, in metres."""


def bump_step_loss(
    head: BumpHead, walks: Walks, scenes: SceneBatch, batch: int, generator: torch.Generator
) -> Loss:
    """Loss on motions in random directions, half of which are drawn where something is near."""
    device = walks.rgb.device
    walk, time = _draw_places(walks, batch, generator)
    pose = walks.pose[walk, time]
    motion = _draw_motions(batch, generator, device)
    actual, bumped = _collide(scenes, walk, pose, motion)
    points, valid = _draw_points(walks, walk, time, generator)
    reached, logit = head(local_map(points, valid, pose), motion)
    loss = bump_loss(reached, logit, actual, bumped)
    right = ((logit > 0) == bumped).float().mean()
    return Loss(loss, {"bump": loss.detach(), "right": right, "share": bumped.float().mean()})


def _draw_places(walks: Walks, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Walks and frames; of two random frames the one with more in its way."""
    count, length = walks.count
    device = walks.rgb.device
    walk = torch.randint(count, (batch,), generator=generator, device=device)
    time = torch.randint(length, (batch, 2), generator=generator, device=device)
    nearest = walks.points[walk[:, None], time, :, 3].amin(-1)  # (B, 2)
    closer = time.gather(1, nearest.argmin(1, keepdim=True))[:, 0]
    near = torch.rand(batch, generator=generator, device=device) < 0.7
    return walk, torch.where(near, closer, time[:, 0])


def _draw_motions(batch: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Mostly ahead, sometimes in any direction: (B, 5)."""
    draw = torch.rand(batch, 3, generator=generator, device=device)
    angle = (draw[:, 0] * 2 - 1) * math.pi * torch.where(draw[:, 1] < 0.5, 0.1, 1.0)
    length = MAX_STEP * draw[:, 2].sqrt()
    motion = torch.zeros(batch, 5, device=device)
    motion[:, 0], motion[:, 1] = length * angle.cos(), length * angle.sin()
    return motion


def _collide(
    scenes: SceneBatch, walk: Tensor, pose: Tensor, motion: Tensor
) -> tuple[Tensor, Tensor]:
    """What the engine makes of motions: motion that happened (B, 5) and bumped (B,)."""
    start = Pose(pose)
    asked = start.move(motion).position - start.position
    reached, bumped = navigation.collide(
        scenes, walk.cpu().numpy(), start.position.cpu().numpy(), asked.cpu().numpy()
    )
    moved = torch.as_tensor(np.asarray(reached), device=pose.device) - start.position
    cos, sin = start.yaw.cos(), start.yaw.sin()
    forward = moved[:, 0] * cos + moved[:, 1] * sin
    left = moved[:, 1] * cos - moved[:, 0] * sin
    actual = torch.cat([torch.stack([forward, left], -1), motion[:, 2:]], -1)
    return actual, torch.as_tensor(np.asarray(bumped), device=pose.device)


def _draw_points(
    walks: Walks, walk: Tensor, time: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Surfaces in the current frame and in the nearest of some remembered ones: (B, P, 3)."""
    batch, device = len(walk), walk.device
    shape = (batch, REMEMBERED)
    index = torch.randint(walks.count[1], shape, generator=generator, device=device)
    here = walks.pose[walk, time][:, None, :3, 3]
    gap = (walks.pose[walk[:, None], index][..., :3, 3] - here).norm(dim=-1)  # (B, 32)
    near = index.gather(1, gap.topk(NEAREST, dim=1, largest=False).indices)
    frames = torch.cat([near, time[:, None]], 1)  # (B, 13)
    points = walks.points[walk[:, None], frames][..., :3].flatten(1, 2)
    noise = torch.randn(points.shape, generator=generator, device=device) * POINT_NOISE
    valid = torch.ones(frames.shape, dtype=torch.bool, device=device)
    alone = torch.rand(batch, 1, generator=generator, device=device) < FRESH
    valid[:, :-1] &= ~alone
    per_frame = points.shape[1] // frames.shape[1]
    return points + noise, valid.repeat_interleave(per_frame, 1)
