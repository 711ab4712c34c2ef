"""Tasks: goal, reward and end of episodes."""

from mgenv.camera import ImageSize
from mgenv.errors import UnknownNameError
from mgenv.tasks.base import FARTHEST, Outcome, Place, Setting, Task, TaskOptions
from mgenv.tasks.episode import Episode
from mgenv.tasks.explore import Explore
from mgenv.tasks.imagenav import ImageNav
from mgenv.tasks.pointnav import PointNav
from mgenv.tasks.recall import Recall

TASKS: dict[str, type[Task]] = {task.name: task for task in (Explore, PointNav, ImageNav, Recall)}


def make_task(
    name: str, num_envs: int, image_size: ImageSize, options: TaskOptions | None = None
) -> Task:
    """The task called ``name`` for ``num_envs`` slots.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in TASKS:
        raise UnknownNameError("task", name, TASKS)
    return TASKS[name](num_envs, image_size, options)


__all__ = [
    "FARTHEST",
    "TASKS",
    "Episode",
    "Explore",
    "ImageNav",
    "Outcome",
    "Place",
    "PointNav",
    "Recall",
    "Setting",
    "Task",
    "TaskOptions",
    "make_task",
]
