"""Where a world's first frame comes from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def engine_view(
    world_id: int, image_size: int, pose: NDArray[np.float32] | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """The engine's view of scene ``world_id``: rgb (H, W, 3), depth (H, W) [m], pose (4, 4).

    Args:
        pose: where to look from; the scene's first pose where None.
    """
    from mgenv.engine import navigation, renderer, scenes

    scene = scenes.cached_scene(int(world_id))
    first = navigation.first_pose(scene) if pose is None else pose
    seen_from = np.asarray(first, dtype=np.float32)
    batch = scenes.stack([scene])
    rgb, depth = renderer.render(batch, np.zeros(1, np.int64), seen_from[None], image_size)
    return rgb[0].numpy(), depth[0].numpy(), seen_from
