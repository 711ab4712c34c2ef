"""The public Matrix-Game 3.0 network: its checkpoints load, and give the same numbers."""

from __future__ import annotations

import importlib

_HOMES = {
    "ActionConfig": "network.config",
    "TransformerConfig": "network.config",
    "PUBLIC_5B": "network.config",
    "PUBLIC_14B_EXPERT": "network.config",
    "PUBLIC_14B_PLAIN": "network.config",
    "Conditions": "network.conditions",
    "Transformer": "network.transformer",
    "build": "network.transformer",
    "Mixture": "network.mixture",
    "Speed": "speed.fast",
    "MixtureConditions": "network.mixture",
}

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
