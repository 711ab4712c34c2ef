"""The canvas: what memory knows of a view, warped into it.

Remembered surfaces are splatted into a z-buffer, whose depth then tells where each pixel of the
view lies in each source: colours are read there bilinearly, not splatted, so nothing is moved by
half a pixel however often it is remembered. Holes are filled by push-pull and marked in the mask.

Shapes: B views, K sources, H×W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mgenv.camera import DEFAULT_INTRINSICS, Intrinsics, Pose

FAR = 1e4
MAX_DEPTH = 20.0
MIN_AGREEMENT = 0.1
"""How well the best source's depth must agree for a pixel to count as remembered."""

OBSERVED_WEIGHT, GENERATED_WEIGHT, LAST_WEIGHT = 1.0, 0.05, 2e-4
"""Observed frames win over generated ones, those over the last frame, which fills the rest."""


@dataclass
class Canvas:
    """What is remembered of B views.

    Attributes:
        rgb: float (B, 3, H, W) in [-1, 1]; holes filled smoothly.
        depth: float (B, 1, H, W) [m]; holes filled smoothly.
        mask: float (B, 1, H, W); 1 where memory explains the pixel.
    """

    rgb: Tensor
    depth: Tensor
    mask: Tensor

    @property
    def coverage(self) -> Tensor:
        """Share of the view that memory explains: (B,)."""
        return self.mask.mean((1, 2, 3))


@dataclass
class Sources:
    """Frames to draw from.

    Attributes:
        rgb: float (B, K, 3, H, W) in [-1, 1].
        depth: float (B, K, H, W) [m].
        pose: float (B, K, 4, 4).
        weight: float (B, K); 0 leaves a source out, higher wins where several show a surface.
    """

    rgb: Tensor
    depth: Tensor
    pose: Tensor
    weight: Tensor


def reproject(
    sources: Sources, pose: Tensor, intrinsics: Intrinsics = DEFAULT_INTRINSICS
) -> Canvas:
    """Warp sources into the views ``pose`` (B, 4, 4)."""
    depth = splat_depth(sources, pose, intrinsics)  # (B, H, W)
    hit = depth < FAR / 2
    rgb, agreement = _gather(sources, torch.where(hit, depth, 1.0), pose, intrinsics)
    mask = (hit & (agreement > MIN_AGREEMENT)).float().unsqueeze(1)  # (B, 1, H, W)
    inverse = torch.where(hit, 1.0 / depth.clamp(0.05, MAX_DEPTH), 0.0).unsqueeze(1)
    filled = push_pull(torch.cat([rgb, inverse], 1), mask)  # (B, 4, H, W)
    return Canvas(filled[:, :3], 1.0 / filled[:, 3:].clamp(1 / MAX_DEPTH, 20.0), mask)


def source_weights(observed: Tensor, valid: Tensor, age: Tensor) -> Tensor:
    """Weights of retrieved frames (B, K): observed first, then generated ones, older before newer.

    Args:
        observed, valid: bool (B, K).
        age: (B, K) a number that grows with the time of storing.
    """
    older = (age.unsqueeze(1) < age.unsqueeze(2)) & (valid & ~observed).unsqueeze(1)  # (B, K, K)
    generated = GENERATED_WEIGHT * 0.25 ** older.sum(-1).float()
    return torch.where(observed, OBSERVED_WEIGHT, generated) * valid


def splat_depth(sources: Sources, pose: Tensor, intrinsics: Intrinsics) -> Tensor:
    """Z-buffer of all sources' surfaces with 2×2 footprints: (B, H, W), FAR where empty."""
    batch, _, height, width = sources.depth.shape
    relative = Pose(pose.unsqueeze(1)).inverse().compose(Pose(sources.pose))  # (B, K)
    camera = intrinsics.unproject(sources.depth).flatten(2, 3)  # (B, K, HW, 3)
    image, depth = intrinsics.project(relative.do(camera))
    depth = torch.where(
        (sources.weight > 0).unsqueeze(-1) & (depth > 0.05) & (sources.depth.flatten(2) > 0),
        depth,
        FAR,
    )
    x = image[..., 0].clamp(-2, 3) * width - 0.5
    y = image[..., 1].clamp(-2, 3) * height - 0.5
    x0, y0 = x.floor().long(), y.floor().long()  # (B, K, HW)
    buffer = depth.new_full((batch, height * width), FAR)
    for dy in (0, 1):
        for dx in (0, 1):
            column, row = x0 + dx, y0 + dy
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            index = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).flatten(1)
            value = torch.where(inside, depth, FAR).flatten(1)
            buffer = buffer.scatter_reduce(1, index, value, "amin")
    return buffer.view(batch, height, width)


def push_pull(values: Tensor, mask: Tensor) -> Tensor:
    """Fill where ``mask`` (B, 1, H, W) is 0 from coarser and coarser averages of ``values``."""
    levels = [(values * mask, mask)]
    while min(levels[-1][0].shape[-2:]) > 1:
        value, weight = levels[-1]
        levels.append((F.avg_pool2d(value, 2), F.avg_pool2d(weight, 2)))
    value, weight = levels.pop()
    filled = value / weight.clamp_min(1e-6)  # (B, C, 1, 1)
    for value, weight in reversed(levels):
        coarse = F.interpolate(filled, value.shape[-2:], mode="bilinear", align_corners=False)
        known = weight.clamp(0, 1)
        filled = torch.where(known > 0, value / weight.clamp_min(1e-6), coarse)
        filled = filled * known + coarse * (1 - known)
    return filled


def _gather(
    sources: Sources, depth: Tensor, pose: Tensor, intrinsics: Intrinsics
) -> tuple[Tensor, Tensor]:
    """Read each source where the view's surface (B, H, W) lies in it: rgb and agreement."""
    batch, count, height, width = sources.depth.shape
    surface = intrinsics.unproject(depth).flatten(1, 2).unsqueeze(1)  # (B, 1, HW, 3)
    relative = Pose(sources.pose).inverse().compose(Pose(pose.unsqueeze(1)))
    image, expected = intrinsics.project(relative.do(surface.expand(-1, count, -1, -1)))
    grid = (image * 2 - 1).clamp(-3, 3).view(batch * count, height, width, 2)
    stack = torch.cat([sources.rgb, sources.depth.unsqueeze(2)], 2).flatten(0, 1)  # (BK, 4, H, W)
    read = F.grid_sample(stack, grid, padding_mode="border", align_corners=False)
    read = read.view(batch, count, 4, height, width)
    expected = expected.view(batch, count, height, width)
    inside = (grid.abs() < 1.0 + 1.0 / width).all(-1).view(batch, count, height, width)
    error = (read[:, :, 3] - expected).abs() / (0.03 + 0.04 * expected.abs())
    resolution = (expected / depth.unsqueeze(1)).clamp(0.25, 4.0).reciprocal().clamp(max=1.0)
    present = inside & (expected > 0.05) & (sources.weight > 0)[:, :, None, None]
    agreement = (torch.exp(-error.square()) + 1e-4) * present  # (B, K, H, W)
    weight = (agreement * resolution).square() * sources.weight[:, :, None, None]
    total = weight.sum(1, keepdim=True)  # (B, 1, H, W)
    rgb = (read[:, :, :3] * weight.unsqueeze(2)).sum(1) / total.clamp_min(1e-12)
    return rgb, agreement.amax(1)
