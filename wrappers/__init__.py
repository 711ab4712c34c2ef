"""Wrappers that Gymnasium has no fit for; its own work too."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mgenv.wrappers.blank_pixels import BlankPixels, VectorBlankPixels
    from mgenv.wrappers.discrete_actions import DiscreteActions, VectorDiscreteActions
    from mgenv.wrappers.frame_stack import VectorFrameStack
    from mgenv.wrappers.sb3 import SB3VecEnv

_HOMES = {
    "BlankPixels": "mgenv.wrappers.blank_pixels",
    "DiscreteActions": "mgenv.wrappers.discrete_actions",
    "SB3VecEnv": "mgenv.wrappers.sb3",
    "VectorBlankPixels": "mgenv.wrappers.blank_pixels",
    "VectorDiscreteActions": "mgenv.wrappers.discrete_actions",
    "VectorFrameStack": "mgenv.wrappers.frame_stack",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "BlankPixels",
    "DiscreteActions",
    "SB3VecEnv",
    "VectorBlankPixels",
    "VectorDiscreteActions",
    "VectorFrameStack",
]
