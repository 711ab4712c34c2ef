"""The first frame of a world, rendered by the engine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mgenv.camera import ImageSize, picture_shape


def engine_view(
    world_id: int, image_size: ImageSize, pose: NDArray[np.float32] | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """The engine's view of scene ``world_id``: rgb (H, W, 3), depth (H, W) [m], pose (4, 4).

    Args:
        pose: where to look from; the scene's first pose where None.
    """
    from mgenv.engine.motion import navigation
    from mgenv.engine.render import renderer
    from mgenv.engine.scene.batch import stack
    from mgenv.engine.scene.scenes import cached_scene

    scene = cached_scene(int(world_id))
    first = navigation.first_pose(scene) if pose is None else pose
    seen_from = np.asarray(first, dtype=np.float32)
    batch, side = stack([scene]), max(picture_shape(image_size))
    rgb, depth = renderer.render(batch, np.zeros(1, np.int64), seen_from[None], side)
    rgb, depth = (fitted(picture.numpy(), image_size) for picture in (rgb, depth))
    return rgb[0], depth[0], seen_from


def fitted(pictures: NDArray, image_size: ImageSize) -> NDArray:
    """Resize square pictures (T, S, S, …) to ``image_size`` by nearest pixels.

    The field of view is 90° in both directions whatever the aspect ratio, so nothing is cropped.
    """
    height, width = picture_shape(image_size)
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.int64)
        for new, old in zip((height, width), pictures.shape[1:3], strict=True)
    )
    return np.ascontiguousarray(pictures[:, rows[:, None], columns])  # (T, H, W, …)
