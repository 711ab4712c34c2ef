"""Classes and pieces of what pixels show, from the renderer's surface numbers.

A table per scene names the class of every surface number, so that one look-up a pixel suffices, on
any device. A piece is one thing as people count things: a bed is a piece of many objects.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from mgenv.engine.homes.furniture import FIRST_CHARACTER, LABELS
from mgenv.engine.homes.layout import DOORWAY, PARAPET, STAIRS, WINDOW_SILL
from mgenv.engine.people.crowd import Crowd
from mgenv.engine.render.raytrace import FACES, FIRST_OBJECT, SKY_NUMBER
from mgenv.engine.render.shading import FIRST_PART, SUNLIT
from mgenv.engine.scene.batch import SceneBatch
from mgenv.engine.scene.shapes import MAX_PARTS

HOUSE = 0
"""The piece of what belongs to the house itself: floors, ceilings and walls."""
_FACE_CLASSES = (
    "floor", "stairs", "ceiling", "ceiling", "wall", "wall", "door frame", "wall",
)  # fmt: skip


def class_table(batch: SceneBatch, device: str | torch.device = "cpu") -> Tensor:
    """The class of every surface number: uint8 (S, 5112), indices into ``LABELS``."""
    house = torch.from_numpy(_house_classes()).to(device)
    return _table(house, batch.to(device)["belongs"][..., 0])


@functools.cache
def _house_classes() -> NDArray[np.uint8]:
    """The classes of the surface numbers below those of objects; see ``surface_number``."""
    number = np.arange(FIRST_OBJECT)
    room, face = number // FACES, number % FACES
    kinds = np.array([LABELS.index(name) for name in _FACE_CLASSES], np.uint8)[face]
    kinds[(face == 0) & (room >= STAIRS) & (room < DOORWAY)] = LABELS.index("stairs")
    kinds[(face > 5) & (room >= WINDOW_SILL) & (room < PARAPET)] = LABELS.index("window")
    kinds[SKY_NUMBER] = LABELS.index("sky")
    return kinds


def piece_table(batch: SceneBatch, device: str | torch.device = "cpu") -> Tensor:
    """The piece of every surface number: uint8 (S, 5112), ``HOUSE`` or from 1 on."""
    house = torch.full((FIRST_OBJECT,), HOUSE, dtype=torch.uint8, device=device)
    return _table(house, batch.to(device)["belongs"][..., 1] + 1)


def _table(house: Tensor, objects: Tensor) -> Tensor:
    rooms = house.expand(len(objects), -1)  # (S, 1024)
    return torch.cat([rooms, objects.repeat_interleave(FACES, 1)], 1)  # (S, 5112)


def classes(
    batch: SceneBatch,
    scene_index: ArrayLike | Tensor,
    surface: Tensor,
    crowd: Crowd | None = None,
) -> Tensor:
    """What each pixel shows.

    Args:
        scene_index: (F,) which scene of the batch each frame is in.
        surface: int32 (F, H, W) of :func:`mgenv.engine.render.renderer.render_surfaces`.
        crowd: the characters of these frames.

    Returns:
        uint8 (F, H, W), indices into ``mgenv.engine.homes.furniture.LABELS``.

    Example:
        >>> from mgenv.engine.scene.scenes import make_scenes
        >>> LABELS[int(classes(make_scenes([7]), [0], torch.tensor([[[4]]])))]
        'wall'
    """
    found = _looked_up(class_table(batch, surface.device), scene_index, surface)
    if crowd is None or not crowd.counts.size:
        return found
    kinds = torch.from_numpy(crowd.kinds).to(surface.device) + FIRST_CHARACTER  # (F, K)
    return _with_characters(found, surface, kinds)


def pieces(
    batch: SceneBatch,
    scene_index: ArrayLike | Tensor,
    surface: Tensor,
    crowd: Crowd | None = None,
) -> Tensor:
    """Which piece of its world each pixel shows: as :func:`classes`, ``HOUSE`` or from 1 on.

    The characters of a frame are its last pieces, down from 255.
    """
    found = _looked_up(piece_table(batch, surface.device), scene_index, surface)
    if crowd is None or not crowd.counts.size:
        return found
    numbers = 255 - torch.arange(crowd.counts.shape[1], dtype=torch.uint8, device=surface.device)
    return _with_characters(found, surface, numbers.expand(len(surface), -1))


def _looked_up(table: Tensor, scene_index: ArrayLike | Tensor, surface: Tensor) -> Tensor:
    scene = torch.as_tensor(scene_index).to(surface.device, torch.int64)
    start = (scene * table.shape[1]).view(-1, 1, 1)  # (F, 1, 1)
    number = (surface & (SUNLIT - 1)).clamp(max=FIRST_PART - 1)
    return torch.take(table, number + start)  # (F, H, W)


def _with_characters(found: Tensor, surface: Tensor, values: Tensor) -> Tensor:
    """``values`` (F, K) where a frame shows the character of that number."""
    who = ((surface & (SUNLIT - 1)) - FIRST_PART) // (MAX_PARTS * FACES)  # (F, H, W)
    shown = values.gather(1, who.clamp(min=0).flatten(1).long()).view_as(found)
    return torch.where(who >= 0, shown, found)


def piece_names(belongs: np.ndarray, count: int) -> list[str]:
    """The labels of a scene's pieces in order: piece n of :func:`pieces` is entry n - 1.

    Args:
        belongs: uint8 (511, 2) of one scene, of which the first ``count`` rows are there.
    """
    _, first = np.unique(belongs[:count, 1], return_index=True)
    return [LABELS[kind] for kind in belongs[first, 0]]
