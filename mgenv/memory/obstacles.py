"""Collision in remembered places, from the surfaces in memory and in the newest frame.

A body is a disc (a cylinder, for robots that rise) as in the engine, and is swept by the engine's
own function (:mod:`mgenv.engine.motion.collision`): here the obstacles are voxels around the robot
in which some frame shows a surface at its heights, and which frames do not see through more than
they show (:mod:`mgenv.memory.obstacle_votes`). The newest frame, which was generated, is asked only
where few observed ones see the robot's surroundings. Where nothing has been seen, nothing stops.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mgenv.camera import Intrinsics, Pose, full_precision
from mgenv.engine.motion.collision import FURTHEST
from mgenv.memory.bank import MemoryBank
from mgenv.memory.obstacle_votes import FEW, GENERATED_VOTE, ONE, SOURCES, STRIDE


@full_precision
def allowed_motion(
    bank: MemoryBank,
    slots: Sequence[int],
    pose: Tensor,
    motion: Tensor,
    newest: tuple[Tensor, Tensor],
) -> tuple[Tensor, Tensor]:
    """The part of a motion that obstacles allow.

    Args:
        bank: what is remembered of the places of ``slots``.
        pose: (n, 4, 4), where the robots' cameras are.
        motion: (n, 5) asked for, see :mod:`mgenv.camera`.
        newest: depth (n, H, W) [m] of what the robots saw last, and bool (n,), whether they did.

    Returns:
        Motions (n, 5), exactly those asked for where nothing is in the way, and whether anything
        shortened them, bool (n,).
    """
    yaw, here = Pose(pose).yaw, pose
    cos, sin = yaw.cos(), yaw.sin()
    forward, left, up = motion[:, :3].unbind(-1)
    way = torch.stack([forward * cos - left * sin, forward * sin + left * cos, up], -1).double()
    length = way.norm(dim=-1)  # (n,)
    bumped = length > FURTHEST
    way = way * (FURTHEST / length.clamp_min(FURTHEST))[:, None]
    strides = (length.clamp(max=FURTHEST) / STRIDE - 1e-6).ceil().clamp_min(1)  # each slot's own
    total = torch.zeros_like(way)
    for stride in range(int(strides.max()) if len(way) else 0):
        on = (stride < strides)[:, None]
        moved, hit = _swept(bank, slots, here, way / strides[:, None] * on, newest, pose)
        total, bumped = total + moved * on, bumped | (hit & on[:, 0])
        here = here.clone()
        here[:, :3, 3] = pose[:, :3, 3] + total.float()
    x, y = total[:, 0].float(), total[:, 1].float()
    reached = torch.stack([x * cos + y * sin, y * cos - x * sin, total[:, 2].float()], -1)
    allowed = torch.cat([reached, motion[:, 3:]], -1)
    return torch.where(bumped[:, None], allowed, motion), bumped


def _swept(
    bank: MemoryBank,
    slots: Sequence[int],
    pose: Tensor,
    way: Tensor,
    newest: tuple[Tensor, Tensor],
    seen_from: Tensor,
) -> tuple[Tensor, Tensor]:
    """One stride: the way (n, 3) that is made of ``way`` (n, 3), and whether it was shortened."""
    points, _, observed, poses = bank.geometry()
    choose, sweep_slots = _passes(pose.device)
    lens = _lens(bank.intrinsics, pose.device)
    found, worth = choose(
        points, poses, observed, bank.table(slots), pose.contiguous(), lens, SOURCES
    )
    depth = torch.cat([bank.depths(found), newest[0].float()[:, None]], 1)  # (n, K + 1, H, W)
    sources = torch.cat([poses[found.clamp_min(0)], seen_from[:, None]], 1)
    asked = newest[1] & ((worth >= float(ONE)).sum(1) < FEW)
    worth = torch.cat([worth, asked.float()[:, None] * float(GENERATED_VOTE)], 1)
    return sweep_slots(points, found, depth, sources, worth, pose.contiguous(), way, lens)


def _passes(device: torch.device) -> tuple[Callable, Callable]:
    """``choose`` and ``sweep_slots``, by loops or by kernels."""
    if device.type == "cpu":
        from mgenv.memory import obstacles_cpu as passes
    else:
        from mgenv.memory import obstacles_cuda as passes
    return passes.choose, passes.sweep_slots


@functools.cache
def _lens(intrinsics: Intrinsics, device: torch.device) -> Tensor:
    return torch.tensor(
        [intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy], device=device
    )
