"""Conversion between the project's conventions and those of the public model.

The public model's world is left-handed, so y changes sign. Its poses are x, y, z [cm], pitch (down
positive) and yaw (right positive) [degrees], without roll. It has no vertical motion.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mgenv.camera import MAX_PITCH, Pose, full_precision
from mgenv.errors import InvalidActionError
from mgenv.matrix_game3.memory.camera import (
    DEAD_ZONE,
    DEGREES_PER_UNIT,
    METRES_PER_UNIT,
    camera_to_world,
)
from mgenv.robots import FORWARD, LEFT, PITCH, STEP_LENGTH, UP, YAW

PRESSED = STEP_LENGTH / 4
"""Motion above which a key is pressed [m]."""


@full_precision
def to_public(pose: Tensor) -> Tensor:
    """Poses (..., 5) of cameras (..., 4, 4); roll is dropped."""
    camera = Pose(pose.double())
    x, y, z = (camera.position / METRES_PER_UNIT).unbind(-1)
    pitch, yaw = -torch.rad2deg(camera.pitch), -torch.rad2deg(camera.yaw)
    return torch.stack([x, -y, z, pitch, yaw], -1).float()


def from_public(poses: Tensor) -> Tensor:
    """Cameras (..., 4, 4) of poses (..., 5)."""
    return camera_to_world(poses) * poses.new_tensor([1.0, -1.0, 1.0, 1.0])[:, None]


def actions_of(motions: Tensor, pitch: float = 0.0) -> tuple[Tensor, Tensor]:
    """Keyboard and mouse for the motions of consecutive frames.

    A key moves the camera by 12.35 cm a frame; a mouse unit turns it by 15° a frame. The mouse's
    pitch is 0 where the camera would exceed 60°.

    Args:
        motions: (F, 5), see :mod:`mgenv.camera`.
        pitch: pitch of the first frame, down positive [degrees].

    Returns:
        Keyboard (F, 6) W, S, A, D and two unused; mouse (F, 2) pitch down and yaw right.

    Raises:
        InvalidActionError: a motion is vertical.
    """
    up = float(motions[:, UP].abs().max())
    if up > 1e-6:
        raise InvalidActionError(f"motion: expected none up or down, got {up:.3f} m")
    ahead, left = motions[:, FORWARD], motions[:, LEFT]
    keyboard = torch.zeros(len(motions), 6)
    keyboard[:, :4] = (torch.stack([ahead, -ahead, left, -left], -1) > PRESSED).float()
    mouse = -torch.rad2deg(motions[:, [PITCH, YAW]]) / DEGREES_PER_UNIT  # (F, 2)
    for move in mouse:
        turns = float(move[0]) if abs(float(move[0])) >= DEAD_ZONE else 0.0
        arrives = pitch + DEGREES_PER_UNIT * turns
        if abs(arrives) > math.degrees(MAX_PITCH) + 1e-3:
            move[0] = 0.0
        else:
            pitch = arrives
    return keyboard, mouse.float()
