"""Gymnasium environments whose physics is a learned video world model with memory.

>>> import gymnasium as gym
>>> import mgenv
>>> sorted(spec for spec in gym.registry if spec.startswith("mgenv/"))
['mgenv/Explore-v0', 'mgenv/ImageNav-v0', 'mgenv/PointNav-v0']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mgenv._version import __version__
from mgenv.envs.registration import register_envs

if TYPE_CHECKING:
    from mgenv.camera import DEFAULT_INTRINSICS, Intrinsics, Pose
    from mgenv.envs.env import Env
    from mgenv.envs.parallel_env import ParallelEnv, parallel_env
    from mgenv.envs.process_share import process_share
    from mgenv.envs.vector_env import VectorEnv
    from mgenv.errors import MgenvError
    from mgenv.robots import Robot, make_robot
    from mgenv.tasks import Task, make_task
    from mgenv.worlds import load_world
    from mgenv.worlds.base import Frame, World

_HOMES = {
    "DEFAULT_INTRINSICS": "mgenv.camera",
    "Env": "mgenv.envs.env",
    "Frame": "mgenv.worlds.base",
    "Intrinsics": "mgenv.camera",
    "MgenvError": "mgenv.errors",
    "ParallelEnv": "mgenv.envs.parallel_env",
    "Pose": "mgenv.camera",
    "Robot": "mgenv.robots",
    "Task": "mgenv.tasks",
    "VectorEnv": "mgenv.envs.vector_env",
    "World": "mgenv.worlds.base",
    "load_world": "mgenv.worlds",
    "make_robot": "mgenv.robots",
    "make_task": "mgenv.tasks",
    "parallel_env": "mgenv.envs.parallel_env",
    "process_share": "mgenv.envs.process_share",
}

register_envs()


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


__all__ = [
    "DEFAULT_INTRINSICS",
    "Env",
    "Frame",
    "Intrinsics",
    "MgenvError",
    "ParallelEnv",
    "Pose",
    "Robot",
    "Task",
    "VectorEnv",
    "World",
    "__version__",
    "load_world",
    "make_robot",
    "make_task",
    "parallel_env",
    "process_share",
]
