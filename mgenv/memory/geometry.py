"""Surface points from depth maps, for retrieval and collision."""

from __future__ import annotations

import torch
from torch import Tensor

from mgenv.camera import DEFAULT_INTRINSICS, Pose, full_precision

POINT_SIZE = 7
"""World coordinates, depth in the candidate, and normal."""


@full_precision
def surface_points(depth: Tensor, pose: Tensor, side: int = 16) -> Tensor:
    """Sample depth maps (..., H, W) on a ``side``×``side`` lattice: (..., side², 7)."""
    rows, columns = _lattice(depth, side)
    normal = DEFAULT_INTRINSICS.normals(depth.float())[..., rows, columns, :]
    turned = normal.flatten(-3, -2) @ pose[..., :3, :3].transpose(-1, -2)
    sampled = depth.float()[..., rows, columns].flatten(-2).unsqueeze(-1)  # (..., P, 1)
    return torch.cat([surface_positions(depth, pose, side), sampled, turned], -1)  # (..., P, 7)


@full_precision
def surface_positions(depth: Tensor, pose: Tensor, side: int = 16) -> Tensor:
    """World coordinates alone of :func:`surface_points`, for much less work: (..., side², 3)."""
    height, width = depth.shape[-2:]
    rows, columns = _lattice(depth, side)
    rays = DEFAULT_INTRINSICS.rays(height, width, depth.device)[rows, columns]
    sampled = depth.float()[..., rows, columns].unsqueeze(-1)  # (..., side, side, 1)
    return Pose(pose).do((rays * sampled).flatten(-3, -2))  # (..., P, 3)


def _lattice(depth: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Rows (side, 1) and columns (side,) at which (..., H, W) are sampled."""
    rows, columns = (
        ((torch.arange(side, device=depth.device) + 0.5) * length / side).long()
        for length in depth.shape[-2:]
    )
    return rows[:, None], columns


def sparse_points(points: Tensor) -> Tensor:
    """Every second one of every second row of (..., 256, 7): (..., 64, 7)."""
    return points.unflatten(-2, (16, 16))[..., ::2, ::2, :].flatten(-3, -2)
