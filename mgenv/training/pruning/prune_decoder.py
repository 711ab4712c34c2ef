"""Pruning of an autoencoder's decoder, from file to file, with fine-tuning and measurement.

Files, options and data are checked before a tensor is read. The new file's header holds the
options and the PSNR against the full decoder.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mgenv.errors import CheckpointError, InvalidOptionError, OutputError
from mgenv.images import psnr
from mgenv.matrix_game3.checkpoint.loader import Weights, check_fit, open_weights
from mgenv.matrix_game3.checkpoint.renaming import light_vae_key
from mgenv.matrix_game3.checkpoint.verify import require_device
from mgenv.matrix_game3.vae.config import VaeConfig
from mgenv.matrix_game3.vae.vae import VideoVAE
from mgenv.output import MINIMUM_FREE_BYTES, prepare_file, prepare_folder, write_safetensors
from mgenv.training.pruning.prune import Videos, fit_pruned, narrowed, prune_channels

if TYPE_CHECKING:
    from mgenv.training.pruning.prune_data import Clips

MEASURES = 10
"""Number of measurements during fine-tuning."""

Report = Callable[[int, float], None]
"""Called with steps done and PSNR [dB] of the pruned against the whole decoder's pictures."""


@dataclass(frozen=True, kw_only=True)
class PruneConfig:
    """Options of pruning and fine-tuning.

    Attributes:
        source: an autoencoder's weights, safetensors or a ``.pth`` of tensors.
        out: the ``.safetensors`` to write; its folder is there, the file is not yet.
        rate: share of the decoder's width to cut, in [0, 1).
        data: a dataset of ``mgenv collect`` to fine-tune on; None to prune only.
        steps: updates of the weights; 0 to measure only.
        size: height and width of videos: pictures are scaled to cover it, then cut around their
            middle. By default they are only cut, to the next multiples of the stride.
        frames: of a video, 1 + 4n.
        batch: videos in a step.
        learning_rate: at the start; it falls along a cosine.
        device: to compute on, in float32.
        seed: of which videos come when.
    """

    source: str | Path
    out: str | Path
    rate: float = 0.75
    data: str | Path | None = None
    steps: int = 1000
    size: tuple[int, int] | None = None
    frames: int = 5
    batch: int = 1
    learning_rate: float = 1e-3
    device: str = "cpu"
    seed: int = 0


@dataclass(frozen=True)
class PrunedFile:
    """Result of :func:`prune_decoder`.

    Attributes:
        path: the file.
        whole, pruned: sizes of the autoencoder before and after.
        psnr: [dB] of the pruned against the whole decoder's pictures, on videos that were not
            trained on, by steps done; empty without data.
    """

    path: Path
    whole: VaeConfig
    pruned: VaeConfig
    psnr: dict[int, float]


def prune_decoder(config: PruneConfig, report: Report | None = None) -> PrunedFile:
    """Prune a decoder, fine-tune it against the full one if there is data, and save it.

    Args:
        config: what to do.
        report: called before the first step, :data:`MEASURES` times on the way, the end included.

    Raises:
        CheckpointError: no such file, it holds no autoencoder, or one that decodes no numbers.
        InvalidOptionError: a rate or another option out of range, no such device, or a learning
            rate at which the error does not stay finite.
        OutputError: the file is there already, or cannot be written.
        DataError: no such dataset, a damaged one, or one that is too small.
    """
    weights = open_weights(config.source, light_vae_key)
    whole = _sizes(weights)
    narrowed(whole, config.rate)
    _check_options(config, whole)
    path = _prepared(config, weights)
    require_device(config.device)
    videos = _videos(config, whole)
    try:
        return _pruned(config, weights, videos, path, report)
    finally:
        if videos:
            videos[0].dataset.close()


def _pruned(
    config: PruneConfig,
    weights: Weights,
    videos: tuple[Clips, Clips] | None,
    path: Path,
    report: Report | None,
) -> PrunedFile:
    full = VideoVAE.from_state_dict(dict(weights.read()), device=config.device)
    pruned = prune_channels(full, config.rate)
    psnr = _fine_tuned(config, full, pruned, *videos, report) if videos else {}
    header = _header(config, pruned.config, videos[0].size if videos else None, psnr)
    write_safetensors(path, pruned.state_dict(), header)
    return PrunedFile(path, full.config, pruned.config, psnr)


def psnr_of(full: VideoVAE, pruned: VideoVAE, videos: Videos) -> float:
    """PSNR [dB] of the pruned against the whole decoder's pictures, over all videos' pixels.

    Args:
        full, pruned: on one device, with the same encoder.
        videos: (B, 3, 1 + 4n, H, W) in [-1, 1].

    Returns:
        At most 100; NaN where a decoder's output is no number.
    """
    squared, count = torch.zeros((), dtype=torch.float64), 0
    with torch.inference_mode():
        for index in range(len(videos)):
            latent = full.encode(videos[index].to(full.latent_mean.device))
            error = pruned.decode(latent).clamp(-1, 1) - full.decode(latent).clamp(-1, 1)
            squared += error.double().square().sum().cpu()
            count += error.numel()
    return psnr((squared / count).clamp_min(4e-10), peak=2.0).item()


