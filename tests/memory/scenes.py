"""Hand-made scenes: flat walls across the x axis, drawn in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

from mgenv.camera import DEFAULT_INTRINSICS, Pose

SIZE = 32


def looking(x: float, y: float = 0.0, yaw: float = 0.0) -> Tensor:
    """A level pose (4, 4) a metre above the floor."""
    return Pose.create(torch.tensor([x, y, 1.0]), torch.tensor(yaw)).matrix


def draw(pose: Tensor, walls: list[tuple[float, float]], size: int = SIZE) -> tuple[Tensor, Tensor]:
    """What a level camera sees of endless walls x = const: uint8 (H, W, 3) and depth (H, W) [m].

    Args:
        walls: of each, its x [m] and its redness in [0, 1]; green and blue vary smoothly along it.
    """
    rays = DEFAULT_INTRINSICS.rays(size, size) @ pose[:3, :3].T  # (H, W, 3)
    depth = torch.full((size, size), 20.0)
    rgb = torch.zeros(size, size, 3)
    for x, red in walls:
        distance = (x - pose[0, 3]) / rays[..., 0]
        at = pose[:3, 3] + rays * distance.unsqueeze(-1)
        pattern = torch.stack(
            [torch.full_like(distance, red), 0.5 + 0.4 * at[..., 1].sin(),
             0.5 + 0.4 * (2 * at[..., 2]).cos()], -1
        )  # fmt: skip
        nearer = (distance > 0) & (distance < depth)
        depth = torch.where(nearer, distance, depth)
        rgb = torch.where(nearer.unsqueeze(-1), pattern, rgb)
    return (rgb * 255).round().to(torch.uint8), depth
