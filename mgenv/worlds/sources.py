"""Where a world's first frame comes from."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=64)
def _scene(world_id: int):
    from mgenv.engine import navigation, scenes

    batch = scenes.make_scenes([world_id])
    return batch, np.asarray(navigation.first_pose(scenes.make_scene(world_id)), np.float32)


def engine_view(
    world_id: int, image_size: int, pose: NDArray[np.float32] | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """The engine's view of scene ``world_id``: rgb (H, W, 3), depth (H, W) [m], pose (4, 4).

    Args:
        pose: where to look from; the scene's first pose where None.
    """
    from mgenv.engine import renderer

    batch, first = _scene(int(world_id))
    seen_from = first if pose is None else np.asarray(pose, np.float32)
    rgb, depth = renderer.render(batch, np.zeros(1, np.int64), seen_from[None], image_size)
    return rgb[0].numpy(), depth[0].numpy(), seen_from
