"""Tasks: goal, reward and end of episodes."""

from mgenv.camera import ImageSize
from mgenv.errors import InvalidOptionError
from mgenv.registry import Registry
from mgenv.tasks.base import FARTHEST, Outcome, Place, Setting, Task, TaskOptions
from mgenv.tasks.episode import Episode
from mgenv.tasks.explore import Explore
from mgenv.tasks.imagenav import ImageNav
from mgenv.tasks.pointnav import PointNav
from mgenv.tasks.recall import Recall

TASKS = Registry(
    "task", "mgenv.tasks", {task.name: task for task in (Explore, PointNav, ImageNav, Recall)}
)
"""Tasks by name; packages add theirs by entry points ``mgenv.tasks``."""


def make_task(
    task: str | Task | type[Task],
    num_envs: int,
    image_size: ImageSize,
    options: TaskOptions | None = None,
) -> Task:
    """A task for ``num_envs`` slots, by name, as ``package.module:Class``, a class or an object.

    Raises:
        UnknownNameError: no such name.
        InvalidOptionError: not a task, or for another number of slots.
    """
    found = TASKS.resolve(task)
    made = found(num_envs, image_size, options) if callable(found) else found
    if not isinstance(made, Task):
        raise InvalidOptionError(f"task: expected a name or a mgenv.tasks.Task; got {task!r}")
    if made.num_envs != num_envs:
        raise InvalidOptionError(f"task: expected one for {num_envs} slots, got {made.num_envs}")
    return made


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
