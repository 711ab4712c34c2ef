"""The canvas: remembered frames, warped into a view.

Remembered surfaces are splatted into a z-buffer, whose depth then tells where each pixel of the
view lies in each source: colours are read there bilinearly, not splatted, so nothing is moved by
half a pixel however often it is remembered. Holes are filled by push-pull and marked in the mask.
The same is done by compiled loops on CPUs and by kernels on CUDA, which share the arithmetic of
:mod:`mgenv.memory.reprojection_pixels`.

Shapes: B views, K sources, H×W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mgenv.camera import DEFAULT_INTRINSICS, Intrinsics, Pose, full_precision

FAR = 1e4
MAX_DEPTH = 20.0
LEVELS = 4
"""Of the splatting pyramid: footprints up to 8 pixels."""
COVERED = 1.8
"""Magnification up to which 2×2 footprints leave no gaps."""

MIN_AGREEMENT = 0.1
"""How well the best source's depth must agree for a pixel to count as remembered."""

OBSERVED_WEIGHT, GENERATED_WEIGHT, LAST_WEIGHT = 1.0, 0.05, 2e-4
"""Observed frames win over generated ones, the four oldest of those over the last frame, which
fills the rest."""


@dataclass
class Canvas:
    """Remembered colour and depth of B views.

    Attributes:
        rgb: float (B, 3, H, W) in [-1, 1]; holes filled smoothly.
        depth: float (B, 1, H, W) [m]; holes filled smoothly.
        mask: float (B, 1, H, W); 1 where memory explains the pixel.
        evidence: float (B, 3, H, W) in [0, 1], 0 in holes. *Trust*: the weight of the sources that
            show the surface, 1 for observed ones, 0 for four orders of magnitude less.
            *Resolution*: pixels of theirs for one of the view, at most 1. *Doubt*: the weight, as
            in trust, of the weightiest source that sees through the surface.
    """

    rgb: Tensor
    depth: Tensor
    mask: Tensor
    evidence: Tensor

    @property
    def coverage(self) -> Tensor:
        """Share of the view that memory explains: (B,)."""
        return self.mask.mean((1, 2, 3))

    def select(self, rows: Tensor | slice) -> Canvas:
        """Some of the views."""
        return Canvas(self.rgb[rows], self.depth[rows], self.mask[rows], self.evidence[rows])


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


@full_precision
def reproject(
    sources: Sources, pose: Tensor, intrinsics: Intrinsics = DEFAULT_INTRINSICS
) -> Canvas:
    """Warp sources into the views ``pose`` (B, 4, 4)."""
    if not _runs_compiled(sources, pose):
        return reproject_plain(sources, pose, intrinsics)
    limits = [FAR, MAX_DEPTH, COVERED, OBSERVED_WEIGHT, MIN_AGREEMENT]
    arrays = [*_tensors(sources), pose]
    if pose.device.type == "cuda":
        from mgenv.memory.reprojection_cuda import draw as draw_on_cuda

        return _filled(*draw_on_cuda(arrays, intrinsics, limits, LEVELS))
    from mgenv.memory.reprojection_cpu import draw  # brings Numba along

    out, mask, evidence = draw(arrays, intrinsics, limits, LEVELS)
    return Canvas(out[:, :3], out[:, 3:], mask, evidence)


def _filled(known: Tensor, mask: Tensor, evidence: Tensor) -> Canvas:
    """The canvas of colour and inverse depth (B, 4, H, W) where ``mask`` says they are known."""
    filled = push_pull(known, mask)
    inverse = filled[:, 3:].clamp(1 / MAX_DEPTH, 20.0)
    return Canvas(filled[:, :3], inverse.reciprocal(), mask, evidence)


def _tensors(sources: Sources) -> list[Tensor]:
    return [sources.rgb, sources.depth, sources.pose, sources.weight]


def _runs_compiled(sources: Sources, pose: Tensor) -> bool:
    """Whether loops or kernels (:mod:`mgenv.memory.reprojection_pixels`) can do it."""
    tensors = [*_tensors(sources), pose]
    plain = all(t.device == pose.device and t.dtype == torch.float32 for t in tensors)
    needs_gradient = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    whole = all(side % 2 ** (LEVELS - 1) == 0 for side in sources.depth.shape[-2:])
    return plain and whole and not needs_gradient and pose.device.type in ("cpu", "cuda")


@full_precision
def reproject_plain(
    sources: Sources, pose: Tensor, intrinsics: Intrinsics = DEFAULT_INTRINSICS
) -> Canvas:
    """:func:`reproject` in torch: for any device, and with gradients."""
    shown = torch.cat(
        [sources.rgb, sources.depth.unsqueeze(2), facing(sources, pose, intrinsics).unsqueeze(2)], 2
    )  # (B, K, 5, H, W)
    near, behind = (
        _read(sources, shown, depth, pose, intrinsics)
        for depth in splat_depth(sources, pose, intrinsics)
    )
    front = near.agreement > MIN_AGREEMENT  # (B, H, W)
    rgb = torch.where(front.unsqueeze(1), near.rgb, behind.rgb)
    depth = torch.where(front, near.depth, behind.depth)
    mask = (front | (behind.agreement > MIN_AGREEMENT)).float().unsqueeze(1)  # (B, 1, H, W)
    evidence = torch.where(front.unsqueeze(1), near.evidence, behind.evidence) * mask
    inverse = depth.clamp(0.05, MAX_DEPTH).reciprocal().unsqueeze(1)
    return _filled(torch.cat([rgb, inverse], 1), mask, evidence)


