"""Worlds from numbers: ``make_scene(world_id)`` is the same furnished world for ever.

Below ``ESTATES`` they are homes on one floor. Those held out from training are built alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from mgenv.engine.estates.banks import estate_bank
from mgenv.engine.estates.estates import build_estate
from mgenv.engine.homes.furnish import HOME_OBJECTS, furnish
from mgenv.engine.homes.furniture import ITEM_TABLE, PART_TABLE, WISH_TABLE
from mgenv.engine.homes.layout import MAX_DOORS, MAX_ROOMS, plan
from mgenv.engine.homes.palette import draw_house, paint_rooms
from mgenv.engine.render.random_stream import new_stream
from mgenv.engine.scene.baking import bake_floor, list_objects, map_free_cells
from mgenv.engine.scene.batch import Scene, SceneBatch, checked_ids, empty_batch
from mgenv.engine.scene.world_ids import ESTATES, FREEDOOM_ESTATES
from mgenv.engine.scene.world_ids import HELD_OUT as HELD_OUT

_LAYOUT, _PAINT, _FURNITURE = 1, 2, 3


def _build(world_id: int, scene: Scene) -> None:
    """Fill one scene's arrays, all zero before."""
    if world_id >= ESTATES:
        build_estate(world_id, scene, with_freedoom=world_id >= FREEDOOM_ESTATES)
    else:
        _build_home(world_id, scene)


def _build_home(world_id: int, scene: Scene) -> None:
    """Fill a home's arrays stage by stage."""
    rects, doors = np.zeros((MAX_ROOMS, 5), np.int64), np.zeros((MAX_DOORS, 6), np.int64)
    house, trim, hues = np.empty(3), np.empty(3), np.empty(MAX_ROOMS)
    rooms, doorways = plan(new_stream(world_id, _LAYOUT), rects, doors, scene.cells)
    paint = new_stream(world_id, _PAINT)
    draw_house(paint, house, trim)
    paint_rooms(paint, rects, rooms, house, scene.rooms, hues)
    count = furnish(
        new_stream(world_id, _FURNITURE), rects, rooms, scene.cells, doors, doorways, scene.rooms,
        hues, trim, ITEM_TABLE, PART_TABLE, WISH_TABLE, scene.objects[:HOME_OBJECTS],
        scene.belongs[:HOME_OBJECTS],
    )  # fmt: skip
    list_objects(scene.objects, count, scene.starts, scene.items)
    bake_floor(
        scene.rooms, rects, rooms, scene.levels, scene.objects, count, scene.cells, scene.light
    )
    map_free_cells(scene.cells, scene.ground, scene.objects, count, scene.free)
    scene.counts[:] = rooms, count, doorways


def make_scenes(
    world_ids: Sequence[int] | NDArray[np.int64], workers: int | None = None
) -> SceneBatch:
    """Build many worlds.

    Args:
        world_ids: non-negative whole numbers.
        workers: threads; as many as torch uses by default.

    Raises:
        InvalidOptionError: a world id is not a whole number from 0 to 2**63 - 1.
        MissingExtraError: worlds with Freedoom's textures without the extra ``games``.
    """
    ids = checked_ids(world_ids)
    if (ids >= ESTATES).any():
        estate_bank(bool((ids >= FREEDOOM_ESTATES).any()))  # once, not once a thread
    arrays = empty_batch(len(ids)).arrays
    workers = max(1, min(workers or torch.get_num_threads(), len(ids)))
    batch = SceneBatch(arrays, ids)
    if workers == 1:
        for n in range(len(ids)):
            _build(int(ids[n]), batch[n])
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda n: _build(int(ids[n]), batch[n]), range(len(ids))))
    return batch


@lru_cache(maxsize=256)
def cached_scene(world_id: int) -> Scene:
    """:func:`make_scene`, kept for a while; not to be changed."""
    return make_scene(world_id)


def make_scene(world_id: int) -> Scene:
    """Build one world: the same for the same id, for ever.

    Example:
        >>> make_scene(7).cells.shape
        (64, 64)
    """
    return make_scenes([world_id], workers=1)[0]
