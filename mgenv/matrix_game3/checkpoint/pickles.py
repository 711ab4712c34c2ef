"""Reads tensors from ``.pth`` files, which are pickles, and never runs code from them.

A pickle that refers to code is refused before it is loaded, and loading uses ``weights_only=True``.
"""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint

from mgenv.errors import CheckpointError

WRAPPERS = ("state_dict", "gen_model", "generator")
"""Keys under which public pickles nest their tensors, outermost first."""

_DAMAGE = (
    pickle.UnpicklingError,
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
)


def read_pickle(file: Path) -> dict[str, Tensor]:
    """Tensors of a ``.pth`` file by key, mapped from the disk and unwrapped.

    Raises:
        CheckpointError: it contains code, is damaged, or holds anything but tensors.
    """
    refuse_code(file)
    try:
        state = torch.load(
            file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file)
        )
    except _DAMAGE as error:
        raise CheckpointError(f"{file}: expected a pickle of tensors; got {error}.") from error
    return _unwrapped(file, state)


def refuse_code(file: Path) -> None:
    """Scan a pickle, without loading it, for anything but tensors and containers.

    Raises:
        CheckpointError: it refers to functions or classes of its own, or cannot be scanned.
    """
    try:
        unsafe = get_unsafe_globals_in_checkpoint(file) if zipfile.is_zipfile(file) else []
    except _DAMAGE as error:
        raise CheckpointError(f"{file}: expected a pickle of tensors; got {error}.") from error
    if unsafe:
        raise CheckpointError(
            f"{file}: expected tensors alone; it asks for the code of {', '.join(sorted(unsafe))} "
            "and is not loaded."
        )


def _unwrapped(file: Path, state: Any) -> dict[str, Tensor]:
    for wrapper in WRAPPERS:
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not state:
        raise CheckpointError(f"{file}: expected tensors by name; got {type(state).__name__}.")
    others = [str(key) for key, value in state.items() if not isinstance(value, Tensor)]
    if others:
        raise CheckpointError(f"{file}: expected tensors alone; got others: {', '.join(others)}.")
    return {str(key): value for key, value in state.items()}