def source_weights(observed: Tensor, valid: Tensor, age: Tensor) -> Tensor:
    """Weights of retrieved frames (B, K): observed first, then generated ones, older before newer.

    Args:
        observed, valid: bool (B, K).
        age: (B, K) a number that grows with the time of storing.
    """
    older = (age.unsqueeze(1) < age.unsqueeze(2)) & (valid & ~observed).unsqueeze(1)  # (B, K, K)
    generated = GENERATED_WEIGHT * 0.25 ** older.sum(-1).float()
    return torch.where(observed, OBSERVED_WEIGHT, generated) * valid


def facing(sources: Sources, pose: Tensor, intrinsics: Intrinsics) -> Tensor:
    """1 where a source's surface shows its front to the view, else 0: (B, K, H, W).

    A wall that was only seen from the other side hides what is behind it, but says nothing of how
    it looks from here.
    """
    normal = intrinsics.normals(sources.depth)  # (B, K, H, W, 3)
    local = Pose(sources.pose).inv_do(
        pose[:, None, :3, 3].unsqueeze(2).expand(-1, sources.depth.shape[1], -1, -1)
    )
    to_view = local.unsqueeze(3) - intrinsics.unproject(sources.depth)  # (B, K, H, W, 3)
    return ((normal * to_view).sum(-1) > 0).float()


def splat_depth(sources: Sources, pose: Tensor, intrinsics: Intrinsics) -> tuple[Tensor, Tensor]:
    """Z-buffers of the sources' surfaces: two of (B, H, W), FAR where empty.

    Observed surfaces come first: a generated one never hides what was seen in truth.

    A surface seen from nearer than it was stored from has gaps between its pixels. Each pixel is
    therefore splatted at the level of a pyramid where its footprint is about one cell; the first
    buffer takes the nearest of all levels, the second only the finest, which has sharp edges.
    """
    batch, count, height, width = sources.depth.shape
    relative = Pose(pose.unsqueeze(1)).inverse().compose(Pose(sources.pose))  # (B, K)
    camera = intrinsics.unproject(sources.depth).flatten(2, 3)  # (B, K, HW, 3)
    image, depth = intrinsics.project(relative.do(camera))
    stored = sources.depth.flatten(2)  # (B, K, HW)
    usable = (sources.weight > 0).unsqueeze(-1) & (depth > 0.05) & (stored > 0)
    depth = torch.where(usable, depth, FAR)
    level = (stored / depth / COVERED).clamp_min(1e-3).log2().ceil().clamp(0, LEVELS - 1)
    cells = torch.exp2(-level)  # cells a pixel's side
    total = _level_offset_of(LEVELS, height * width)
    offset = _level_offset(level, height * width)
    offset = offset + total * (sources.weight < OBSERVED_WEIGHT).long().unsqueeze(-1)
    pyramid = depth.new_full((batch, 2 * total), FAR)
    x, y = (
        image[..., 0].clamp(-2, 3) * width * cells - 0.5,
        image[..., 1].clamp(-2, 3) * height * cells - 0.5,
    )
    side_x, side_y = (width * cells).long(), (height * cells).long()
    x0, y0 = x.floor().long(), y.floor().long()  # (B, K, HW)
    for dy in (0, 1):
        for dx in (0, 1):
            column, row = x0 + dx, y0 + dy
            inside = (column >= 0) & (column < side_x) & (row >= 0) & (row < side_y)
            index = torch.where(inside, offset + row * side_x + column, 0).flatten(1)
            value = torch.where(inside, depth, FAR).flatten(1)
            pyramid = pyramid.scatter_reduce(1, index, value, "amin")
    observed, generated = (
        _nearest_of_levels(part, height, width) for part in pyramid.split(total, 1)
    )
    nearest, finest = (
        torch.where(seen < FAR / 2, seen, other)
        for seen, other in zip(observed, generated, strict=True)
    )
    return nearest, finest


