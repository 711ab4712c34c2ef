"""A picture of one push in both twins: what was seen, and both ways on a map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mgenv.benchmark.pushes import Judged
from mgenv.benchmark.robots import Robots, Walk
from mgenv.benchmark.strips import draw_strips, save_picture
from mgenv.engine.motion.navigation import overlaps
from mgenv.engine.render.renderer import render
from mgenv.engine.scene.baking import ROBOT_RADIUS
from mgenv.engine.scene.batch import SceneBatch

FRAMES, SCALE, HALF_HEIGHT, BEFORE = 10, 80, 2.0, 1.0
"""Frames of a strip; the map's pixels a metre, half its height, and what lies before the start."""

ENGINE, GENERATED = (30, 90, 200), (230, 110, 0)
SHORTEST, LONGEST = 2.0, 4.0
"""Of the true way of the push that is shown [m]."""


def save_push(path: Path, scenes: SceneBatch, robots: Robots, walk: Walk, judged: Judged) -> Path:
    """Write a PNG of a typical push: of those that something stops, that of the median error."""
    far = np.linalg.norm(judged.truth[:, -1] - judged.truth[:, 0], axis=-1)
    error = np.linalg.norm(judged.position[:, -1] - judged.truth[:, -1], axis=-1)
    stopped = np.flatnonzero((far > SHORTEST) & (far < LONGEST))
    stopped = stopped if len(stopped) else np.arange(len(far))
    n = int(stopped[np.argsort(error[stopped], kind="stable")[len(stopped) // 2]])
    poses = np.repeat(robots.pose[n][None], judged.truth.shape[1], 0)
    poses[:, :3, 3] = judged.truth[n]
    true = render(scenes, np.full(len(poses), n), poses, walk.rgb.shape[2])[0]
    variants = {"engine": true[None], "generated": torch.from_numpy(walk.rgb[n][None])}
    every = -(-len(poses) // FRAMES)
    strips = draw_strips(variants, every)
    plan = draw_map(scenes, n, robots.pose[n], judged.truth[n], judged.position[n], strips.shape[1])
    return save_picture(path, np.concatenate([strips, plan]))


def draw_map(
    scenes: SceneBatch, n: int, start: NDArray, truth: NDArray, position: NDArray, width: int
) -> NDArray[np.uint8]:
    """What is in the way of scene ``n`` and two ways (T, 3), the push to the right: (H, W, 3)."""
    height = int(2 * HALF_HEIGHT * SCALE)
    yaw = np.arctan2(start[1, 2], start[0, 2])
    ahead, left = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    j, i = np.mgrid[:height, :width] + 0.5
    along, aside = i / SCALE - BEFORE, HALF_HEIGHT - j / SCALE
    xy = start[:2, 3] + along[..., None] * ahead + aside[..., None] * left
    points = np.concatenate([xy, np.full((height, width, 1), start[2, 3])], -1).reshape(-1, 3)
    taken = overlaps(scenes, np.full(len(points), n), points, 0.005) > 0
    shade = np.where(taken, 120, 255).astype(np.uint8).reshape(height, width, 1)
    image = Image.fromarray(np.repeat(shade, 3, -1))
    draw = ImageDraw.Draw(image)
    for way, colour, thick in ((truth, ENGINE, 7), (position, GENERATED, 3)):
        offset = way[:, :2] - start[:2, 3]
        x, y = (offset @ ahead + BEFORE) * SCALE, (HALF_HEIGHT - offset @ left) * SCALE
        draw.line(list(zip(x, y, strict=True)), fill=colour, width=thick)
        reach = ROBOT_RADIUS * SCALE
        draw.ellipse(
            (x[-1] - reach, y[-1] - reach, x[-1] + reach, y[-1] + reach),
            outline=colour,
            width=thick // 2,
        )
    draw.rectangle((0, 0, 124, 18), fill="white")
    draw.text((4, 4), "engine", fill=ENGINE)
    draw.text((60, 4), "generated", fill=GENERATED)
    return np.asarray(image)
