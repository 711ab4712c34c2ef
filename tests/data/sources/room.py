"""A room in closed form, and what an importer of it must give: the ground truth of the tests here.

Rays and projections are written out again, so that importers are not judged by their own code.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from mgenv.camera import Intrinsics, Pose
from mgenv.data.episode import Episode
from mgenv.images import to_float
from mgenv.memory.reprojection import Sources, reproject

WIDTH, HEIGHT = 120, 80
FX, FY, CX, CY = 70.0, 74.0, 64.0, 37.0
"""In pixels counted from the picture's corner; nothing is in the middle: no mix-up hides."""

SIZE = 32
TICKS = 5
LOW, HIGH = np.array([-2.5, -2.0, 0.0]), np.array([3.0, 2.2, 2.6])
"""Corners of the room [m]."""


def walk(ticks: int = TICKS) -> np.ndarray:
    """Poses (T, 4, 4) that go forward, left and up while they turn and tilt."""
    time = torch.arange(ticks) / (TICKS - 1)
    place = torch.stack([-1.0 + 0.6 * time, -0.5 + 0.5 * time, 1.0 + 0.25 * time], -1)
    return Pose.create(place, 0.2 + 0.5 * time, -0.1 + 0.2 * time).matrix.double().numpy()


def draw(
    pose: np.ndarray, lens: tuple[float, ...] = (FX, FY, CX, CY),
    size: tuple[int, int] = (WIDTH, HEIGHT), bend: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0),
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """The room from ``pose`` through a lens (fx, fy, cx, cy in pixels; bent by k1, k2, p1, p2).

    Returns:
        uint8 (H, W, 3); float depth (H, W) along the optical axis [m].
    """
    (fx, fy, cx, cy), (width, height) = lens, size
    column, row = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    x, y = _straight((column - cx) / fx, (row - cy) / fy, *bend)
    ray = np.stack([x, y, np.ones_like(x)], -1) @ pose[:3, :3].T  # (H, W, 3)
    eye = pose[:3, 3]
    walls = np.where(ray > 0, HIGH - eye, LOW - eye) / np.where(np.abs(ray) < 1e-9, 1e-9, ray)
    depth = walls.min(-1)
    at = eye + ray * depth[..., None]
    colour = 0.5 + 0.4 * np.sin(at * [2.0, 2.6, 2.3] + [0.3, 1.1, 2.0] + at[..., [1, 2, 0]])
    return (colour * 255).round().astype(np.uint8), depth


def _straight(bent_x, bent_y, k1, k2, p1, p2):
    """Rays of bent image points, by fixed-point iteration on OpenCV's published formula."""
    x, y = bent_x, bent_y
    for _ in range(50):
        r2 = x**2 + y**2
        stretch = 1 + k1 * r2 + k2 * r2**2
        shift_x = 2 * p1 * x * y + p2 * (r2 + 2 * x**2)
        shift_y = p1 * (r2 + 2 * y**2) + 2 * p2 * x * y
        x, y = (bent_x - shift_x) / stretch, (bent_y - shift_y) / stretch
    return x, y


def save(path, pixels: np.ndarray) -> None:
    """A picture, or a depth map of 16 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jpg":
        Image.fromarray(pixels).save(path, quality=98, subsampling=0)
    else:
        Image.fromarray(pixels).save(path)


def quaternion(rotation: np.ndarray) -> tuple[float, ...]:
    """w, x, y, z of a rotation (3, 3), from its axis and angle."""
    angle = np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))
    axis = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0],
                     rotation[1, 0] - rotation[0, 1]])  # fmt: skip
    axis = axis / np.linalg.norm(axis)
    return (np.cos(angle / 2), *(axis * np.sin(angle / 2)))


def check(
    episode: Episode, truth: np.ndarray, up: float = 1e-5, depth: float = 0.0, noise: float = 1.0
) -> None:
    """Prove that an episode shows the room from ``truth`` (T, 4, 4).

    Args:
        episode: what was imported.
        truth: in the room's own world.
        up: how far the imported world's up may lean from the room's.
        depth: how far imported depth may be from the true one [m]; 0 if there must be none.
        noise: of the pictures' compression, in grey levels.
    """
    poses_agree(episode, truth, up)
    pictures_agree(episode, truth, noise)
    if depth:
        depths_agree(episode, truth, depth)
    else:
        assert episode.depth is None
    known = seen(episode, truth)[1] if episode.depth is None else episode.depth
    next_frames_are_explained(episode, known)
    assert np.array_equal(episode.action, episode.motion) and not episode.bumped.any()
    assert episode.action_names == ("forward", "left", "up", "yaw", "pitch")


def poses_agree(episode: Episode, truth: np.ndarray, up: float) -> None:
    """They are the truth, but for where the world begins and its heading."""
    assert len(episode) == len(truth)
    world = episode.pose[0].astype(np.float64) @ np.linalg.inv(truth[0])
    np.testing.assert_allclose(episode.pose, world @ truth, atol=2e-5)
    np.testing.assert_allclose(world[:3, :3] @ [0, 0, 1], [0, 0, 1], atol=up)


def pixels_of(intrinsics: Intrinsics, size: int) -> tuple[float, ...]:
    return tuple(size * np.array([intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy]))


def seen(episode: Episode, truth: np.ndarray, size: int = SIZE):
    """What its intrinsics would see from the true poses: (T, S, S, 3), (T, S, S)."""
    fine = [draw(p, pixels_of(episode.intrinsics, 4 * size), (4 * size,) * 2) for p in truth]
    rgb = np.stack([c.reshape(size, 4, size, 4, 3).mean((1, 3)) for c, _ in fine])
    lens = pixels_of(episode.intrinsics, size)
    return rgb, np.stack([draw(p, lens, (size, size))[1] for p in truth])


def pictures_agree(episode: Episode, truth: np.ndarray, noise: float) -> None:
    """They are what the room looks like through their own intrinsics."""
    assert episode.rgb.shape == (len(truth), SIZE, SIZE, 3) and episode.rgb.dtype == np.uint8
    off = np.abs(episode.rgb - seen(episode, truth)[0])
    assert off.mean() < noise, f"pictures are off by {off.mean():.2f} grey levels"


def depths_agree(episode: Episode, truth: np.ndarray, near: float) -> None:
    assert episode.depth is not None
    off = np.abs(episode.depth - seen(episode, truth)[1])
    assert np.median(off) < near, f"depth is off by {np.median(off):.3f} m"


def next_frames_are_explained(episode: Episode, depth: np.ndarray) -> None:
    """Each frame, warped by depth and the imported poses, is the next: far better than itself."""
    rgb = to_float(torch.from_numpy(episode.rgb))
    sources = Sources(
        rgb[:-1, None], torch.from_numpy(depth[:-1, None].astype(np.float32)),
        torch.from_numpy(episode.pose[:-1, None]), torch.ones(len(rgb) - 1, 1),
    )  # fmt: skip
    canvas = reproject(sources, torch.from_numpy(episode.pose[1:]), episode.intrinsics)
    assert canvas.coverage.mean() > 0.6
    warped = ((canvas.rgb - rgb[1:]).abs() * canvas.mask).sum() / canvas.mask.sum()
    still = ((rgb[:-1] - rgb[1:]).abs() * canvas.mask).sum() / canvas.mask.sum()
    assert warped < 0.25 * still, f"warped {warped:.4f}, unmoved {still:.4f}"