def _nearest_of_levels(pyramid: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Pyramid (B, cells) to the nearest of all levels, and the finest: (B, H, W) each."""
    finest = pyramid[:, : height * width].view(-1, height, width)
    nearest = finest
    for level in range(1, LEVELS):
        start = _level_offset_of(level, height * width)
        stop = _level_offset_of(level + 1, height * width)
        coarse = pyramid[:, start:stop].view(-1, 1, height >> level, width >> level)
        known = (coarse < FAR / 2).float()
        spread = F.interpolate(
            torch.cat([known / coarse, known], 1), (height, width), mode="bilinear"
        )  # planes are linear in inverse depth
        inverse, share = spread.unbind(1)
        smooth = torch.where(share > 0.5, share / inverse.clamp_min(1e-6), FAR)
        nearest = torch.minimum(nearest, smooth)
    return nearest, finest


def _level_offset(level: Tensor, pixels: int) -> Tensor:
    """Where each level begins in the flat pyramid: pixels · (1 + 1/4 + …)."""
    return (pixels * (1 - torch.exp2(-2 * level)) * 4 / 3).round().long()


def _level_offset_of(level: int, pixels: int) -> int:
    return round(pixels * (1 - 0.25**level) * 4 / 3)


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


@dataclass
class _Reading:
    """What sources show on a surface: rgb, evidence (B, 3, H, W), depth, agreement (B, H, W)."""

    rgb: Tensor
    depth: Tensor
    agreement: Tensor
    evidence: Tensor


def _read(
    sources: Sources, shown: Tensor, depth: Tensor, pose: Tensor, intrinsics: Intrinsics
) -> _Reading:
    """Read colour, depth and facing where the view's surface ``depth`` (B, H, W) lies in each."""
    hit = depth < FAR / 2
    depth = _settle(sources, torch.where(hit, depth, 1.0), pose, intrinsics)
    image, expected = _into_sources(
        sources, depth, pose, intrinsics
    )  # (B, K, H, W, 2), (B, K, H, W)
    read, inside = _sample(shown, image)  # (B, K, 5, H, W)
    error = (read[:, :, 3] - expected).abs() / (0.03 + 0.04 * expected.abs())
    resolution = (expected / depth.unsqueeze(1)).clamp(0.25, 4.0).reciprocal().clamp(max=1.0)
    own = sources.weight[:, :, None, None]  # (B, K, 1, 1)
    present = inside & (expected > 0.05) & (own > 0)
    through = present & (read[:, :, 3] > 1.1 * expected + 0.1)
    present &= read[:, :, 4] > 0.5
    agreement = (torch.exp(-error.square()) + 1e-4) * present  # (B, K, H, W)
    weight = (agreement * resolution).square() * own
    weight = weight / weight.sum(1, keepdim=True).clamp_min(1e-12)
    rgb = (read[:, :, :3] * weight.unsqueeze(2)).sum(1)
    trust, doubt = _standing((weight * own).sum(1)), _standing((through * own).amax(1))
    evidence = torch.stack([trust, (weight * resolution).sum(1), doubt], 1)
    return _Reading(rgb, depth, agreement.amax(1) * hit, evidence)


def _standing(weight: Tensor) -> Tensor:
    """Weights as numbers from 0 to 1: a unit for four orders of magnitude."""
    return (1 + 0.25 * weight.clamp_min(1e-6).log10()).clamp(0, 1)


def _settle(sources: Sources, depth: Tensor, pose: Tensor, intrinsics: Intrinsics) -> Tensor:
    """Snap splatted depth to the surface in the best source there."""
    image, expected = _into_sources(sources, depth, pose, intrinsics)
    read, inside = _sample(sources.depth.unsqueeze(2), image)
    shown = read[:, :, 0]  # (B, K, H, W)
    off = ((shown - expected).abs() / expected.abs().clamp_min(0.05)).masked_fill(~inside, FAR)
    off = off.masked_fill((sources.weight <= 0)[:, :, None, None], FAR)
    least, best = off.min(1, keepdim=True)  # (B, 1, H, W)
    ratio = shown.gather(1, best) / expected.gather(1, best).clamp_min(0.05)
    settled = depth * ratio.squeeze(1).clamp(0.8, 1.25)
    return torch.where(least.squeeze(1) < 0.25, settled, depth)


def _into_sources(
    sources: Sources, depth: Tensor, pose: Tensor, intrinsics: Intrinsics
) -> tuple[Tensor, Tensor]:
    """Where the view's surface lies in each source: coordinates in [0, 1] and expected depth."""
    count = sources.depth.shape[1]
    surface = intrinsics.unproject(depth).flatten(1, 2).unsqueeze(1)  # (B, 1, HW, 3)
    relative = Pose(sources.pose).inverse().compose(Pose(pose.unsqueeze(1)))
    image, expected = intrinsics.project(relative.do(surface.expand(-1, count, -1, -1)))
    return image.unflatten(2, depth.shape[1:]), expected.unflatten(2, depth.shape[1:])


def _sample(stack: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
    """Bilinear reads of (B, K, C, H, W) at (B, K, H, W, 2), and whether they are inside."""
    grid = (image * 2 - 1).clamp(-3, 3).flatten(0, 1)
    read = F.grid_sample(stack.flatten(0, 1), grid, padding_mode="border", align_corners=False)
    inside = (grid.abs() < 1.0 + 1.0 / stack.shape[-1]).all(-1)
    return read.unflatten(0, stack.shape[:2]), inside.unflatten(0, stack.shape[:2])
