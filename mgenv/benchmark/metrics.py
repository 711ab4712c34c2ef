"""Image metrics: PSNR, SSIM, sharpness and variance of uint8 frames."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mgenv import images
from mgenv.camera import DEFAULT_INTRINSICS, Intrinsics, Pose


def squared_error(frames: Tensor, truth: Tensor) -> Tensor:
    """Squared error a pixel, in units of full scale: uint8 (..., H, W, 3) to (..., H, W)."""
    return ((frames.float() - truth.float()) / 255).square().mean(-1)


def psnr(error: Tensor, where: Tensor | None = None) -> float:
    """Decibels of the mean of squared errors, over the pixels ``where`` is true."""
    values = error if where is None else error[where]
    if values.numel() == 0:
        return float("nan")
    return float(images.psnr(values.double().mean().clamp_min(1e-10)))


def sharpness(frames: Tensor) -> Tensor:
    """Mean image gradient of uint8 frames (..., H, W, 3): (...)."""
    grey = frames.float().mean(-1)  # (..., H, W)
    across = (grey[..., 1:] - grey[..., :-1]).abs().mean((-1, -2))
    return across + (grey[..., 1:, :] - grey[..., :-1, :]).abs().mean((-1, -2))


def variance(frames: Tensor) -> Tensor:
    """Variance of grey levels within each uint8 frame (..., H, W, 3): (...)."""
    return frames.float().mean(-1).flatten(-2).var(-1)


def ssim(frames: Tensor, truth: Tensor) -> float:
    """Mean structural similarity of uint8 frames (M, H, W, 3), by torchmetrics."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    pair = [x.movedim(-1, 1).float() / 255 for x in (frames, truth)]
    value = structural_similarity_index_measure(pair[0], pair[1], data_range=1.0)
    assert isinstance(value, Tensor)
    return float(value)


def seen_pixels(
    depth: Tensor,
    pose: Tensor,
    known_depth: Tensor,
    known_pose: Tensor,
    intrinsics: Intrinsics = DEFAULT_INTRINSICS,
    chunk: int = 64,
) -> Tensor:
    """Which pixels of a view show surfaces that known frames show too, by true depth.

    Args:
        depth: (H, W) [m]; pose: (4, 4), of the view.
        known_depth: (K, H, W) [m]; known_pose: (K, 4, 4).

    Returns:
        bool (H, W).
    """
    surface = Pose(pose).do(intrinsics.unproject(depth).flatten(0, 1))  # (HW, 3)
    normal = intrinsics.normals(depth).flatten(0, 1) @ pose[:3, :3].T  # (HW, 3)
    seen = torch.zeros(surface.shape[0], dtype=torch.bool, device=depth.device)
    for start in range(0, len(known_pose), chunk):
        part = Pose(known_pose[start : start + chunk])
        image, far = intrinsics.project(part.inv_do(surface.expand(len(part.matrix), -1, -1)))
        grid = (image * 2 - 1).clamp(-3, 3).unsqueeze(1)  # (k, 1, HW, 2)
        read = F.grid_sample(
            known_depth[start : start + chunk].float().unsqueeze(1),
            grid,
            mode="nearest",
            align_corners=False,
        )[:, 0, 0]  # (k, HW)
        to_known = part.position[:, None] - surface  # (k, HW, 3)
        inside = (grid[:, 0].abs() < 1).all(-1) & (far > 0.05) & ((normal * to_known).sum(-1) > 0)
        seen |= (inside & ((read - far).abs() < 0.05 + 0.03 * far)).any(0)
    return seen.view(depth.shape)
