"""Foreign axes into ours: cameras that look along -z, worlds whose up is not z, quaternions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mgenv.errors import DataError

FROM_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
"""On the right of a camera-to-world of OpenGL axes (x right, y up, z back): ours."""

UPRIGHT: dict[str, NDArray[np.float64]] = {
    "z": np.eye(4),
    "y": np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]),
    "-y": np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]]),
}
"""By the axis that points up in a foreign world: its points into ours, where that is +z."""


def inverse_of(world_to_camera: NDArray[np.float64]) -> NDArray[np.float64]:
    """Camera-to-world (..., 4, 4) of rigid transforms; others stay as far from rigid."""
    rotation = world_to_camera[..., :3, :3].swapaxes(-1, -2)
    pose = np.zeros_like(world_to_camera)
    pose[..., :3, :3] = rotation
    pose[..., :3, 3] = -(rotation @ world_to_camera[..., :3, 3:])[..., 0]
    pose[..., 3, 3] = 1
    return pose


def transform_of(
    wxyz: NDArray[np.float64], translation: NDArray[np.float64], where: str
) -> NDArray[np.float64]:
    """The (4, 4) transform of a unit quaternion (w, x, y, z) and a translation (3,).

    Raises:
        DataError: the quaternion's length is not 1.
    """
    length = float(np.linalg.norm(wxyz))
    if not abs(length - 1) < 1e-2:
        raise DataError(f"{where}: expected a quaternion of length 1, got length {length:g}")
    w, x, y, z = wxyz / length
    transform = np.eye(4)
    transform[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    transform[:3, 3] = translation
    return transform


def leveled(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """Poses (T, 4, 4) of a world of any orientation, turned so that the cameras' mean up is +z."""
    up = -pose[:, :3, 1].mean(0)
    length = np.linalg.norm(up)
    if length < 1e-3:  # they point everywhere: no up to be found
        return pose
    up = up / length
    axis = np.cross(up, [0.0, 0.0, 1.0])
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    turn = np.eye(4)
    if up[2] < -1 + 1e-9:  # upside down: half a turn about x
        turn[:3, :3] = np.diag([1.0, -1.0, -1.0])
    else:  # the smallest rotation from one unit vector to another
        turn[:3, :3] += cross + cross @ cross / (1 + up[2])
    return turn @ pose
