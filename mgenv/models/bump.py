"""How much of a requested motion succeeds: walls stop robots without a simulator.

Surface points that memory and the last frames have shown are drawn into a small map around the
robot; a small network reads it and the motion asked for.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgenv.camera import Pose

SIDE, CELL = 24, 0.0625
"""Cells a side and their size in metres."""

OBSTACLE_BAND = (-0.9, 0.2)
"""Heights relative to the camera, in metres, at which things stop a robot."""


def local_map(points: Tensor, valid: Tensor, pose: Tensor) -> Tensor:
    """Obstacle and floor evidence around the robot.

    Args:
        points: (B, P, 3) world coordinates [m].
        valid: bool (B, P).
        pose: (B, 4, 4).

    Returns:
        (B, 2, 24, 24); rows run forward, columns left, along the heading, in [0, 1].
    """
    view = Pose(pose)
    cos, sin = view.yaw.cos()[:, None], view.yaw.sin()[:, None]
    offset = points - view.position[:, None]
    forward = offset[..., 0] * cos + offset[..., 1] * sin
    left = offset[..., 1] * cos - offset[..., 0] * sin
    row = (forward / CELL + SIDE / 2).floor().long()
    column = (left / CELL + SIDE / 2).floor().long()
    inside = valid & (row >= 0) & (row < SIDE) & (column >= 0) & (column < SIDE)
    low, high = OBSTACLE_BAND
    obstacle = (offset[..., 2] > low) & (offset[..., 2] < high)
    floor = offset[..., 2] <= low
    index = row.clamp(0, SIDE - 1) * SIDE + column.clamp(0, SIDE - 1)
    planes = [
        points.new_zeros(len(points), SIDE * SIDE).scatter_add(1, index, (inside & kind).float())
        for kind in (obstacle, floor)
    ]
    return (torch.stack(planes, 1) / 3).clamp(max=1).unflatten(-1, (SIDE, SIDE))


class BumpHead(nn.Module):
    """Motion asked for to motion that happens."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Sequential(
            nn.Conv2d(2, 16, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(32 * 36, 96),
        )
        self.motion = nn.Linear(4, 96)
        self.head = nn.Sequential(nn.SiLU(), nn.Linear(96, 96), nn.SiLU(), nn.Linear(96, 3))

    def forward(self, local: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
        """What happens, whatever the chance of a bump.

        Args:
            local: (B, 2, 24, 24) from :func:`local_map`.
            motion: (B, 5) asked for.

        Returns:
            Motion if something is hit (B, 5), and the logit (B,) that something is.
        """
        asked = motion[:, :2]
        length = asked.norm(dim=-1, keepdim=True)
        along = asked / length.clamp_min(1e-6)
        features = torch.cat([along, length * 4, (length > 1e-4).float()], -1)
        share, slide, logit = self.head(self.map(local) + self.motion(features)).unbind(-1)
        across = torch.stack([-along[:, 1], along[:, 0]], -1)
        reached = asked * share.sigmoid()[:, None] + across * length * slide.tanh()[:, None]
        return torch.cat([reached, motion[:, 2:]], -1), logit

    def happens(self, local: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
        """Motion that happens (B, 5) and bumped (B,) bool; unhindered motions stay exact."""
        reached, logit = self(local, motion)
        bumped = (logit > 0) & (motion[:, :3].norm(dim=-1) > 1e-3)
        return torch.where(bumped[:, None], reached, motion), bumped


def bump_loss(reached: Tensor, logit: Tensor, actual: Tensor, bumped: Tensor) -> Tensor:
    """Where hit, the distance to what happened; everywhere, the cross entropy of being hit."""
    error = F.smooth_l1_loss(reached[:, :2], actual[:, :2], beta=0.02, reduction="none").sum(-1)
    weight = bumped.float()
    position = (error * weight).sum() / weight.sum().clamp_min(1)
    return position * 10 + F.binary_cross_entropy_with_logits(logit, weight)
