"""`mgenv bench exploration`: share of a world that the exploring agent sees.

The baseline is a robot with uniformly random actions, from the same starts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mgenv.benchmark.report import Report
from mgenv.camera import DEFAULT_INTRINSICS, Pose
from mgenv.data.motions import motions_of
from mgenv.engine.homes.layout import CELL
from mgenv.engine.motion import explorer, navigation
from mgenv.engine.render.renderer import render
from mgenv.engine.scene.batch import SceneBatch
from mgenv.engine.scene.scenes import HELD_OUT, make_scenes

IMAGE_SIZE = 32
SIGHT = 6.0
"""A free cell is seen if the middle of its floor is in view, not hidden, and at most so far [m]."""
_HIDDEN = 0.15
"""Least distance of a hidden point behind the visible surface, as a share of the depth."""
NEAR, AWAY, LATER = 0.5, 1.5, 30
"""A revisit: within ``NEAR`` [m] of where the camera was ``LATER`` ticks ago, ``AWAY`` between."""
STILL, TURN = 0.02, math.radians(2.0)
"""From these on a tick's motion counts as moving [m] and turning [rad]."""
KINDS = ("ahead", "ahead, turning", "backwards", "sideways", "turning", "still")
PROTOCOL = (
    "Walks of {frames} frames through {worlds} held-out worlds, all agents from the same places. "
    f"`seen`: share of the free floor in view, at most {SIGHT:.0f} m off and not hidden (a quarter "
    "of the frames, then all, with the 95 % interval's half). `revisit`: share of frames within "
    f"{NEAR} m of where the camera was {LATER} or more frames before, having been {AWAY} m away. "
    "`bumped`: share of motions that something shortened. The last columns are what happened, "
    "motion by motion, as shares."
)


def run(
    worlds: int = 64,
    frames: int = 256,
    first_world: int = HELD_OUT,
    seed: int = 0,
    report: Callable[[str], None] = lambda text: None,
) -> Report:
    """Walk all worlds with every agent."""
    batch = make_scenes(range(first_world, first_world + worlds))
    seeds = np.arange(seed, seed + worlds)
    walk = navigation.explore_many(batch, frames, seeds, robot_style="differential")
    walks = {
        "exploring, mixed robots": navigation.explore_many(batch, frames, seeds),
        "exploring, differential": walk,
        "random, differential": random_walks(batch, walk.pose[:, 0], frames, seed),
    }
    rows = []
    for agent, walks_of_agent in walks.items():
        rows.append({"agent": agent} | measure(batch, walks_of_agent))
        report(f"{agent}: {rows[-1]['seen']:.2f} of the floor seen")
    protocol = PROTOCOL.format(frames=frames, worlds=worlds)
    return Report(title="Exploration", protocol=protocol, rows=rows, seeds=[seed])


def random_walks(
    batch: SceneBatch, start: NDArray[np.float32], frames: int, seed: int
) -> navigation.Walk:
    """A differential robot that draws forward and yaw uniformly from all it can do.

    Args:
        start: (W, 4, 4), one in each world.
    """
    count, scene = len(start), batch.arrays
    rng = np.random.default_rng(seed)
    motion = np.zeros((count, frames, 5), np.float32)
    motion[:, 1:, 0] = rng.uniform(-1, 1, (count, frames - 1)) * explorer.MAX_FORWARD
    motion[:, 1:, 3] = rng.uniform(-1, 1, (count, frames - 1)) * explorer.MAX_TURN
    pose, bumped = np.empty((count, frames, 4, 4), np.float32), np.zeros((count, frames), bool)
    places, slots, now = np.zeros((count, 5)), np.arange(count), start.copy()
    for place, first in zip(places, start, strict=True):
        explorer.read_pose(first, place)
    pose[:, 0] = start
    hit = np.zeros(count, bool)
    for t in range(1, frames):
        asked = motion[:, t].astype(np.float64)
        explorer.move_many(
            scene.cells, scene.ground, scene.objects, scene.counts, slots, places, asked, now, hit
        )  # fmt: skip
        pose[:, t], bumped[:, t] = now, hit
    return navigation.Walk(pose, motion, bumped)


def measure(batch: SceneBatch, walks: navigation.Walk) -> dict[str, Any]:
    """One agent's figures, means over its walks: walk n is in world n."""
    seen = np.array([seen_share(batch, n, pose) for n, pose in enumerate(walks.pose)])  # (W, T)
    motion = np.stack([motions_of(pose)[:-1] for pose in walks.pose])  # (W, T - 1, 5)
    last = seen[:, -1]
    return {
        "seen at 1/4": float(seen[:, seen.shape[1] // 4].mean()),
        "seen": float(last.mean()),
        "± seen": float(1.96 * last.std() / math.sqrt(len(last))),
        "revisit": float(np.mean([revisits(pose).mean() for pose in walks.pose])),
        "bumped": float(walks.bumped[:, 1:].mean()),
        "path m": float(np.linalg.norm(motion[..., :3], axis=-1).sum(1).mean()),
    } | motion_shares(motion)


def seen_share(batch: SceneBatch, world: int, pose: NDArray[np.float32]) -> NDArray[np.float64]:
    """The share of a world's free floor seen until each frame: (T,)."""
    row, column = np.nonzero(batch.arrays.free[world])
    floor = np.stack([(column + 0.5) * CELL, (row + 0.5) * CELL, np.zeros(len(row))], -1)
    _, depth = render(batch, np.full(len(pose), world), pose, IMAGE_SIZE, supersample=1)
    points = Pose(torch.from_numpy(pose)).inv_do(torch.from_numpy(floor).float())  # (T, P, 3)
    place, far = DEFAULT_INTRINSICS.project(points)
    inside = (place >= 0).all(-1) & (place < 1).all(-1) & (far < SIGHT)
    pixel = (place * IMAGE_SIZE).long().clamp(0, IMAGE_SIZE - 1)
    number = pixel[..., 1] * IMAGE_SIZE + pixel[..., 0]
    shown = depth.flatten(1).gather(1, number)
    seen = inside & (far * (1.0 - _HIDDEN) < shown)
    return seen.numpy().cumsum(0).astype(bool).mean(1)


def revisits(pose: NDArray[np.float32]) -> NDArray[np.bool_]:
    """At which frames a camera (T, 4, 4) is back where it was, after having been away: (T,)."""
    place = pose[:, :2, 3].astype(np.float64)
    back = np.zeros(len(pose), bool)
    for t in range(LATER, len(pose)):
        distance = np.linalg.norm(place[:t] - place[t], axis=-1)
        before = np.flatnonzero(distance[: t - LATER + 1] < NEAR)
        back[t] = len(before) > 0 and distance[before[0] :].max() > AWAY
    return back


def motion_shares(motion: NDArray[np.float32]) -> dict[str, float]:
    """The share of motions (…, 5) of each kind, in the order of ``KINDS``."""
    forward, left, turn = motion[..., 0], motion[..., 1], np.abs(motion[..., 3]) > TURN
    moves = np.maximum(np.abs(forward), np.abs(left)) > STILL
    along = moves & (np.abs(forward) >= np.abs(left))
    ahead = along & (forward > 0)
    kinds = (ahead & ~turn, ahead & turn, along & ~ahead, moves & ~along, ~moves & turn,
             ~moves & ~turn)  # fmt: skip
    return {name: float(kind.mean()) for name, kind in zip(KINDS, kinds, strict=True)}
