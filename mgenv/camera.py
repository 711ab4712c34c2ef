"""Poses, intrinsics and motions, with all geometric conventions of the project.

World: metres, right-handed, z up. Camera: OpenCV (x right, y down, z forward). A pose is
camera-to-world. Intrinsics are normalised by image size, pixel centres lie at +0.5.
A motion is (forward, left, up [m], yaw [rad, left +], pitch [rad, up +]) along the heading.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MOTION_SIZE = 5
"""forward, left, up [m], yaw, pitch [rad]."""

MOTION_NAMES = ("forward", "left", "up", "yaw", "pitch")

CAMERA_HEIGHT = 1.0
"""Height of the camera above the floor at an episode's start, in metres."""

MAX_PITCH = math.radians(60.0)

ImageSize = int | tuple[int, int]
"""Side of square pictures, or height and width [pixels]."""


def picture_shape(size: ImageSize) -> tuple[int, int]:
    """Height and width [pixels].

    Example:
        >>> picture_shape(64), picture_shape((704, 1280))
        ((64, 64), (704, 1280))
    """
    return (size, size) if isinstance(size, int) else (size[0], size[1])


_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def full_precision(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Decorator: switch autocast off, so that geometry stays in float32."""

    @functools.wraps(function)
    def exact(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            return function(*args, **kwargs)

    return exact


@dataclass(frozen=True)
class Pose:
    """Camera-to-world transforms.

    Attributes:
        matrix: float (..., 4, 4); columns are the camera's right, down, forward and position.
    """

    matrix: Tensor

    @classmethod
    def create(cls, position: Tensor, yaw: Tensor, pitch: Tensor | None = None) -> Pose:
        """Camera without roll at ``position`` (..., 3) [m]; ``yaw`` [rad, 0 = +x, left +].

        Example:
            >>> pose = Pose.create(torch.zeros(3), torch.tensor(0.0))
            >>> pose.matrix[:3, 2].tolist()  # forward is +x
            [1.0, 0.0, 0.0]
        """
        pitch = torch.zeros_like(yaw) if pitch is None else pitch
        sin_y, cos_y, sin_p, cos_p = yaw.sin(), yaw.cos(), pitch.sin(), pitch.cos()
        zero = torch.zeros_like(yaw)
        right = torch.stack([sin_y, -cos_y, zero], -1)
        down = torch.stack([sin_p * cos_y, sin_p * sin_y, -cos_p], -1)
        forward = torch.stack([cos_p * cos_y, cos_p * sin_y, sin_p], -1)
        top = torch.stack([right, down, forward, position], -1)  # (..., 3, 4)
        bottom = torch.zeros_like(top[..., :1, :])
        bottom[..., 3] = 1.0
        return cls(torch.cat([top, bottom], -2))  # (..., 4, 4)

    @property
    def rotation(self) -> Tensor:
        """(..., 3, 3)."""
        return self.matrix[..., :3, :3]

    @property
    def position(self) -> Tensor:
        """(..., 3) [m]."""
        return self.matrix[..., :3, 3]

    @property
    def yaw(self) -> Tensor:
        """(...,) [rad] in (-pi, pi], left positive, 0 along +x."""
        return torch.atan2(self.matrix[..., 1, 2], self.matrix[..., 0, 2])

    @property
    def pitch(self) -> Tensor:
        """(...,) [rad], up positive."""
        return torch.asin(self.matrix[..., 2, 2].clamp(-1.0, 1.0))

    def inverse(self) -> Pose:
        """World-to-camera."""
        rotation = self.rotation.transpose(-1, -2)
        position = -(rotation @ self.position.unsqueeze(-1))  # (..., 3, 1)
        top = torch.cat([rotation, position], -1)  # (..., 3, 4)
        return Pose(torch.cat([top, self.matrix[..., 3:, :]], -2))

    def compose(self, other: Pose) -> Pose:
        """World pose of ``other``, which is given in this camera's frame."""
        return Pose(self.matrix @ other.matrix)

    def relative_to(self, reference: Pose) -> Pose:
        """This pose in the frame of ``reference``."""
        return reference.inverse().compose(self)

    def do(self, points: Tensor) -> Tensor:
        """Camera points (..., P, 3) to world points (..., P, 3)."""
        return points @ self.rotation.transpose(-1, -2) + self.position.unsqueeze(-2)

    def inv_do(self, points: Tensor) -> Tensor:
        """World points (..., P, 3) to camera points (..., P, 3)."""
        return (points - self.position.unsqueeze(-2)) @ self.rotation

    def move(self, motion: Tensor) -> Pose:
        """Translate along the heading, then turn; pitch is clipped to ±60°.

        Args:
            motion: (..., 5) forward, left, up [m], yaw, pitch [rad].
        """
        yaw = self.yaw
        forward, left, up, turn, tilt = motion.unbind(-1)
        step = torch.stack(
            [
                forward * yaw.cos() - left * yaw.sin(),
                forward * yaw.sin() + left * yaw.cos(),
                up,
            ],
            -1,
        )  # (..., 3)
        pitch = (self.pitch + tilt).clamp(-MAX_PITCH, MAX_PITCH)
        return Pose.create(self.position + step, yaw + turn, pitch)


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole camera, normalised by image size.

    Attributes:
        fx, fy: focal lengths over width and height.
        cx, cy: principal point over width and height.
    """

    fx: float
    fy: float
    cx: float = 0.5
    cy: float = 0.5

    @classmethod
    def from_fov(cls, horizontal: float = 90.0, aspect: float = 1.0) -> Intrinsics:
        """From the horizontal field of view [degrees] and width / height.

        Example:
            >>> round(Intrinsics.from_fov(90.0).fx, 6)
            0.5
        """
        fx = 0.5 / math.tan(math.radians(horizontal) / 2)
        return cls(fx=fx, fy=fx * aspect)

    def rays(self, height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
        """Camera-frame rays through the pixel centres, z = 1: (H, W, 3)."""
        v = (torch.arange(height, device=device) + 0.5) / height
        u = (torch.arange(width, device=device) + 0.5) / width
        y, x = torch.meshgrid((v - self.cy) / self.fy, (u - self.cx) / self.fx, indexing="ij")
        return torch.stack([x, y, torch.ones_like(x)], -1)

    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Camera points (..., 3) to image coordinates (..., 2) in [0, 1] and depth (...) [m].

        Points at or behind the camera get coordinates outside the image.
        """
        depth = points[..., 2]
        safe = depth.clamp_min(1e-4)
        u = points[..., 0] / safe * self.fx + self.cx
        v = points[..., 1] / safe * self.fy + self.cy
        behind = depth <= 1e-4
        return torch.stack([u, v], -1).masked_fill(behind.unsqueeze(-1), -1e4), depth

    def unproject(self, depth: Tensor) -> Tensor:
        """Depth maps (..., H, W) [m, along z] to camera points (..., H, W, 3)."""
        height, width = depth.shape[-2:]
        return self.rays(height, width, depth.device).to(depth.dtype) * depth.unsqueeze(-1)

    def normals(self, depth: Tensor) -> Tensor:
        """Surface normals in the camera's frame, towards the camera: (..., H, W, 3).

        Each axis uses the difference to the neighbour that is nearer in depth, so that depth edges
        do not tilt the surfaces beside them.
        """
        points = self.unproject(depth)  # (..., H, W, 3)
        across, down = _smaller_difference(points, -2), _smaller_difference(points, -3)
        normal = torch.cross(across, down, dim=-1)
        towards = -torch.sign((normal * points).sum(-1, keepdim=True))
        return normal * towards / normal.norm(dim=-1, keepdim=True).clamp_min(1e-12)


def _smaller_difference(points: Tensor, dim: int) -> Tensor:
    """Forward or backward difference along ``dim``, whichever changes depth less."""
    length = points.shape[dim]
    step = points.narrow(dim, 1, length - 1) - points.narrow(dim, 0, length - 1)
    first, last = step.narrow(dim, 0, 1), step.narrow(dim, length - 2, 1)
    forward, backward = torch.cat([step, last], dim), torch.cat([first, step], dim)
    nearer = forward[..., 2:].abs() <= backward[..., 2:].abs()
    return torch.where(nearer, forward, backward)


DEFAULT_INTRINSICS = Intrinsics.from_fov(90.0)


def frustum_points(
    intrinsics: Intrinsics, pose: Pose, counts: int = 10, near: float = 0.1, far: float = 30.0
) -> Tensor:
    """Regular points in the view frustum: (..., counts³, 3) in the world.

    Source: Matrix-Game 3.0's retrieval (10×10×10 points, 90°, 0.1 … 30 m).
    """
    device = pose.matrix.device
    side = (torch.arange(counts, device=device) + 0.5) / counts
    depth = near + (far - near) * side
    z, v, u = torch.meshgrid(depth, side, side, indexing="ij")
    x = (u - intrinsics.cx) / intrinsics.fx * z
    y = (v - intrinsics.cy) / intrinsics.fy * z
    return pose.do(torch.stack([x, y, z], -1).reshape(-1, 3))


def planar(pose: NDArray) -> NDArray[np.float64]:
    """Ground-plan position x, y [m] and yaw [rad] of cameras (..., 4, 4): (..., 3).

    In double precision, so that results do not depend on the batch size.
    """
    matrix = np.asarray(pose, dtype=np.float64)
    yaw = np.arctan2(matrix[..., 1, 2], matrix[..., 0, 2])
    return np.stack([matrix[..., 0, 3], matrix[..., 1, 3], yaw], -1)


def planar_from(viewer: NDArray[np.float64], points: NDArray) -> NDArray[np.float64]:
    """Ground-plan points (..., 2 or 3) in the frame of ``viewer`` (..., 3): forward, left [m].

    Example:
        >>> planar_from(np.array([1.0, 0.0, np.pi / 2]), np.array([1.0, 2.0])).round(6).tolist()
        [2.0, 0.0]
    """
    offset = points[..., :2] - viewer[..., :2]
    cos, sin = np.cos(viewer[..., 2]), np.sin(viewer[..., 2])
    forward = cos * offset[..., 0] + sin * offset[..., 1]
    left = cos * offset[..., 1] - sin * offset[..., 0]
    return np.stack([forward, left], -1)
