"""The options of an environment, declared once.

The vector environment, the single one, training configs and ``mgenv train --help`` are made from
:class:`EnvOptions`; :func:`mgenv.load_world` from its base :class:`WorldOptions`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mgenv.config import option, settings
from mgenv.envs import options as checks
from mgenv.errors import check_integer
from mgenv.robots import make_robot
from mgenv.tasks import TASKS, TaskOptions
from mgenv.tasks.choosing import RATIOS
from mgenv.tasks.pointnav import GOAL_SENSORS
from mgenv.worlds import default_memory
from mgenv.worlds.options import WorldOptions


@settings
class EnvOptions(WorldOptions, TaskOptions):
    """What an environment is made of."""

    task: Any = option(
        "pointnav",
        "pointnav, imagenav, recall, explore, package.module:Class or, in Python, an object",
    )
    world: Any = option(
        "nano",
        "a generated world (nano), engine (the ground truth), matrix-game-3, a checkpoint file, "
        "package.module:Class or, in Python, a world with num_envs slots, which the environment "
        "does not close",
    )
    robot: Any = option(
        "differential",
        "differential, holonomic, fpv, drone, keyboard_mouse, package.module:Class or, in Python, "
        "an object",
    )
    num_worlds: int = option(16, "episodes take place in worlds 0 … num_worlds - 1")
    world_ids: Any = option(None, "or in these, for example [3, 1000000]")
    memory: Any = option(
        None,
        "scan: walk each world once and remember it; fresh: remember nothing at the start; or a "
        "memory file, whose worlds are used; null: scan, but fresh in matrix-game-3",
    )
    scan_frames: int = option(128, "frames of a scan")
    max_episode_steps: int | None = option(
        200, "steps after which an episode is truncated; null: never"
    )
    obs_type: str = option(
        "pixels_agent_pos",
        "pixels, pixels_agent_pos, pixels_depth or pixels_depth_agent_pos",
    )
    odometry: str = option(
        "exact", "exact, or noisy: agent_pos drifts (2 % of the way, 1° a full turn)"
    )
    action_chunks: bool = option(
        False,
        "an action holds one for each frame of a step, where a step is a clip; the first clip of "
        "an episode is longer and holds the last one to its end",
    )
    weights: Any = option(None, "of matrix-game-3: the folder of its weights")
    world_options: Any = option(
        None, 'options of that world alone, e.g. {"prompt": "…", "vae": "light_v2"}'
    )


SWITCHES = ("stop", "recall_memory", "share_memory", "reproducible", "action_chunks")


def checked(options: EnvOptions) -> EnvOptions:
    """A copy with defaults filled in; the world's own options are left to the world.

    Raises:
        MgenvError: a value that is not accepted.
    """
    TASKS.check(options.task)
    checks.check_choice("obs_type", options.obs_type, checks.OBSERVATION_TYPES)
    checks.check_choice("odometry", options.odometry, checks.ODOMETRY)
    checks.check_choice("difficulty", options.difficulty, tuple(RATIOS))
    checks.check_choice("goal sensor", options.goal_sensor, GOAL_SENSORS)
    for name in SWITCHES:
        checks.check_switch(name, getattr(options, name))
    memory = checks.check_memory_mode(options.memory or default_memory(options.world))
    return replace(
        options,
        robot=make_robot(options.robot),
        max_episode_steps=checks.check_limit("max_episode_steps", options.max_episode_steps),
        memory=memory,
        world_ids=checks.check_world_ids(options.world_ids, options.num_worlds, memory),
        scan_frames=check_integer("scan_frames", options.scan_frames, low=1),
    )
