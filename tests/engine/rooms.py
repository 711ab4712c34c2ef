"""A scene so simple that every depth in it can be worked out by hand."""

from __future__ import annotations

import numpy as np

from mgenv.engine.homes.layout import WALL
from mgenv.engine.scene.baking import list_objects, map_free_cells
from mgenv.engine.scene.batch import SceneBatch, empty_batch
from mgenv.engine.scene.shapes import BOX

LOW, HIGH = 4.0, 8.0
"""The room's walls stand at x, y = 4 m and 8 m."""


def box_room(*objects: tuple[float, ...], shape: int = BOX, solid: float = 1.0) -> SceneBatch:
    """One empty room with objects (centre x, y, z, half size x, y, z)."""
    batch = empty_batch(1)
    scene = batch[0]
    scene.cells[:] = WALL
    scene.cells[16:32, 16:32] = 0
    scene.light[:] = 255
    scene.rooms[0, :4] = LOW, LOW, HIGH, HIGH
    scene.rooms[0, 4:8] = 6.0, 6.0, 6.0, 6.0
    scene.rooms[0, 8:11] = 1.0
    for material, grey in ((12, 0.2), (20, 0.5), (28, 0.8)):
        scene.rooms[0, material + 1 : material + 7] = grey
        scene.rooms[0, material + 7] = 1.0
    for n, numbers in enumerate(objects):
        scene.objects[n, 0], scene.objects[n, 1:7] = shape, numbers
        scene.objects[n, 7], scene.objects[n, 9], scene.objects[n, 12] = solid, 0.9, 0.9
    scene.counts[:] = 1, len(objects), 0
    list_objects(scene.objects, len(objects), scene.starts, scene.items)
    map_free_cells(scene.cells, scene.ground, scene.objects, len(objects), scene.free)
    return batch


def level_pose(x: float, y: float, yaw: float, z: float = 1.0) -> np.ndarray:
    """A level camera, float32 (1, 4, 4)."""
    sin, cos = np.sin(yaw), np.cos(yaw)
    columns = [[sin, -cos, 0, 0], [0, 0, -1, 0], [cos, sin, 0, 0], [x, y, z, 1]]
    return np.array(columns, np.float32).T[None]