def _sizes(weights: Weights) -> VaeConfig:
    try:
        config = VaeConfig.from_state_dict(weights.meta())
    except (CheckpointError, InvalidOptionError) as error:
        raise CheckpointError(f"{weights.origin}: {error}") from error
    with torch.device("meta"):
        check_fit(VideoVAE(config), weights)
    return config


def _check_options(config: PruneConfig, vae: VaeConfig) -> None:
    space, time = vae.spatial_stride, vae.temporal_stride
    size, rate = config.size, config.learning_rate
    fits = size is None or (min(size) > 0 and not any(side % space for side in size))
    for fine, expected, got in (
        (config.steps >= 0, "steps: expected at least 0", config.steps),
        (config.batch >= 1, "batch: expected at least 1", config.batch),
        (config.frames % time == 1 % time and config.frames > 0,
         f"frames: expected 1 + {time}n", config.frames),
        (fits, f"size: expected height and width divisible by {space}", size),
        (0 < rate <= 1, "learning_rate: expected more than 0, at most 1", rate),
        (config.seed >= 0, "seed: expected at least 0", config.seed),
    ):  # fmt: skip
        if not fine:
            raise InvalidOptionError(f"{expected}, got {got}.")


def _prepared(config: PruneConfig, weights: Weights) -> Path:
    path = Path(config.out).expanduser().absolute()
    if path.suffix != ".safetensors":
        raise OutputError(f"Expected a name that ends in .safetensors; got {path.name}.")
    if not path.parent.is_dir():
        raise OutputError(f"Expected a folder that is there; got {path.parent} for {path.name}.")
    if path.is_file():
        raise OutputError(f"Expected a file that is not there yet; got {path}.")
    numbers = sum(shape.numel() for shape in weights.shapes.values())
    prepare_folder(path.parent, free_bytes=MINIMUM_FREE_BYTES + 4 * numbers)
    return prepare_file(path)


def _videos(config: PruneConfig, vae: VaeConfig) -> tuple[Clips, Clips] | None:
    """Videos to train on and videos to judge by, or None without data."""
    if config.data is None:
        return None
    from mgenv.data.dataset import Dataset
    from mgenv.training.pruning.prune_data import own_size, split

    dataset = Dataset(config.data)
    size = config.size or own_size(dataset, vae.spatial_stride)
    shrink = config.size is not None
    batch, seed = config.batch, config.seed
    return split(dataset, config.frames, size, shrink=shrink, batch=batch, seed=seed)


def _fine_tuned(
    config: PruneConfig,
    full: VideoVAE,
    pruned: VideoVAE,
    videos: Videos,
    judged: Videos,
    report: Report | None,
) -> dict[int, float]:
    """Trains `pruned` in place; PSNR [dB] on `judged` by steps done."""
    measured: dict[int, float] = {}

    def measure(done: int) -> None:
        measured[done] = psnr_of(full, pruned, judged)
        if report:
            report(done, measured[done])
        if math.isnan(measured[done]) and done == 0:
            raise CheckpointError(f"{config.source}: expected to decode numbers; got NaN.")
        if math.isnan(measured[done]):
            raise InvalidOptionError(
                "learning_rate: expected one at which the error stays finite, got "
                f"{config.learning_rate} (after {done} steps)."
            )

    def stepped(step: int, _: float) -> None:
        if step + 1 in due:
            measure(step + 1)

    due = {round(config.steps * part / MEASURES) for part in range(1, MEASURES + 1)}
    measure(0)
    fit_pruned(
        full,
        pruned,
        videos,
        config.steps,
        learning_rate=config.learning_rate,
        generator=torch.Generator().manual_seed(config.seed),
        report=stepped,
    )
    return measured


def _header(
    config: PruneConfig,
    narrow: VaeConfig,
    size: tuple[int, int] | None,
    psnr: dict[int, float],
) -> dict[str, str]:
    made = {
        "format": "pt",
        "source": Path(config.source).name,
        "rate": str(config.rate),
        "decoder_widths": json.dumps(narrow.decoder_widths),
        "steps": str(config.steps if size else 0),
    }
    if size is None:
        return made
    return made | {
        "data": str(config.data),
        "size": "x".join(map(str, size)),
        "frames": str(config.frames),
        "batch": str(config.batch),
        "learning_rate": str(config.learning_rate),
        "seed": str(config.seed),
        "psnr_against_whole_decoder_db": json.dumps(
            {str(done): round(value, 3) for done, value in psnr.items()}
        ),
    }
