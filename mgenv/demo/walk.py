"""Walk away and come back: does the world still look as it did?

The way out is steered by what the camera sees (turn to where there is room, go), so it needs no
map and works in any world. The way back takes the same positions in reverse order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mgenv.benchmark.robots import turned
from mgenv.camera import CAMERA_HEIGHT, DEFAULT_INTRINSICS, MOTION_SIZE, Pose
from mgenv.images import psnr
from mgenv.worlds.base import Frame, World

STEP = 0.2
"""How far one step of the way out goes [m]."""

TURN = math.radians(15.0)
"""How far one step turns at most [rad]."""

TURNS = math.ceil(math.pi / TURN)
"""Steps that it takes to turn round."""

CLEARANCE = 0.7
"""Room that is kept ahead [m]."""

FAR = 4.0
"""Room beyond this is as good as any [m]."""

SHOWN = 4
"""Retrieved frames that are kept for each step."""


@dataclass
class Step:
    """One moment of a walk.

    Attributes:
        rgb: uint8 (H, W, 3), what was shown.
        pose: float32 (4, 4).
        coverage: share of the view that memory knew.
        retrieved: uint8 (k, H, W, 3), the remembered frames that explain most of the view.
        sources: float32 (k, 4, 4), where those were seen.
    """

    rgb: NDArray[np.uint8]
    pose: NDArray[np.float32]
    coverage: float
    retrieved: NDArray[np.uint8]
    sources: NDArray[np.float32]


@dataclass(frozen=True)
class Likeness:
    """How alike two pictures of the same view are.

    Attributes:
        psnr: [dB]; infinite where they are equal.
        sharpness: mean gradient of the second over that of the first: a blurred world is alike
            for free, so the first figure counts only where this one is near 1.
    """

    psnr: float
    sharpness: float


def leave_and_return(
    world: World,
    world_id: int,
    steps_out: int,
    forget: bool = False,
    path: list[Step] | None = None,
    on_step: Callable[[], None] | None = None,
) -> list[Step]:
    """Walk ``steps_out`` steps, turn round, walk back, turn round again.

    Args:
        world: a world of one slot.
        world_id: where; its memory is cleared first.
        steps_out: length of the way out.
        forget: clear the memory before every step, so that only the last frames are known.
        path: an earlier walk whose poses are repeated exactly.
        on_step: called after every step.

    Returns:
        :func:`walk_length` steps; the first and the last have the same pose.
    """
    frame = world.begin([0], [world_id], memory="clear")
    walk = [_note(frame, *_recall(world, frame.pose[0]))]
    for number in range(1, walk_length(steps_out)):
        if forget:
            world.memory.clear([0])
        if path is not None:
            motion, target = np.zeros(MOTION_SIZE), path[number].pose
        elif number <= steps_out:
            motion, target = wander(frame.depth[0]), None
        else:
            way_out = [step.pose for step in walk[: steps_out + 1]]
            motion, target = np.zeros(MOTION_SIZE), way_back(way_out, number)
        recalled = _recall(world, _aim(frame.pose[0], motion) if target is None else target)
        frame = world.step(motion[None], None if target is None else target[None])
        walk.append(_note(frame, *recalled))
        if on_step is not None:
            on_step()
    return walk


def walk_length(steps_out: int) -> int:
    """Frames of a walk, the first and the two turns included."""
    return 1 + 2 * (steps_out + TURNS)


def wander(depth: NDArray[np.float32]) -> NDArray[np.float64]:
    """The motion (5,) towards the most room near the heading.

    Args:
        depth: (H, W) [m].
    """
    room = _room(depth)  # (W,)
    size = len(room)
    angles = np.arctan((0.5 - (np.arange(size) + 0.5) / size) / DEFAULT_INTRINSICS.fx)  # left +
    best = angles[np.argmax(np.minimum(room, FAR) - np.abs(angles))]
    turn = float(np.clip(best, -TURN, TURN))
    ahead = float(room[np.abs(angles) < math.radians(20)].min())
    blocked = ahead < CLEARANCE + STEP
    if blocked:
        turn = TURN  # always the same way, until there is room
    motion = np.zeros(MOTION_SIZE)
    motion[0], motion[3] = 0.0 if blocked else STEP, turn
    return motion


def way_back(way_out: list[NDArray[np.float32]], number: int) -> NDArray[np.float32]:
    """The pose (4, 4) at step ``number``, beyond the way out of ``len(way_out) - 1`` steps."""
    steps_out = len(way_out) - 1
    back = number - steps_out
    if back <= TURNS:  # at the far end
        return turned(way_out[-1], math.pi * back / TURNS)
    if back <= TURNS + steps_out:
        return turned(way_out[steps_out - (back - TURNS)], math.pi)
    return turned(way_out[0], math.pi * (1 + (back - TURNS - steps_out) / TURNS))


def likeness(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Likeness:
    """Compare two pictures uint8 (H, W, 3)."""
    error = np.square(first.astype(np.float64) - second.astype(np.float64)).mean()
    decibels = psnr(torch.tensor(error), peak=255.0).item()
    return Likeness(decibels, _gradient(second) / max(_gradient(first), 1e-6))


def path_length(walk: list[Step]) -> float:
    """How far the camera travelled [m]."""
    positions = np.stack([step.pose[:3, 3] for step in walk])
    return float(np.linalg.norm(np.diff(positions, axis=0), axis=1).sum())


def _note(frame: Frame, retrieved: NDArray[np.uint8], sources: NDArray[np.float32]) -> Step:
    return Step(frame.rgb[0], frame.pose[0], float(frame.coverage[0]), retrieved, sources)


def _recall(
    world: World, pose: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """What memory has for a view: colour (k, H, W, 3) and poses (k, 4, 4), best first."""
    found = world.memory.retrieve([0], pose[None], SHOWN).indices[0]
    rgb, _, poses, _ = world.memory.gather(found[found >= 0])
    return rgb.cpu().numpy(), poses.cpu().numpy()


def _aim(pose: NDArray[np.float32], motion: NDArray[np.float64]) -> NDArray[np.float32]:
    moved = Pose(torch.as_tensor(pose)).move(torch.as_tensor(motion, dtype=torch.float32))
    return moved.matrix.numpy()


def _room(depth: NDArray[np.float32]) -> NDArray[np.float64]:
    """Free distance along the ground for each column (W,) [m]: to what is nearer than the floor."""
    height, width = depth.shape
    camera = DEFAULT_INTRINSICS
    below = (np.arange(height) + 0.5) / height - camera.cy  # (H,)
    floor = CAMERA_HEIGHT * camera.fy / np.maximum(below, 1e-6)
    rows = slice(int(0.45 * height), int(0.85 * height))
    stands = depth < 0.85 * floor[:, None]
    near = np.where(stands, depth, FAR)[rows].min(0)  # (W,)
    sides = (np.arange(width) + 0.5) / width - camera.cx
    return near * np.hypot(1.0, sides / camera.fx)


def _gradient(picture: NDArray[np.uint8]) -> float:
    values = picture.astype(np.float64)
    return float(np.abs(np.diff(values, axis=0)).mean() + np.abs(np.diff(values, axis=1)).mean())
