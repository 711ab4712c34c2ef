"""Tasks: goal, reward and end of episodes."""

from mgenv.camera import ImageSize
from mgenv.errors import UnknownNameError
from mgenv.tasks.base import FARTHEST, Outcome, Place, Task
from mgenv.tasks.explore import Explore
from mgenv.tasks.imagenav import ImageNav
from mgenv.tasks.pointnav import PointNav

TASKS: dict[str, type[Task]] = {task.name: task for task in (Explore, PointNav, ImageNav)}


def make_task(name: str, num_envs: int, image_size: ImageSize) -> Task:
    """The task called ``name`` for ``num_envs`` slots.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in TASKS:
        raise UnknownNameError("task", name, TASKS)
    return TASKS[name](num_envs, image_size)


__all__ = [
    "FARTHEST",
    "TASKS",
    "Explore",
    "ImageNav",
    "Outcome",
    "Place",
    "PointNav",
    "Task",
    "make_task",
]
