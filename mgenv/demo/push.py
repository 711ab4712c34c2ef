"""Push one robot straight ahead in a world and in its engine twin: do the same walls stop it?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mgenv.benchmark.push_picture import LONGEST, save_push
from mgenv.benchmark.pushes import TOO_DEEP, deepest, directions, judge, true_ways
from mgenv.benchmark.robots import STEP, Robots, at_known_places, settle, straight, walk
from mgenv.camera import CAMERA_HEIGHT, DEFAULT_INTRINSICS
from mgenv.engine.homes.furniture import LABELS
from mgenv.engine.motion.navigation import collide, scan
from mgenv.engine.render.renderer import render_surfaces
from mgenv.engine.render.segmentation import classes
from mgenv.engine.scene.baking import ROBOT_RADIUS
from mgenv.engine.scene.batch import SceneBatch
from mgenv.worlds.base import World

TRIED = 16
"""Poses of which the one is pushed whose true way is the longest up to ``LONGEST``."""

STEPS_BACK, REACH, ABOVE_FLOOR = 4, 0.35, 0.1
"""What a robot touches is looked at from so many steps before; it is no farther off than a radius
and ``REACH`` [m], and higher than ``ABOVE_FLOOR`` [m]."""


@dataclass(frozen=True)
class Push:
    """What became of a robot that was pushed straight ahead.

    Attributes:
        way: from the start to the end [m].
        touched: the step that something first shortened; None if nothing did.
        thing: what the engine has there; None where it has nothing.
        inside: whether it got deeper than ``TOO_DEEP`` into something true.
    """

    way: float
    touched: int | None
    thing: str | None
    inside: bool

    def __str__(self) -> str:
        if self.touched is None:
            return "nothing: it still goes" + (", through what is there" if self.inside else "")
        thing = self.thing or "what the engine does not have there"
        return f"{thing}, step {self.touched}" + (", then walked through it" if self.inside else "")


def push_in_both(
    world: World, world_id: int, steps: int, scan_frames: int, picture: Path, seed: int = 0
) -> dict[str, Push]:
    """Push a robot from a scanned pose in ``world`` and in the engine, and draw both ways.

    Args:
        world: of one slot.
        scan_frames: true frames that the place is remembered by.
        picture: the PNG.

    Returns:
        By ``"engine"`` and ``"generated"``.
    """
    assert isinstance(world.image_size, int), "frames of scans are square"
    known = scan(world_id, scan_frames, world.image_size)
    robots = _choose(at_known_places({world_id: known}, TRIED, np.pi, seed), steps)
    scenes = robots.scenes()
    found = walk(world, settle(world, robots), straight(1, steps))
    judged = judge(scenes, robots, found.pose[:, :, :3, 3], shown_only=False)
    save_push(picture, scenes, robots, found, judged)
    own, pose = judged.position[0], robots.pose[0]
    return {
        "engine": _describe(scenes, pose, judged.truth[0], _bumps(scenes, pose, judged.truth[0])),
        "generated": _describe(scenes, pose, own, found.bumped[0]),
    }


def _choose(robots: Robots, steps: int) -> Robots:
    """The one that comes far before the engine stops it."""
    truth = true_ways(robots.scenes(), robots.pose, steps)
    far = np.linalg.norm(truth[:, -1] - truth[:, 0], axis=-1)
    return robots.chosen([int(np.argmax(np.where(far < LONGEST, far, 0.0)))])


def _bumps(
    scenes: SceneBatch, pose: NDArray[np.float32], truth: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which of the engine's own steps (T,) were shortened."""
    index, way = np.zeros(len(truth) - 1, np.int64), directions(pose[None])
    return collide(scenes, index, truth[:-1], np.repeat(way, len(index), 0))[1]


def _describe(
    scenes: SceneBatch, pose: NDArray[np.float32], way: NDArray[np.float64], bumped: NDArray
) -> Push:
    """Of positions (T + 1, 3) and shortened steps (T,), from ``pose`` (4, 4) on."""
    touched = int(np.argmax(bumped)) + 1 if bumped.any() else None
    thing = None if touched is None else _touched_thing(scenes, pose, way, touched)
    inside = bool((deepest(scenes, way[None]) > TOO_DEEP).any())
    return Push(float(np.linalg.norm(way[-1] - way[0])), touched, thing, inside)


def _touched_thing(
    scenes: SceneBatch, pose: NDArray[np.float32], way: NDArray[np.float64], step: int
) -> str | None:
    """The class of what is ahead of a robot at position ``step`` of its way (T + 1, 3)."""
    back = max(step - STEPS_BACK, 0)
    camera = pose.copy()
    camera[:3, 3] = way[back]
    _, depth, surface = render_surfaces(scenes, np.zeros(1, np.int64), camera[None])
    height, width = depth.shape[1:]
    points = DEFAULT_INTRINSICS.rays(height, width) * depth[0, ..., None]  # (H, W, 3)
    reach = float(np.linalg.norm(way[step] - way[back])) + ROBOT_RADIUS + REACH
    ahead = (points[..., 0].abs() < ROBOT_RADIUS) & (points[..., 2] < reach)
    ahead &= points[..., 1] < CAMERA_HEIGHT - ABOVE_FLOOR
    shown = classes(scenes, [0], surface)[0][ahead]
    return LABELS[int(torch.mode(shown).values)] if len(shown) else None


def most(steps: int) -> float:
    """How far nothing but walls keeps a push from coming [m]."""
    return steps * STEP
