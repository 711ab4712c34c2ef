"""Camera motion through worlds: start poses, collision, exploring walks and scans."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from mgenv.engine.motion import collision, explorer, viewpoints
from mgenv.engine.render.renderer import compile_first, render
from mgenv.engine.scene.baking import ROBOT_RADIUS
from mgenv.engine.scene.batch import Scene, SceneBatch, stack
from mgenv.engine.scene.scenes import make_scenes
from mgenv.errors import UnknownNameError

STYLES = {
    "differential": explorer.DIFFERENTIAL,
    "holonomic": explorer.HOLONOMIC,
    "fpv": explorer.FPV,
    "drone": explorer.DRONE,
    "mixed": explorer.MIXED,
}
_SPAWN, _FIRST = 31, 32
_FIRST_TRIES = 64
_SPAWN_TRIES = 3


class Walk(NamedTuple):
    """An exploring walk, or with a leading axis W, many.

    Attributes:
        pose: float32 (T, 4, 4), camera-to-world.
        motion: float32 (T, 5), requested; motion[t] leads from frame t - 1 to t, motion[0] is 0.
        bumped: bool (T,), whether a wall or an object shortened motion[t].
    """

    pose: NDArray[np.float32]
    motion: NDArray[np.float32]
    bumped: NDArray[np.bool_]


class Recording(NamedTuple):
    """A posed video: uint8 (T, H, W, 3), float32 (T, H, W) [m], float32 (T, 4, 4)."""

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    pose: NDArray[np.float32]


def _views(
    batch: SceneBatch, index: NDArray[np.int64], seeds: NDArray[np.int64], purpose: int, tries: int
):
    compile_first()
    a, out = batch.arrays, np.zeros((len(index), 5))
    viewpoints.random_views(
        a.cells, a.levels, a.ground, a.free, a.objects, a.starts, a.items, index, seeds, purpose,
        tries, out,
    )  # fmt: skip
    return out


def first_pose(scene: Scene) -> NDArray[np.float32]:
    """The pose (4, 4) at which a world is first seen: always the same, looking into a room."""
    zero = np.zeros(1, np.int64)
    *position, yaw, pitch = _views(stack([scene]), zero, zero, _FIRST, _FIRST_TRIES)[0]
    return explorer.pose_of(position, yaw, pitch).astype(np.float32)


def collide(
    batch: SceneBatch, scene_index: ArrayLike, position: ArrayLike, displacement: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Move N bodies as far as walls and objects allow, sliding along them.

    A body is a disc of radius 0.2 m that reaches from 0.9 m below to 0.1 m above its camera.

    Args:
        scene_index: (N,) the scene of each body.
        position: (N, 3) of the camera [m].
        displacement: (N, 3) wanted, in the world's axes [m].

    Returns:
        The new positions float64 (N, 3) and whether each motion was shortened (N,).
    """
    index = np.ascontiguousarray(scene_index, np.int64)
    start = np.ascontiguousarray(position, np.float64)
    wanted = np.ascontiguousarray(displacement, np.float64)
    reached, bumped = np.empty_like(start), np.empty(len(index), np.bool_)
    a = batch.arrays
    collision.collide_many(
        a.cells, a.ground, a.objects, a.counts, index, start, wanted, reached, bumped
    )
    return reached, bumped


def overlaps(
    batch: SceneBatch, scene_index: ArrayLike, position: ArrayLike, radius: float = ROBOT_RADIUS
) -> NDArray[np.float64]:
    """How deep bodies are inside walls and objects: (N,) [m], 0 where they are free.

    Args:
        scene_index: (N,) the scene of each body.
        position: (N, 3) of the camera [m]; a body reaches as far as :func:`collide` says.
        radius: of the bodies [m].
    """
    index = np.ascontiguousarray(scene_index, np.int64)
    places = np.ascontiguousarray(position, np.float64)
    depth, a = np.empty(len(index)), batch.arrays
    collision.overlap_many(a.cells, a.ground, a.objects, a.counts, index, places, radius, depth)
    return depth


def explore_many(
    batch: SceneBatch,
    num_frames: int,
    seeds: Sequence[int] | NDArray[np.int64],
    workers: int | None = None,
    robot_style: str = "mixed",
    scene_index: ArrayLike | None = None,
) -> Walk:
    """One exploring walk for each seed.

    Args:
        seeds: (W,) non-negative.
        scene_index: (W,) the scene of each walk; scene n for walk n by default.
        workers: threads; as many as torch uses by default.

    Returns:
        A walk with a leading axis W.
    """
    if robot_style not in STYLES:
        raise UnknownNameError("robot style", robot_style, STYLES)
    seeds = np.asarray(seeds, np.int64)
    count = len(seeds)
    index = np.arange(count) if scene_index is None else np.ascontiguousarray(scene_index, np.int64)
    starts = _views(batch, index, seeds, _SPAWN, _SPAWN_TRIES)
    walk = Walk(
        np.empty((count, num_frames, 4, 4), np.float32),
        np.zeros((count, num_frames, 5), np.float32),
        np.zeros((count, num_frames), np.bool_),
    )
    a = batch.arrays
    job = (
        a.cells, a.ground, a.free, a.objects, a.counts, index, seeds, STYLES[robot_style], starts,
        *walk,
    )  # fmt: skip
    workers = max(1, min(workers or torch.get_num_threads(), count))
    if workers == 1:
        explorer.explore_scenes(*job, 0, count)
        return walk
    bounds = np.linspace(0, count, workers + 1).astype(int)
    with ThreadPoolExecutor(workers) as pool:
        parts = zip(bounds[:-1], bounds[1:], strict=True)
        list(pool.map(lambda ab: explorer.explore_scenes(*job, int(ab[0]), int(ab[1])), parts))
    return walk


def survey(batch: SceneBatch, scene: int, num_frames: int) -> NDArray[np.float32]:
    """Poses (T, 4, 4) of a level walk that turns around in the rooms near the first pose."""
    a, zero = batch.arrays, np.zeros(1, np.int64)
    place = _views(batch, np.array([scene]), zero, _FIRST, _FIRST_TRIES)[0]
    pose = np.empty((num_frames, 4, 4), np.float32)
    rooms = int(a.counts[scene, 0])
    viewpoints.survey(
        a.cells[scene], a.ground[scene], a.free[scene], a.rooms[scene], rooms, place, pose
    )
    return pose


def scan(world_id: int, num_frames: int = 128, image_size: int = 64) -> Recording:
    """What a robot records that walks a world and turns around in its rooms; always the same."""
    batch = make_scenes([world_id], workers=1)
    pose = survey(batch, 0, num_frames)
    rgb, depth = render(batch, np.zeros(num_frames, np.int64), pose, image_size)
    return Recording(rgb.numpy(), depth.numpy(), pose)
