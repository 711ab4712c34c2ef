"""`mgenv bench memory`: consistency of revisited places.

*Scan*: memory is filled with true frames, then a new path leads through the same rooms. *Leave and
return*: from one true frame, out along a path and back through the same poses. A blurred picture is
like itself for free, so every likeness stands beside its sharpness.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mgenv.benchmark.metrics import psnr, seen_pixels, sharpness, squared_error, ssim
from mgenv.benchmark.replay import Paths, held_out, make_world, replay, scan, true_paths
from mgenv.benchmark.report import Report
from mgenv.benchmark.strips import save_strips
from mgenv.images import to_float, to_uint8
from mgenv.models.world_model import WorldModel
from mgenv.training.data import HELD_OUT

Row = dict[str, Any]
KNOWN_SEED, NEW_SEED = 1, 2


def run(
    model: WorldModel,
    worlds: int = 32,
    first_world: int = HELD_OUT,
    known_frames: int = 256,
    path_frames: int = 64,
    returns: Sequence[int] = (50, 100, 200, 400),
    sampling_steps: int = 2,
    device: str = "cpu",
    pictures: str | Path | None = None,
    report: Callable[[str], None] = lambda text: None,
) -> Report:
    """Both protocols on held-out worlds; rows of both in one table."""
    ids, size = held_out(worlds, first_world), model.config.image_size
    known = true_paths(ids, known_frames, size, device, KNOWN_SEED)
    new = true_paths(ids, path_frames, size, device, NEW_SEED)
    rows = scan_rows(model, known, new, sampling_steps, device, pictures, report)
    for steps in returns:
        out = true_paths(ids, steps // 2 + 1, size, device, NEW_SEED).there_and_back()
        rows += return_rows(model, out, steps, sampling_steps, device, report)
    return Report(
        title="Memory",
        protocol=(
            f"{worlds} held-out worlds from id {ids[0]}. Scan: {known_frames} true frames in "
            f"memory, then {path_frames} frames along a new path, each generated from the "
            "world's own last frames; PSNR over all pixels whose surface the scan shows (by true "
            "depth), SSIM over whole frames. Return: from one true frame, out and back through "
            "the same poses; PSNR between the first and the last frame. Sharpness is the mean "
            "image gradient over the truth's."
        ),
        rows=rows,
        seeds=[KNOWN_SEED, NEW_SEED],
        notes=[
            f"{sampling_steps} sampling steps; world model of {_million(model):.1f} M parameters."
        ],
    )


def scan_rows(
    model: WorldModel,
    known: Paths,
    new: Paths,
    sampling_steps: int,
    device: str,
    pictures: str | Path | None,
    report: Callable[[str], None],
) -> list[Row]:
    """Seen pixels with memory, without, with another world's, and without a network."""
    count = len(known.world_ids)
    seen = seen_masks(known, new)
    variants = {
        "memory": {},
        "no memory": {"memory_slots": 0},
        "another world's memory": {},
        "frustum retrieval": {"retrieval": "frustum"},
        "canvas without network": {"canvas_only": True},
    }
    rows, shown = [], {}
    for name, options in variants.items():
        world = make_world(model, count, device, sampling_steps=sampling_steps, **options)
        if name == "another world's memory":
            scan(world, _swapped(known))
        elif name != "no memory":
            scan(world, known)
        frames = replay(world, new, keep=name != "no memory")
        shown[name] = frames
        rows.append(_scan_row(name, frames, new, seen))
        report(f"scan, {name}: {rows[-1]['PSNR seen [dB]']:.2f} dB")
    ceiling = reconstruct(model, new.rgb, new.depth)
    rows.append(_scan_row("autoencoder alone (its ceiling)", ceiling, new, seen))
    if pictures is not None:
        picked = {"truth": new.rgb.cpu(), "memory": shown["memory"], "without": shown["no memory"]}
        picked["canvas alone"] = shown["canvas without network"]
        save_strips(Path(pictures) / "scan.png", picked, every=max(1, new.rgb.shape[1] // 8))
    return rows


def return_rows(
    model: WorldModel,
    paths: Paths,
    steps: int,
    sampling_steps: int,
    device: str,
    report: Callable[[str], None],
) -> list[Row]:
    """Start against return, with memory and without."""
    length = float(
        (paths.pose[:, 1:, :3, 3] - paths.pose[:, :-1, :3, 3]).norm(dim=-1).sum(1).mean()
    )
    rows = []
    for name, options in {"memory": {}, "no memory": {"memory_slots": 0}}.items():
        world = make_world(
            model, len(paths.world_ids), device, sampling_steps=sampling_steps, **options
        )
        frames = replay(world, paths, keep=False)
        sharp = sharpness(frames[:, -1]).mean() / sharpness(paths.rgb[:, -1].cpu()).mean()
        middle = steps // 2
        away = sharpness(frames[:, middle]).mean() / sharpness(paths.rgb[:, middle].cpu()).mean()
        rows.append(
            {
                "protocol": f"return, {steps} steps, {length:.1f} m",
                "variant": name,
                "PSNR seen [dB]": psnr(squared_error(frames[:, 0], frames[:, -1])),
                "SSIM": ssim(frames[:, 0], frames[:, -1]),
                "sharpness": float(sharp),
                "sharpness away": float(away),
            }
        )
        report(f"return, {steps} steps, {name}: {rows[-1]['PSNR seen [dB]']:.2f} dB")
    return rows


def seen_masks(known: Paths, new: Paths) -> Tensor:
    """Pixels of the new paths that the known frames show: bool (N, T, H, W)."""
    masks = [
        torch.stack([seen_pixels(d, p, known.depth[n], known.pose[n]) for d, p in frames])
        for n, frames in enumerate(
            zip(new.depth[i], new.pose[i], strict=True) for i in range(len(new.world_ids))
        )
    ]
    return torch.stack(masks).cpu()


@torch.no_grad()
def reconstruct(model: WorldModel, rgb: Tensor, depth: Tensor) -> Tensor:
    """What the autoencoder alone makes of true frames: uint8 like ``rgb``, on the CPU."""
    dtype = next(model.vae.parameters()).dtype
    frames = []
    with torch.autocast(rgb.device.type, torch.bfloat16, enabled=dtype != torch.float32):
        for row in range(len(rgb)):
            latents = model.vae.encode(to_float(rgb[row]), depth[row].unsqueeze(1))
            frames.append(to_uint8(model.vae.decode(latents)[:, :3].float()).cpu())
    return torch.stack(frames)


def _scan_row(name: str, frames: Tensor, new: Paths, seen: Tensor) -> Row:
    truth = new.rgb.cpu()
    return {
        "protocol": "scan",
        "variant": name,
        "PSNR seen [dB]": psnr(squared_error(frames, truth), seen),
        "SSIM": ssim(frames.flatten(0, 1), truth.flatten(0, 1)),
        "sharpness": float(sharpness(frames).mean() / sharpness(truth).mean()),
        "sharpness away": None,
    }


def _swapped(known: Paths) -> Paths:
    """Frames of the next world under this world's name."""
    return Paths(
        known.world_ids, *[part.roll(1, 0) for part in (known.rgb, known.depth, known.pose)]
    )


def _million(model: WorldModel) -> float:
    return sum(parameter.numel() for parameter in model.parameters()) / 1e6
