"""`mgenv bench render`: how fast worlds are built and drawn, and whether devices agree."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mgenv.benchmark.report import Report
from mgenv.benchmark.timing import seconds
from mgenv.engine.motion import navigation
from mgenv.engine.people.crowd import Crowd, join, part_of, place, stroll
from mgenv.engine.render.renderer import render, render_surfaces
from mgenv.engine.render.segmentation import classes
from mgenv.engine.scene.batch import SceneBatch
from mgenv.engine.scene.scenes import ESTATES, HELD_OUT, make_scenes

Row = dict[str, Any]
WORLDS, WALK = 32, 16
FAMILIES = {"homes": HELD_OUT, "estates": ESTATES + HELD_OUT}
"""The first world id of each."""
CHARACTERS = 3
"""That walk about each estate."""
NEAR = 2
"""Grey levels by which a pixel may differ on another device."""
PROTOCOL = (
    f"{WORLDS} held-out homes, and as many estates in each of which {CHARACTERS} characters walk "
    "about. Compiled code only: all is run once before it is timed, and the fastest of three runs "
    "counts. *Build*: scenes a second on one core. *Render*: frames a second, colour with 2×2 rays "
    "on edges, depth and labels, of cameras along exploring walks; on a GPU 4,096 a launch, worlds "
    f"and poses there already. *Alike*: the share of pixels within {NEAR}/255 of those of the CPU."
)


def run(
    device: str = "cpu", worlds: int = WORLDS, report: Callable[[str], None] = lambda text: None
) -> Report:
    """Build on a CPU core, and render ``worlds`` of each family on ``device``."""
    rows = []
    for family, first in FAMILIES.items():
        rows.append(build_row(family, first))
        report(_format_row(rows[-1]))
        for row in render_rows(family, range(first, first + worlds), device):
            rows.append(row)
            report(_format_row(row))
    return Report(title="Rendering", protocol=PROTOCOL, rows=rows, seeds=[0])


def build_row(family: str, first: int, count: int = 400) -> Row:
    """Scenes on one core."""
    make_scenes([first], workers=1)
    began = time.perf_counter()
    make_scenes(range(first, first + count), workers=1)
    return _row(f"build, {family}, 1 core", count / (time.perf_counter() - began))


def render_rows(family: str, world_ids: Sequence[int], device: str) -> list[Row]:
    """Frames on one core, or 4,096 a launch on a GPU, beside those of the CPU."""
    batch = make_scenes(world_ids)
    index, pose, crowd = views(batch)
    sizes = (64, 128)
    if device == "cpu":
        rates = [_rate(batch, index, pose, crowd, size, len(index), device) for size in sizes]
        return [
            _row(f"render, {family}, {size}×{size}, 1 core", rate)
            for size, rate in zip(sizes, rates, strict=True)
        ]
    return [
        _row(
            f"render, {family}, {size}×{size}, 4,096 a launch",
            _rate(batch, index, pose, crowd, size, 4096, device),
            alike(batch, index, pose, crowd, size, device),
        )
        for size in sizes
    ]


def views(batch: SceneBatch) -> tuple[NDArray[np.int64], NDArray[np.float32], Crowd]:
    """Cameras along a walk through each world, and who walks about: F = worlds × frames."""
    pose = navigation.explore_many(batch, WALK, range(len(batch))).pose
    crowds = []
    for n in range(len(batch)):
        seeds = range(n * CHARACTERS, (n + 1) * CHARACTERS) if batch.world_ids[n] >= ESTATES else []
        scene = batch[n]
        paths = stroll(scene.free, scene.ground, pose[n, :, :3, 3], seeds)
        crowds.append(place(paths, seeds, scene.ground))
    return np.repeat(np.arange(len(batch)), WALK), pose.reshape(-1, 4, 4), join(crowds)


def _rate(
    batch: SceneBatch, index: NDArray[np.int64], pose: NDArray[np.float32], crowd: Crowd, size: int,
    frames: int, device: str,
) -> float:  # fmt: skip
    times = -(-frames // len(index))
    where = torch.from_numpy(np.tile(index, times)[:frames]).to(device)
    poses = torch.from_numpy(np.tile(pose, (times, 1, 1))[:frames]).to(device)
    many = part_of(join([crowd] * times), slice(frames))

    def work() -> None:
        surface = render_surfaces(
            batch, where, poses, size, device=device, workers=1, crowd=many
        )[2]  # fmt: skip
        classes(batch, where, surface, many)

    return frames / seconds(work, device)


def alike(
    batch: SceneBatch, index: NDArray[np.int64], pose: NDArray[np.float32], crowd: Crowd, size: int,
    device: str,
) -> float:  # fmt: skip
    """The share of pixels whose colours are within ``NEAR`` of those of the CPU."""
    here, there = (
        render(batch, index, pose, size, device=d, crowd=crowd)[0].cpu() for d in ("cpu", device)
    )
    return float(((here.int() - there.int()).abs().amax(-1) <= NEAR).double().mean())


def _row(what: str, rate: float, near: float | None = None) -> Row:
    return {"what": what, "a second": rate, "alike": near}


def _format_row(row: Row) -> str:
    near = "" if row["alike"] is None else f", {row['alike']:.5f} alike"
    return f"{row['what']}: {row['a second']:.0f} a second{near}"
