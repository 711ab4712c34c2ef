"""A narrower decoder: cut channels that matter least, then learn the whole decoder's outputs.

Channels that are added to each other, or repeated into each other, must go together. So every axis
of every weight is given the group of channels that it counts (:func:`axes`), and one rule ranks
and cuts all groups. A group's channels are ranked by the norm of the weights that write them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from mgenv.errors import InvalidOptionError
from mgenv.matrix_game3.vae.config import VaeConfig
from mgenv.matrix_game3.vae.vae import VideoVAE


@dataclass(frozen=True)
class Channels:
    """What a stretch of an axis counts: `spread` neighbouring channels to each of a group."""

    group: str
    spread: int = 1


Axis = tuple[Channels, ...]
"""Stretches of equal length, one after the other; empty if nothing is cut here."""


@dataclass(frozen=True)
class _Layout:
    """Names the groups of a decoder's weights."""

    config: VaeConfig

    def trunk(self, stage: int) -> Channels:
        """Channels that go into a stage: tied to each other through the weightless shortcuts."""
        widths = self.config.decoder_widths
        return Channels("trunk", widths[stage] // widths[-2])

    def inside(self, stage: int) -> Channels:
        """Channels between the blocks of a stage: those of the trunk unless the width changes."""
        widths = self.config.decoder_widths
        changes = widths[stage] != widths[stage + 1]
        return Channels(f"inside.{stage}") if changes else self.trunk(stage)

    def all(self) -> Iterator[tuple[str, tuple[Axis, ...]]]:
        stages = len(self.config.decoder_widths) - 1
        yield from _layer("conv1", (self.trunk(0),), ())
        for i in (0, 2):
            yield from _block(f"middle.{i}", self.trunk(0), self.trunk(0))
        yield from _attention("middle.1", self.trunk(0))
        for stage in range(stages):
            yield from self._stage(stage)
        last = self.inside(stages - 1)
        yield "head.0.gamma", ((last,),)
        yield from _layer("head.2", (), (last,))

    def _stage(self, stage: int) -> Iterator[tuple[str, tuple[Axis, ...]]]:
        inside, prefix = self.inside(stage), f"upsamples.{stage}.upsamples"
        for i in range(self.config.decoder_blocks):
            inputs = self.trunk(stage) if i == 0 else inside
            yield from _block(f"{prefix}.{i}", inputs, inside)
        if stage == len(self.config.decoder_widths) - 2:
            return
        double = f"{prefix}.{self.config.decoder_blocks}"
        if self.config.decoder_temporal[stage]:
            frames = Channels(f"{double}.frames")
            yield from _layer(f"{double}.time_conv", (frames, frames), (inside,))
            inside = frames
        yield from _layer(f"{double}.resample.1", (self.trunk(stage + 1),), (inside,))


def _layer(name: str, outputs: Axis, inputs: Axis) -> Iterator[tuple[str, tuple[Axis, ...]]]:
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)


def _block(
    name: str, inputs: Channels, outputs: Channels
) -> Iterator[tuple[str, tuple[Axis, ...]]]:
    hidden = Channels(f"{name}.hidden")
    yield f"{name}.residual.0.gamma", ((inputs,),)
    yield from _layer(f"{name}.residual.2", (hidden,), (inputs,))
    yield f"{name}.residual.3.gamma", ((hidden,),)
    yield from _layer(f"{name}.residual.6", (outputs,), (hidden,))
    if inputs != outputs:
        yield from _layer(f"{name}.shortcut", (outputs,), (inputs,))


def _attention(name: str, stream: Channels) -> Iterator[tuple[str, tuple[Axis, ...]]]:
    match, value = Channels(f"{name}.match"), Channels(f"{name}.value")
    yield f"{name}.norm.gamma", ((stream,),)
    yield from _layer(f"{name}.to_qkv", (match, match, value), (stream,))
    yield from _layer(f"{name}.proj", (stream,), (value,))


def axes(config: VaeConfig) -> dict[str, tuple[Axis, ...]]:
    """The channel groups of every weight of a decoder, by key; an axis for outputs, then inputs."""
    return dict(_Layout(config).all())


