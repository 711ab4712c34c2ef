"""`mgenv bench data`: how fast worlds, games and footage are recorded into datasets."""

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

Row = dict[str, Any]
SOURCES = ("engine", "engine:estates", "vizdoom", "panorama")
"""Each may name a variant after a colon."""
PROTOCOL = (
    "Frames a second from the call to its end, source, filters and encoding included, after all "
    "was run once. Then every episode is read back and recorded again: all but colours must be "
    "equal, and the least PSNR of an episode's colours is given."
)


def run(
    frames: int = 5000,
    sources: Sequence[str] = SOURCES,
    workers: int = 2,
    report: Callable[[str], None] = lambda text: None,
) -> Report:
    """Collect ``frames`` of each source by processes."""
    rows = []
    for source in sources:
        size = 128 if source == "vizdoom" else 64
        rows.append(collect_row(source, frames, size, workers))
        report(f"{rows[-1]['what']}: {rows[-1]['a second']:.0f} a second")
    return Report(title="Data", protocol=PROTOCOL, rows=rows, seeds=[0])


def collect_row(source: str, frames: int, size: int, workers: int) -> Row:
    """A whole collection, then all of it read back and compared with what is recorded again."""
    with tempfile.TemporaryDirectory() as folder:
        name, _, variant = source.partition(":")
        config = CollectConfig(
            source=name, variant=variant, image_size=size, workers=workers, shard_episodes=4
        )
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


def _row(what: str, rate: float) -> Row:
    return {"what": what, "a second": rate}
