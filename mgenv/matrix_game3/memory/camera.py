"""The camera of Matrix-Game 3.0: poses from keys and mouse, and rays as the network reads them.

World: x ahead of the first camera, y right, z up (left-handed), in metres of a hundred game units.
A camera's columns are right, down, forward and position; it looks 90° wide and 90° high whatever
the picture's aspect ratio. A latent covers four frames and has the pose of the last.

Source: conventions of the public inference code of Matrix-Game 3.0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mgenv.camera import Intrinsics, Pose, full_precision
from mgenv.errors import InvalidOptionError

STRAIGHT, DIAGONAL = 12.35, 8.73
"""Game units a frame along an axis, and along each of two axes at once."""

DEGREES_PER_UNIT, DEAD_ZONE = 15.0, 0.02
"""Rotation per mouse unit [degrees], and dead zone [mouse units]."""

METRES_PER_UNIT = 0.01
FRAMES_PER_LATENT = 4
INTRINSICS = Intrinsics(fx=0.5, fy=0.5)


def _moves(keyboard: Tensor) -> tuple[Tensor, Tensor]:
    """Steps ahead and right (..., F) [units] of keys (..., F, ≥4) W, S, A, D."""
    ahead, back, left, right = (keyboard[..., :4] > 0.5).to(torch.float64).unbind(-1)
    forward, sideways = ahead - back, right - left
    both = (forward != 0) & (sideways != 0)
    step = torch.where(both, DIAGONAL, STRAIGHT).to(torch.float64)
    return forward * step, sideways * step


def _wrapped(total: Tensor, turn: Tensor) -> Tensor:
    """Wrap headings (..., F) to [-180°, 180°]; at ±180°, the sign depends on the turn."""
    steps = torch.arange(turn.shape[-1], device=turn.device)
    turned = torch.where(turn != 0, steps, -1).cummax(-1).values.clamp_min(0)
    falling = turn.gather(-1, turned) < 0
    full = 360.0
    up = total - full * torch.ceil((total - 180.0) / full)  # (-180, 180]
    down = total - full * torch.floor((total + 180.0) / full)  # [-180, 180)
    return torch.where(falling, down, up)


def poses_of_actions(keyboard: Tensor, mouse: Tensor, first: Tensor | None = None) -> Tensor:
    """Poses from actions: frame 0 is at ``first``, action i leads from frame i to i + 1.

    A step moves along the mean of the headings before and after. As in the public code, that is
    the mean of wrapped headings, so a step across ±180° goes backwards.

    Args:
        keyboard: (..., F, 6) W, S, A, D and two unused; pressed above 0.5.
        mouse: (..., F, 2) pitch (down positive) and yaw (right positive) in mouse units.
        first: (..., 5) pose of frame 0; the origin if None.

    Returns:
        (..., F, 5) float32: x, y, z [units], pitch, yaw [degrees]; the last action is not used.

    Raises:
        InvalidOptionError: keys and mouse of different lengths.
    """
    if keyboard.shape[:-1] != mouse.shape[:-1] or mouse.shape[-1] != 2 or keyboard.shape[-1] < 4:
        raise InvalidOptionError(
            "Expected keyboard (..., F, 6) and mouse (..., F, 2) of one length; "
            f"got {tuple(keyboard.shape)} and {tuple(mouse.shape)}."
        )
    zero = mouse.new_zeros(*mouse.shape[:-2], 5)
    start = (zero if first is None else first.expand_as(zero)).double()
    turn = mouse * DEGREES_PER_UNIT * (mouse.abs() >= DEAD_ZONE)
    turn = turn[..., :-1, :].double()  # (..., F-1, 2)
    angles = start[..., None, 3:] + turn.cumsum(-2)  # (..., F-1, 2)
    angles = torch.stack([angles[..., 0], _wrapped(angles[..., 1], turn[..., 1])], -1)
    angles = torch.cat([start[..., None, 3:], angles], -2)  # (..., F, 2)
    mean = torch.deg2rad((angles[..., :-1, 1] + angles[..., 1:, 1]) / 2)
    forward, right = _moves(keyboard[..., :-1, :])
    x = mean.cos() * forward - mean.sin() * right
    y = mean.sin() * forward + mean.cos() * right
    steps = torch.stack([x, y, torch.zeros_like(x)], -1).cumsum(-2)  # (..., F-1, 3)
    places = torch.cat([start[..., None, :3], start[..., None, :3] + steps], -2)  # (..., F, 3)
    return torch.cat([places, angles], -1).float()  # (..., F, 5)


@full_precision
def camera_to_world(poses: Tensor) -> Tensor:
    """Matrices (..., 4, 4) [m] of poses (..., 5): x, y, z [units], pitch, yaw [degrees]."""
    pitch, yaw = torch.deg2rad(poses[..., 3].double()), torch.deg2rad(poses[..., 4].double())
    zero = torch.zeros_like(yaw)
    right = torch.stack([-yaw.sin(), yaw.cos(), zero], -1)
    down = torch.stack([-yaw.cos() * pitch.sin(), -yaw.sin() * pitch.sin(), -pitch.cos()], -1)
    forward = torch.stack([yaw.cos() * pitch.cos(), yaw.sin() * pitch.cos(), -pitch.sin()], -1)
    place = poses[..., :3].double() * METRES_PER_UNIT
    top = torch.stack([right, down, forward, place], -1)  # (..., 3, 4)
    bottom = torch.zeros_like(top[..., :1, :])
    bottom[..., 3] = 1.0
    return torch.cat([top, bottom], -2).float()  # (..., 4, 4)


def latent_index(frame: int) -> int:
    """The latent that a frame belongs to: frame 0 is latent 0, then four frames each."""
    return (frame - 1) // FRAMES_PER_LATENT + 1


def frame_of_latent(index: int) -> int:
    """The frame whose pose a latent has, the last of four."""
    return FRAMES_PER_LATENT * index


def memory_pose_frame(frame: int) -> int:
    """The frame whose pose a remembered frame has: the last of its latent, never frame 0."""
    return frame_of_latent(max(latent_index(frame), 1))


def _scaled(relative: Tensor) -> Tensor:
    """Transforms (..., T, 4, 4), divided by the length of the longest translation unless 0."""
    place = relative[..., :3, 3]  # (..., T, 3)
    longest = place.norm(dim=-1).amax(-1)[..., None, None]  # (..., 1, 1)
    place = torch.where(longest > 0, place / longest, place)
    top = torch.cat([relative[..., :3, :3], place.unsqueeze(-1)], -1)
    return torch.cat([top, relative[..., 3:, :]], -2)


@full_precision
def relative_window(c2w: Tensor) -> Tensor:
    """Each camera (..., T, 4, 4) relative to the one before, scaled to a longest step of 1."""
    steps = Pose(c2w[..., 1:, :, :]).relative_to(Pose(c2w[..., :-1, :, :])).matrix
    origin = torch.eye(4, device=c2w.device, dtype=c2w.dtype).expand_as(c2w[..., :1, :, :])
    return _scaled(torch.cat([origin, steps], -3))


@full_precision
def relative_memory(memory: Tensor, queries: Tensor) -> Tensor:
    """Remembered cameras (..., M, 4, 4) relative to their queries, each scaled to distance 1."""
    relative = Pose(memory).relative_to(Pose(queries)).matrix
    return _scaled(relative.unsqueeze(-3)).squeeze(-3)  # scaled one by one


@full_precision
def rays(relative: Tensor, height: int, width: int, grid: tuple[int, int]) -> Tensor:
    """Plücker rays of the pixels of each latent cell, as channels.

    Args:
        relative: (..., T, 4, 4) cameras in the coordinates of the rays.
        height, width: of the picture [pixels].
        grid: rows and columns of the latent; a cell is height/rows × width/columns pixels.

    Returns:
        (..., 6 · cell, T, rows, columns): origin and unit direction, each over the cell's pixels.

    Raises:
        InvalidOptionError: the grid does not divide the picture.
    """
    rows, columns = grid
    if rows < 1 or columns < 1 or height % rows or width % columns:
        raise InvalidOptionError(
            f"Expected a latent grid that divides {height}×{width} pixels; got {rows}×{columns}."
        )
    camera = INTRINSICS.rays(height, width, relative.device).to(relative.dtype)  # (H, W, 3)
    camera = camera / camera.norm(dim=-1, keepdim=True)
    turned = torch.einsum("...ij,hwj->...ihw", relative[..., :3, :3], camera)  # (..., T, 3, H, W)
    origin = relative[..., :3, 3, None, None].expand_as(turned)
    both = torch.cat([origin, turned], -3)  # (..., T, 6, H, W)
    cells = both.unflatten(-1, (columns, -1)).unflatten(-3, (rows, -1))  # (…, T, 6, r, a, c, b)
    cells = cells.movedim((-5, -3, -1), (-6, -5, -4))  # (..., 6, a, b, T, r, c)
    return cells.flatten(-6, -4)


def plucker(
    c2w: Tensor,
    height: int,
    width: int,
    grid: tuple[int, int],
    memory: Tensor | None = None,
    queries: Tensor | None = None,
) -> Tensor:
    """Plücker rays of one window, the input of the network's camera branch.

    Args:
        c2w: (..., T, 4, 4) poses of the window's latents (:func:`frame_of_latent`).
        height, width: of the picture [pixels].
        grid: rows and columns of the latent.
        memory: (..., M, 4, 4) poses of the remembered latents (:func:`memory_pose_frame`).
        queries: (..., M, 4, 4) poses of their query frames.

    Returns:
        (..., 6 · cell, M + T, rows, columns), memory first; 1536 channels at 16×16 pixels a cell.

    Raises:
        InvalidOptionError: the grid does not divide the picture, or memory without queries.
    """
    relative = relative_window(c2w)
    if (memory is None) != (queries is None):
        raise InvalidOptionError("Expected memory poses with the poses of their queries.")
    if memory is not None and queries is not None:
        relative = torch.cat([relative_memory(memory, queries), relative], -3)
    return rays(relative, height, width, grid)
