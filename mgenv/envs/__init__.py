"""Environments: one implementation, seen as a vector, a single one or one for many agents."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mgenv.envs.env import Env
    from mgenv.envs.parallel_env import ParallelEnv
    from mgenv.envs.vector_env import VectorEnv

_HOMES = {
    "Env": "mgenv.envs.env",
    "ParallelEnv": "mgenv.envs.parallel_env",
    "VectorEnv": "mgenv.envs.vector_env",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["Env", "ParallelEnv", "VectorEnv"]
