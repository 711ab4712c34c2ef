"""The ground truth: procedural worlds, their geometry, renderer and motion."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    if name == "navigation":  # until version 0.2
        new = "mgenv.engine.motion.navigation"
        warnings.warn(f"mgenv.engine.{name} has moved to {new}", DeprecationWarning, stacklevel=2)
        return import_module(new)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