def narrowed(config: VaeConfig, rate: float) -> VaeConfig:
    """The config with the share `rate` of the decoder's width gone.

    Raises:
        InvalidOptionError: the rate is not in [0, 1), or the widths cannot be narrowed together.
    """
    widths = config.decoder_widths
    if not 0 <= rate < 1:
        raise InvalidOptionError(f"Expected a pruning rate in [0, 1), got {rate}.")
    if any(wide % narrow for wide, narrow in pairwise(widths[:-1])):
        raise InvalidOptionError(f"Expected widths that divide each other, got {widths}.")
    unit = math.gcd(*widths)
    kept = max(1, round(unit * (1 - rate)))
    return replace(config, decoder_widths=tuple(width // unit * kept for width in widths))


def importance(state: dict[str, Tensor], layout: dict[str, tuple[Axis, ...]]) -> dict[str, Tensor]:
    """Squared norm of all the weights that write each channel, by group: (channels,)."""
    norms: dict[str, Tensor] = {}
    for key, (outputs, *_) in layout.items():
        if not outputs or key.endswith("gamma"):
            continue
        rows = state[key].float().flatten(1) if state[key].ndim > 1 else state[key].float()[:, None]
        stretches = rows.square().sum(dim=1).chunk(len(outputs))
        for channels, stretch in zip(outputs, stretches, strict=True):
            norm = stretch.unflatten(0, (-1, channels.spread)).sum(dim=1)
            norms[channels.group] = norms.get(channels.group, 0) + norm
    return norms


def prune_channels(vae: VideoVAE, rate: float) -> VideoVAE:
    """A VAE with a narrower decoder, cut out of `vae`'s; the encoder stays whole.

    Norms are rescaled by the share of the weight that stays, and attention keeps its temperature:
    where the channels cut were silent, the video stays what it was.

    Args:
        vae: the whole autoencoder.
        rate: share of the decoder's width to cut, in [0, 1).
    """
    config = narrowed(vae.config, rate)
    state, layout = vae.decoder.state_dict(), axes(vae.config)
    norms = importance(state, layout)
    share = config.decoder_widths[0] / vae.config.decoder_widths[0]
    kept = {group: _strongest(norm, round(len(norm) * share)) for group, norm in norms.items()}
    cut = {key: _cut(state[key], layout[key], kept) for key in state}
    for key, (outputs, *_) in layout.items():
        if key.endswith("gamma"):
            norm = norms[outputs[0].group]
            stays = norm[kept[outputs[0].group]].sum() / norm.sum().clamp_min(1e-12)
            cut[key] *= (stays / share).sqrt().to(cut[key])
        elif "to_qkv" in key:
            cut[key][: len(cut[key]) // 3] *= share**0.5
    rest = {k: v.clone() for k, v in vae.state_dict().items() if not k.startswith("decoder.")}
    return VideoVAE.from_state_dict(
        rest | {f"decoder.{key}": value for key, value in cut.items()},
        vae.latent_mean,
        vae.latent_std,
        dtype=vae.latent_mean.dtype,
        device=vae.latent_mean.device,
    )


def _strongest(norm: Tensor, count: int) -> Tensor:
    return norm.topk(count).indices.sort().values


def _cut(weight: Tensor, layout: tuple[Axis, ...], kept: dict[str, Tensor]) -> Tensor:
    weight = weight.clone()
    for dim, axis in enumerate(layout):
        if axis:
            stretches = weight.chunk(len(axis), dim)
            parts = [
                stretch.index_select(dim, _spread(kept[channels.group], channels.spread))
                for stretch, channels in zip(stretches, axis, strict=True)
            ]
            weight = torch.cat(parts, dim)
    return weight


def _spread(kept: Tensor, spread: int) -> Tensor:
    return (kept[:, None] * spread + torch.arange(spread, device=kept.device)).flatten()


class Videos(Protocol):
    """Batches of videos (B, 3, 1 + 4n, H, W) in [-1, 1], in memory or read when asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Tensor: ...


def fit_pruned(
    full: VideoVAE,
    pruned: VideoVAE,
    videos: Videos,
    steps: int,
    *,
    learning_rate: float = 1e-3,
    generator: torch.Generator | None = None,
    report: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Fine-tunes the pruned decoder against what the full one makes of the same latents.

    Args:
        full: the autoencoder to learn from.
        pruned: the one that learns, in place: its decoder and the layer in front.
        videos: (B, 3, 1 + 4n, H, W) in [-1, 1]; one of them is drawn for each step.
        steps: updates of the weights; the learning rate falls along a cosine.
        learning_rate: at the start.
        generator: draws the videos.
        report: called with step and error.

    Returns:
        The mean squared error before each step.
    """
    weights = [*pruned.decoder.parameters(), *pruned.conv2.parameters()]
    pruned.requires_grad_(False)
    for weight in weights:
        weight.requires_grad_(True)
    optimizer = torch.optim.AdamW(weights, lr=learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1))
    errors = []
    for step in range(steps):
        video = videos[int(torch.randint(len(videos), (), generator=generator))]
        errors.append(_fit_step(full, pruned, video.to(full.latent_mean.device), optimizer))
        schedule.step()
        if report:
            report(step, errors[-1])
    pruned.requires_grad_(False)
    return errors


def _fit_step(
    full: VideoVAE, pruned: VideoVAE, video: Tensor, optimizer: torch.optim.Optimizer
) -> float:
    with torch.no_grad():
        latent = full.encode(video)
        target = full.decode(latent)
    error = F.mse_loss(pruned.decode(latent), target)
    optimizer.zero_grad()
    error.backward()
    torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], 1.0)
    optimizer.step()
    return error.item()
