"""A source that costs nothing: flat pictures that tell which episode and tick they are of."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np

from mgenv.camera import DEFAULT_INTRINSICS, MOTION_NAMES
from mgenv.data.episode import Captions, Episode
from mgenv.data.sources import SourceOptions, UnfitError

STEP = 0.125


def make_episode(number: int, ticks: int, size: int, dark: bool = False) -> Episode:
    """Straight ahead, ``STEP`` a tick, past a pattern that moves."""
    rng = np.random.default_rng(number)
    base = rng.integers(40, 200, (8, 8, 3))
    rgb = np.stack([np.roll(base, tick, 1) for tick in range(ticks)]).repeat(size // 8, 1)
    rgb = rgb.repeat(size // 8, 2).astype(np.uint8)
    pose = np.tile(np.eye(4, dtype=np.float32), (ticks, 1, 1))
    pose[:, :3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    pose[:, 0, 3] = STEP * np.arange(ticks) + number
    motion = np.zeros((ticks, 5), np.float32)
    motion[:-1, 0] = STEP
    action = motion.copy()
    action[-1, 0] = STEP
    return Episode(
        rgb=np.zeros_like(rgb) if dark else rgb,
        pose=pose,
        motion=motion,
        action=action,
        action_names=MOTION_NAMES,
        bumped=rng.random(ticks) < 0.2,
        depth=np.broadcast_to(
            (1 + np.arange(ticks, dtype=np.float32))[:, None, None], (ticks, size, size)
        ).copy(),
        segmentation=np.full((ticks, size, size), number % 3, np.uint8),
        labels=("floor", "wall", "thing"),
        intrinsics=DEFAULT_INTRINSICS,
        captions=Captions(scene=f"Room {number % 4}", motion="walks ahead"),
        source="fake",
        name=f"episode {number}",
    ).check()


class FakeSource:
    """``variant``: ``dark3`` makes every third episode black; ``die`` kills its process once.

    ``unfit4`` has every fourth episode unfit for a dataset; ``finite`` has five episodes;
    ``flat`` records no depth.
    """

    name = "fake"

    def __init__(self, options: SourceOptions) -> None:
        self.options = options
        self.count = 5 if options.variant == "finite" else None

    def record(self, number: int) -> Episode:
        variant, options = self.options.variant, self.options
        if variant == "die" and number == 5:
            once = Path(options.path)
            if not once.exists():
                once.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        if variant == "disk" and number == 5:
            raise OSError(28, "No space left on device")
        if variant == "unfit4" and number % 4 == 3:
            raise UnfitError("expected another episode", "unfit")
        dark = variant == "black" or (variant == "dark3" and number % 3 == 0)
        episode = make_episode(number, options.episode_frames, options.image_size, dark)
        return replace(episode, depth=None) if variant == "flat" else episode

    def close(self) -> None:
        pass
