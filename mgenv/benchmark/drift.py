"""`mgenv bench drift`: does the world stay sharp, alive and true over thousands of steps?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mgenv.benchmark.memory import KNOWN_SEED, NEW_SEED, seen_masks
from mgenv.benchmark.metrics import psnr, sharpness, squared_error, variance
from mgenv.benchmark.replay import Paths, held_out, make_world, replay, scan, true_paths
from mgenv.benchmark.report import Report
from mgenv.benchmark.strips import save_strips
from mgenv.models.world_model import WorldModel

FEW = 8
"""Observed frames from which an unknown world is imagined."""


def run(
    model: WorldModel,
    worlds: int = 16,
    known_frames: int = 256,
    steps: int = 2000,
    window: int = 100,
    sampling_steps: int = 2,
    device: str = "cpu",
    pictures: str | Path | None = None,
    report: Callable[[str], None] = lambda text: None,
) -> Report:
    """Long paths through a scanned world, and out of eight frames into the unknown."""
    ids, size = held_out(worlds), model.config.image_size
    known = true_paths(ids, known_frames, size, device, KNOWN_SEED)
    path = true_paths(ids, steps, size, device, NEW_SEED)
    rows = []
    for name, remembered in {"scanned": known, f"from {FEW} frames": path.until(FEW)}.items():
        world = make_world(model, worlds, device, sampling_steps=sampling_steps)
        scan(world, remembered)

        def told(done: int, name: str = name) -> None:
            if done % window == 0:
                report(f"{name}: step {done}")

        frames = replay(world, path, report=told)
        rows += window_rows(name, frames, path, remembered, window)
        if pictures is not None:
            strips = {"truth": path.rgb.cpu(), "imagined": frames}
            file = "drift_scanned.png" if name == "scanned" else "drift_unknown.png"
            save_strips(Path(pictures) / file, strips, every=max(1, steps // 10))
    return Report(
        title="Drift",
        protocol=(
            f"{worlds} held-out worlds from id {ids[0]}, {steps} steps along the engine's poses, "
            f"each frame generated from the world's own. Scanned: {known_frames} true frames in "
            f"memory, another path. From {FEW} frames: only the path's first {FEW} frames are "
            "known. PSNR over pixels whose surface the known frames show; sharpness (mean image "
            "gradient) and variance over the truth's on the same poses."
        ),
        rows=rows,
        seeds=[KNOWN_SEED, NEW_SEED],
        notes=[f"{sampling_steps} sampling steps."],
    )


def window_rows(
    name: str, frames: Tensor, path: Paths, known: Paths, window: int
) -> list[dict[str, Any]]:
    """A row every ``window`` steps."""
    truth, rows = path.rgb.cpu(), []
    for start in range(0, truth.shape[1], window):
        part = slice(start, start + window)
        cut = Paths(path.world_ids, path.rgb[:, part], path.depth[:, part], path.pose[:, part])
        error = squared_error(frames[:, part], truth[:, part])
        seen = seen_masks(known, cut)
        rows.append(
            {
                "world": name,
                "steps": f"{start}–{start + window}",
                "PSNR seen [dB]": psnr(error, seen),
                "share seen": float(seen.float().mean()),
                "sharpness": _ratio(sharpness, frames[:, part], truth[:, part]),
                "variance": _ratio(variance, frames[:, part], truth[:, part]),
            }
        )
    return rows


def _ratio(measure: Callable[[Tensor], Tensor], frames: Tensor, truth: Tensor) -> float:
    return float(torch.nanmean(measure(frames)) / torch.nanmean(measure(truth)))
