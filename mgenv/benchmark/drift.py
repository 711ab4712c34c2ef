"""`mgenv bench drift`: sharpness, variance and PSNR over thousands of steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mgenv.benchmark.memory import KNOWN_SEED, NEW_SEED, seen_masks
from mgenv.benchmark.metrics import psnr, sharpness, squared_error, variance
from mgenv.benchmark.replay import Paths, held_out, make_world, replay, scan, true_paths
from mgenv.benchmark.report import Report
from mgenv.benchmark.strips import save_strips
from mgenv.models.world_model import WorldModel
from mgenv.training.data import HELD_OUT
from mgenv.training.walkers import Habits, Walkers
from mgenv.worlds.engine import EngineWorld

FEW = 8
"""Observed frames from which an unknown world is imagined."""
TURN = math.radians(12.0)
HABITS = Habits(forward=(0.2, 0.2), turn=(TURN, TURN), clear=(0.7, 0.7))


def run(
    model: WorldModel,
    worlds: int = 16,
    first_world: int = HELD_OUT,
    known_frames: int = 256,
    steps: int = 2000,
    window: int = 100,
    sampling_steps: int = 2,
    device: str = "cpu",
    pictures: str | Path | None = None,
    report: Callable[[str], None] = lambda text: None,
) -> Report:
    """Long paths through a scanned world, and from eight known frames into unseen places."""
    ids, size = held_out(worlds, first_world), model.config.image_size
    known = true_paths(ids, known_frames, size, device, KNOWN_SEED)
    path = true_paths(ids, steps, size, device, NEW_SEED)
    told = _teller(report, window)
    world = make_world(model, worlds, device, sampling_steps=sampling_steps)
    scan(world, known)
    frames = replay(world, path, report=told("scanned"))
    rows = window_rows("scanned", frames, path, known, window)
    start = path.until(FEW)
    engine = walk_by_sight(EngineWorld(worlds, size), start, steps, NEW_SEED)
    scan(world, start)
    imagined = walk_by_sight(world, start, steps, NEW_SEED, told(f"from {FEW} frames"))
    rows += unknown_rows(imagined, engine, window)
    if pictures is not None:
        every = max(1, steps // 12)
        strips = {"truth": path.rgb.cpu(), "imagined": frames}
        save_strips(Path(pictures) / "drift_scanned.png", strips, every)
        strips = {"engine's walk": engine, "imagined walk": imagined}
        save_strips(Path(pictures) / "drift_unknown.png", strips, every)
    return Report(
        title="Drift",
        protocol=(
            f"{worlds} held-out worlds from id {ids[0]}, {steps} steps, each frame generated from "
            f"the world's own. Scanned: {known_frames} true frames in memory, then another path "
            "along the engine's poses; PSNR over pixels whose surface the known frames show. "
            f"From {FEW} frames: only {FEW} true frames are known; a walker that goes by what it "
            "sees wanders on, stopped by imagined walls alone, and the same walker wanders the "
            "engine. Sharpness (mean image gradient) and variance over those of the true frames."
        ),
        rows=rows,
        seeds=[KNOWN_SEED, NEW_SEED],
        notes=[f"{sampling_steps} sampling steps."],
    )


def walk_by_sight(
    world: Any, start: Paths, steps: int, seed: int, report: Callable[[int], None] | None = None
) -> Tensor:
    """Walk a world from the last pose of ``start``: uint8 (N, steps, H, W, 3)."""
    slots = range(len(start.world_ids))
    pose = start.pose[:, -1].cpu().numpy()
    frame = world.begin(slots, start.world_ids, pose=pose)
    walkers = Walkers(len(slots), torch.Generator().manual_seed(seed), HABITS)
    frames = [frame.rgb]
    for step in range(1, steps):
        motion = walkers.act(torch.from_numpy(np.ascontiguousarray(frame.depth)))
        frame = world.step(motion.numpy())
        frames.append(frame.rgb)
        if report is not None:
            report(step + 1)
    return torch.from_numpy(np.stack(frames, 1))


def unknown_rows(imagined: Tensor, engine: Tensor, window: int) -> list[dict[str, Any]]:
    """A row every ``window`` steps of two walks, uint8 (N, T, H, W, 3) each."""
    rows = []
    for start in range(0, engine.shape[1], window):
        part = slice(start, start + window)
        rows.append(
            {
                "world": f"from {FEW} frames",
                "steps": f"{start}–{min(start + window, engine.shape[1])}",
                "PSNR seen [dB]": None,
                "share seen": None,
                "sharpness": _ratio(sharpness, imagined[:, part], engine[:, part]),
                "variance": _ratio(variance, imagined[:, part], engine[:, part]),
            }
        )
    return rows


def _teller(report: Callable[[str], None], window: int) -> Callable[[str], Callable[[int], None]]:
    """Progress of one walk, a line a window."""

    def named(name: str) -> Callable[[int], None]:
        def told(done: int) -> None:
            if done % window == 0:
                report(f"{name}: step {done}")

        return told

    return named


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
                "steps": f"{start}–{min(start + window, truth.shape[1])}",
                "PSNR seen [dB]": psnr(error, seen),
                "share seen": float(seen.float().mean()),
                "sharpness": _ratio(sharpness, frames[:, part], truth[:, part]),
                "variance": _ratio(variance, frames[:, part], truth[:, part]),
            }
        )
    return rows


def _ratio(measure: Callable[[Tensor], Tensor], frames: Tensor, truth: Tensor) -> float:
    return float(torch.nanmean(measure(frames)) / torch.nanmean(measure(truth)))
