"""Classes and pieces of what pixels show, from the renderer's surface numbers.

A table per scene names the class of every surface number, so that one look-up a pixel suffices, on
any device. A piece is one thing as people count things: a bed is a piece of many objects.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from mgenv.engine.furniture import LABELS
from mgenv.engine.raytrace import FACES, FIRST_OBJECT
from mgenv.engine.scenes import SceneBatch

HOUSE = 0
"""The piece of what belongs to the house itself: floors, ceilings and walls."""


def class_table(batch: SceneBatch, device: str | torch.device = "cpu") -> Tensor:
    """The class of every surface number: uint8 (S, 3064), indices into ``LABELS``."""
    house = (torch.arange(FIRST_OBJECT, device=device) % FACES // 2).to(torch.uint8)
    return _table(house, batch.to(device)["belongs"][..., 0])


def piece_table(batch: SceneBatch, device: str | torch.device = "cpu") -> Tensor:
    """The piece of every surface number: uint8 (S, 3064), ``HOUSE`` or from 1 on."""
    house = torch.full((FIRST_OBJECT,), HOUSE, dtype=torch.uint8, device=device)
    return _table(house, batch.to(device)["belongs"][..., 1] + 1)


def _table(house: Tensor, objects: Tensor) -> Tensor:
    rooms = house.expand(len(objects), -1)  # (S, 1024)
    return torch.cat([rooms, objects.repeat_interleave(FACES, 1)], 1)  # (S, 3064)


def classes(batch: SceneBatch, scene_index: ArrayLike | Tensor, surface: Tensor) -> Tensor:
    """What each pixel shows.

    Args:
        scene_index: (F,) which scene of the batch each frame is in.
        surface: int32 (F, H, W) of :func:`mgenv.engine.renderer.render_surfaces`.

    Returns:
        uint8 (F, H, W), indices into ``mgenv.engine.furniture.LABELS``.

    Example:
        >>> from mgenv.engine.scenes import make_scenes
        >>> LABELS[int(classes(make_scenes([7]), [0], torch.tensor([[[4]]])))]
        'wall'
    """
    return _looked_up(class_table(batch, surface.device), scene_index, surface)


def pieces(batch: SceneBatch, scene_index: ArrayLike | Tensor, surface: Tensor) -> Tensor:
    """Which piece of its world each pixel shows: as :func:`classes`, ``HOUSE`` or from 1 on."""
    return _looked_up(piece_table(batch, surface.device), scene_index, surface)


def _looked_up(table: Tensor, scene_index: ArrayLike | Tensor, surface: Tensor) -> Tensor:
    scene = torch.as_tensor(scene_index).to(surface.device, torch.int64)
    start = (scene * table.shape[1]).view(-1, 1, 1)  # (F, 1, 1)
    return torch.take(table, surface + start)  # (F, H, W)


def piece_names(belongs: np.ndarray, count: int) -> list[str]:
    """The labels of a scene's pieces in order: piece n of :func:`pieces` is entry n - 1.

    Args:
        belongs: uint8 (255, 2) of one scene, of which the first ``count`` rows are there.
    """
    _, first = np.unique(belongs[:count, 1], return_index=True)
    return [LABELS[kind] for kind in belongs[first, 0]]
