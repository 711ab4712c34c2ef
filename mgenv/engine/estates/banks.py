"""The texture banks of estates."""

from __future__ import annotations

import functools

import numpy as np
import torch

from mgenv.engine.textures.bank import TEXELS, Bank, procedural
from mgenv.errors import MissingExtraError

OWN, WITH_FREEDOOM = 1, 2
"""Banks by number, as a scene's sky names them; 0 is none."""


@functools.cache
def estate_bank(with_freedoom: bool) -> Bank:
    """The textures of estates; with those of Freedoom after the procedural ones.

    Raises:
        MissingExtraError: Freedoom's are asked for and the ``games`` extra is not installed.
    """
    own = procedural()
    if not with_freedoom:
        return own
    from mgenv.engine.estates.freedoom import freedoom

    try:
        game, first = freedoom(), len(own.size)
    except ModuleNotFoundError as error:
        raise MissingExtraError("games", "worlds with the textures of Freedoom") from error
    moved = {k: range(r.start + first, r.stop + first) for k, r in game.categories.items()}
    return Bank(
        np.concatenate([own.texels, game.texels]),
        np.concatenate([own.size, game.size]),
        own.categories | moved,
    )


@functools.cache
def texels_on(bank: int, device: str) -> torch.Tensor:
    """uint8 (N, texels, 3) of a bank by its number in a scene's sky, once a device."""
    if bank == 0:
        return torch.zeros((1, TEXELS, 3), dtype=torch.uint8, device=device)
    return torch.from_numpy(estate_bank(bank == WITH_FREEDOOM).texels).to(device)
