"""`mgenv bench data`: how fast worlds are built, rendered, and recorded into datasets."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from mgenv.benchmark.metrics import psnr, squared_error
from mgenv.benchmark.report import Report
from mgenv.data.dataset import Dataset
from mgenv.data.record import CollectConfig, collect
from mgenv.data.sources import make_source
from mgenv.data.videos import to_metres, to_millimetres
from mgenv.engine import navigation
from mgenv.engine.renderer import render, render_surfaces
from mgenv.engine.scenes import SceneBatch, make_scenes
from mgenv.engine.segmentation import classes
from mgenv.training.data import HELD_OUT

Row = dict[str, Any]
SOURCES = ("engine", "vizdoom", "panorama")
PROTOCOL = (
    "Compiled code only: all is run once before it is timed. *Build*: scenes a second on one "
    "core. *Render*: frames a second, colour with 2×2 rays on edges, depth and labels, of cameras "
    "along exploring walks; `alike` is the share of pixels within 2/255 of those of the CPU. "
    "*Collect*: frames a second from the call to its end, source, filters and encoding included; "
    "then every episode is read back and recorded again: all but colours must be equal, and the "
    "least PSNR of an episode's colours is given."
)


def run(
    frames: int = 5000,
    sources: Sequence[str] = SOURCES,
    workers: int = 2,
    device: str = "cpu",
    report: Callable[[str], None] = lambda text: None,
) -> Report:
    """Build and render on ``device``, then collect ``frames`` of each source by processes."""
    rows = [build_row(), *render_rows(device)]
    for row in rows:
        report(f"{row['what']}: {row['a second']:.0f} a second")
    for source in sources:
        size = 128 if source == "vizdoom" else 64
        rows.append(collect_row(source, frames, size, workers))
        report(f"{rows[-1]['what']}: {rows[-1]['a second']:.0f} a second")
    return Report(title="Data", protocol=PROTOCOL, rows=rows, seeds=[0])


def build_row(count: int = 400) -> Row:
    """Scenes on one core."""
    make_scenes([HELD_OUT], workers=1)
    began = time.perf_counter()
    make_scenes(range(HELD_OUT, HELD_OUT + count), workers=1)
    return _row("build, scenes, 1 core", count / (time.perf_counter() - began))


def render_rows(device: str) -> list[Row]:
    """Frames on one core, or 4,096 a launch on a GPU, beside those of the CPU."""
    batch = make_scenes(range(HELD_OUT, HELD_OUT + 32))
    if device == "cpu":
        rate = _render_rate(batch, 64, 2048, "cpu")
        return [_row("render, 64×64, 1 core", rate)]
    alike = _alike(batch, device)
    return [
        _row(f"render, {size}×{size}, 4,096 a launch", _render_rate(batch, size, 4096, device))
        | {"alike": alike}
        for size in (64, 128)
    ]


def collect_row(source: str, frames: int, size: int, workers: int) -> Row:
    """A whole collection, then all of it read back and compared with what is recorded again."""
    with tempfile.TemporaryDirectory() as folder:
        config = CollectConfig(source=source, image_size=size, workers=workers, shard_episodes=4)
        if source == "panorama":
            config.path = str(write_panorama(Path(folder) / "sky.png"))
        config.out, config.frames = str(Path(folder) / "warm"), config.episode_frames
        collect(config)
        config.out, config.frames = str(Path(folder) / "timed"), frames
        began = time.perf_counter()
        progress = collect(config)
        rate = progress.frames / (time.perf_counter() - began)
        nearness = compare(config)
    row = _row(f"collect, {source}, {size}×{size}, {workers} processes", rate)
    return row | {"frames": progress.frames, "least PSNR [dB]": nearness}


def compare(config: CollectConfig) -> float:
    """Least PSNR [dB] of a collected episode's pictures against recording it again.

    Raises:
        AssertionError: poses, motions, actions, labels or depth are not those that were recorded.
    """
    dataset, source = Dataset(config.out), make_source(config.source, config.options)
    worst = math.inf
    for number, row in enumerate(dataset.rows):
        found, truth = dataset.episode(number), source.record(row["source_number"])
        for name in ("pose", "motion", "action", "bumped", "segmentation"):
            np.testing.assert_array_equal(getattr(found, name), getattr(truth, name), name)
        assert (truth.depth is None) == (found.depth is None), "depth"
        if truth.depth is not None and found.depth is not None:
            known = to_metres(to_millimetres(truth.depth))
            np.testing.assert_array_equal(found.depth, known, "depth")
        error = squared_error(torch.from_numpy(found.rgb), torch.from_numpy(truth.rgb))
        worst = min(worst, psnr(error))
    dataset.close()
    source.close()
    return worst


def write_panorama(file: Path, height: int = 512) -> Path:
    """A 360° picture of waves around the viewer."""
    down, round_ = np.meshgrid(
        np.linspace(0, math.pi, height), np.linspace(0, 2 * math.pi, 2 * height), indexing="ij"
    )
    waves = [np.sin(n * round_ + n) * np.sin(down) * np.cos(n * down) for n in (3, 5, 8)]
    Image.fromarray((np.stack(waves, -1) * 100 + 128).astype(np.uint8)).save(file)
    return file


def _views(batch: SceneBatch, frames: int) -> tuple[np.ndarray, np.ndarray]:
    each = -(-frames // len(batch))
    pose = navigation.explore_many(batch, each, range(len(batch))).pose
    return np.repeat(np.arange(len(batch)), each)[:frames], pose.reshape(-1, 4, 4)[:frames]


def _render_rate(batch: SceneBatch, size: int, frames: int, device: str) -> float:
    index, pose = _views(batch, frames)
    times = []
    for _ in range(4):
        began = time.perf_counter()
        surface = render_surfaces(batch, index, pose, size, device=device, workers=1)[2]
        classes(batch, index, surface)
        if device != "cpu":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - began)
    return frames / min(times[1:])


def _alike(batch: SceneBatch, device: str) -> float:
    index, pose = _views(batch, 256)
    here, there = (render(batch, index, pose, 64, device=d)[0].cpu() for d in ("cpu", device))
    return float(((here.int() - there.int()).abs().amax(-1) <= 2).float().mean())


def _row(what: str, rate: float) -> Row:
    return {"what": what, "a second": rate, "alike": None, "frames": None, "least PSNR [dB]": None}
