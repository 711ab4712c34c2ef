"""Robots in held-out worlds: where they start, what is known of their places, and where they go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mgenv.camera import Pose
from mgenv.engine.motion.navigation import Recording
from mgenv.engine.scene.batch import SceneBatch, stack
from mgenv.engine.scene.scenes import cached_scene

STEP = 0.25
"""Requested way of a push per step [m]."""

NOISE, HOLES = 0.02, 0.05
"""Of noisy depth: standard deviation relative to depth, and fraction of pixels without depth."""


@dataclass
class Robots:
    """N robots at their starts.

    Attributes:
        world_ids: (N,).
        pose: float32 (N, 4, 4).
        known: the true frames that each robot's place is remembered by.
    """

    world_ids: list[int]
    pose: NDArray[np.float32]
    known: list[Recording]

    def __len__(self) -> int:
        return len(self.world_ids)

    def chosen(self, rows: Sequence[int] | NDArray[np.int64]) -> Robots:
        """Some of them."""
        return Robots(
            [self.world_ids[row] for row in rows],
            self.pose[rows],
            [self.known[row] for row in rows],
        )

    def scenes(self) -> SceneBatch:
        """The true worlds, one a robot."""
        return stack([cached_scene(world_id) for world_id in self.world_ids], self.world_ids)


@dataclass
class Walk:
    """Where N robots went in T steps and what they saw.

    Attributes:
        pose: float32 (N, T + 1, 4, 4); bumped: bool (N, T).
        rgb: uint8 (N, T + 1, H, W, 3); depth: float32 (N, T + 1, H, W) [m].
    """

    pose: NDArray[np.float32]
    bumped: NDArray[np.bool_]
    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]


def turned(pose: NDArray, yaw: float) -> NDArray[np.float32]:
    """A pose (4, 4), turned left by ``yaw`` [rad]."""
    motion = torch.tensor([0.0, 0.0, 0.0, yaw, 0.0])
    return Pose(torch.as_tensor(np.asarray(pose, np.float32))).move(motion).matrix.numpy()


def at_known_places(
    scans: dict[int, Recording], each: int, spread: float, seed: int, frames: int | None = None
) -> Robots:
    """Robots where known frames were seen from, turned from there by up to ``spread`` [rad].

    Args:
        scans: of each world.
        each: robots a world.
        frames: how many frames of a scan are known, the first; all by default.
    """
    ids, poses, known = [], [], []
    for world_id, whole in scans.items():
        rng = np.random.default_rng([seed, world_id])
        scan = first_frames(whole, frames)
        for _ in range(each):
            index, angle = rng.integers(len(scan.pose)), rng.uniform(-spread, spread)
            ids.append(world_id)
            poses.append(turned(scan.pose[index], float(angle)))
            known.append(scan)
    return Robots(ids, np.stack(poses), known)


def first_frames(known: Recording, frames: int | None) -> Recording:
    """The first frames of a recording; all where None."""
    return Recording(known.rgb[:frames], known.depth[:frames], known.pose[:frames])


def noisy(depth: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Depth as a camera measures it: with Gaussian noise and holes (0)."""
    spoilt = depth * (1 + NOISE * rng.standard_normal(depth.shape))
    return np.where(rng.random(depth.shape) < HOLES, 0.0, spoilt).astype(np.float32)


def settle(world: Any, robots: Robots, noise_seed: int | None = None) -> Any:
    """Let robots remember what is known of their places, and look: the first frame.

    Args:
        noise_seed: of noise in the remembered depth; none where None.
    """
    slots = range(len(robots))
    world.enter(slots, robots.world_ids, "clear")
    for slot, known in enumerate(robots.known):
        depth = known.depth
        if noise_seed is not None:
            depth = noisy(depth, np.random.default_rng([noise_seed, slot]))
        world.remember([slot], known.rgb[None], known.pose[None], depth[None])
    return world.begin(slots, robots.world_ids, pose=robots.pose)


def walk(
    world: Any, first: Any, motions: NDArray[np.float32], told: Callable[[str], None] | None = None
) -> Walk:
    """Ask for motions (T, N, 5), from the first frame on."""
    frames = [first]
    for step, motion in enumerate(motions):
        frames.append(world.step(motion))
        if told is not None and (step + 1) % 10 == 0:
            told(f"step {step + 1} of {len(motions)}")
    pose, rgb, depth = (
        np.stack([getattr(frame, name) for frame in frames], 1) for name in ("pose", "rgb", "depth")
    )
    return Walk(pose, np.stack([frame.bumped for frame in frames[1:]], 1), rgb, depth)


def straight(robots: int, steps: int) -> NDArray[np.float32]:
    """Motions of a straight push: (T, N, 5)."""
    motion = np.zeros((steps, robots, 5), np.float32)
    motion[..., 0] = STEP
    return motion
