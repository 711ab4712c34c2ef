"""The world of the public weights, from a folder and plain options."""

from __future__ import annotations

import inspect
from math import prod
from pathlib import Path
from typing import Any

import torch

from mgenv.camera import ImageSize, picture_shape
from mgenv.errors import InvalidOptionError, UnknownNameError, check_integer
from mgenv.matrix_game3.checkpoint.experts import check_boundary
from mgenv.matrix_game3.checkpoint.folder import Folder, precision
from mgenv.matrix_game3.memory.camera import FRAMES_PER_LATENT
from mgenv.matrix_game3.rollout.clips import CELL
from mgenv.matrix_game3.rollout.rollout import PAST_LATENTS, Rollout, check_picture
from mgenv.matrix_game3.speed.fast import Speed, accelerate, find_speed
from mgenv.matrix_game3.speed.footprint import Load
from mgenv.matrix_game3.speed.parallel import Shard, torchrun_group
from mgenv.matrix_game3.vae.parallel_decoder import decoder_for
from mgenv.matrix_game3.world import MatrixGame3World
from mgenv.worlds.base import WorldEntry

MEMORY_SLOTS = 5
"""Remembered latents for each clip."""


def load_matrix_game3(
    weights: str | Path,
    num_envs: int = 1,
    device: str = "cpu",
    image_size: ImageSize | None = None,
    *,
    vae: str = "whole",
    base_model: bool = False,
    sampling_steps: int | None = None,
    guidance: float | None = None,
    prompt: str = "",
    negative_prompt: str = "",
    frames_per_step: int = 40,
    boundary: float | None = None,
    speed: str | Speed = "plain",
    sequence_parallel: bool = False,
    memory_frames: int = 512,
    share_memory: bool = False,
    batch: int = 1,
) -> MatrixGame3World:
    """From a folder of weights, see :mod:`mgenv.matrix_game3.checkpoint.folder`.

    Args:
        image_size: that of the folder if None, 704×1280 for the public weights.
        vae: ``"whole"``, ``"light"`` or ``"light_v2"``.
        base_model: use the model before distillation; of a mixture, whether it is that model.
        sampling_steps: if None, 3, or 50 for the base model.
        guidance: if None, 1 (no guidance), or 5 for the base model.
        prompt, negative_prompt: of all slots.
        frames_per_step: a multiple of 4, at least 16; the model was trained with 40.
        boundary: noise level in [0, 1] at which a mixture changes experts; 0.9 if None.
        speed: ``"plain"``, ``"compiled"``, ``"int8"``, ``"fast"``, ``"faster"``, ``"fastest"``, or
            a :class:`mgenv.matrix_game3.Speed`. All but ``"plain"`` need a GPU, and minutes of
            compilation during the first clips.
        sequence_parallel: the processes started by ``torchrun`` share each clip, one GPU each. All
            must make the same calls, with equal seeds and actions; each gets the whole result.
        memory_frames, share_memory, batch: see :class:`MatrixGame3World`.

    Raises:
        CheckpointError: the folder is incomplete, or holds another model.
        InvalidOptionError: another argument is not accepted, the GPU has too little memory, or
            ``torchrun`` has started a number of processes that cannot share the network.
    """
    _check_frames(frames_per_step)
    steps = (50 if base_model else 3) if sampling_steps is None else sampling_steps
    counts = {"sampling_steps": steps, "memory_frames": memory_frames}
    _check_numbers(guidance, num_envs=num_envs, batch=batch, **counts)
    _check_texts(prompt=prompt, negative_prompt=negative_prompt)
    if image_size is not None:
        check_picture(*picture_shape(image_size))
    shard = Shard(torchrun_group(device)) if sequence_parallel else Shard()
    folder, place = Folder.open(weights, vae, base_model), torch.device(device)
    check_boundary(folder.experts, boundary)
    chosen = find_speed(speed, place, len(folder.experts))
    image_size = image_size or folder.image_size
    _check_share(shard, folder, picture_shape(image_size))
    latents = frames_per_step // FRAMES_PER_LATENT
    guidance = guidance or (5.0 if base_model else 1.0)
    load = Load(
        image_size=picture_shape(image_size),
        slots=num_envs,
        batch=min(batch, num_envs),
        latents=latents,
        guided=guidance != 1.0,
        reuse=chosen.reuse != "none",
        graphed=chosen.graphed,
        dtype=precision(place),
    )
    folder.footprint(load).require(place, load, vae)
    text = folder.text(prompt, place)
    negative = folder.text(negative_prompt, place) if guidance != 1.0 else None
    network, autoencoder = folder.read(place, boundary)
    accelerate(network, chosen)
    rollout = Rollout(
        network.spread(shard),
        autoencoder,
        text,
        steps=steps,
        guidance=guidance,
        negative=negative,
        latents_per_clip=latents,
        reuse=chosen.reuse,
        decoder=decoder_for(autoencoder, shard, chosen),
    )
    return MatrixGame3World(rollout, num_envs, image_size, memory_frames, share_memory, batch)


def _check_frames(frames: int) -> None:
    least = FRAMES_PER_LATENT * PAST_LATENTS
    if not isinstance(frames, int) or frames < least or frames % FRAMES_PER_LATENT:
        raise InvalidOptionError(
            f"frames_per_step: expected a multiple of {FRAMES_PER_LATENT} from {least} up, "
            f"got {frames!r}"
        )


def _check_numbers(guidance: Any, **counts: Any) -> None:
    for name, value in counts.items():
        check_integer(name, value, low=1)
    number = isinstance(guidance, (int, float)) and not isinstance(guidance, bool)
    if guidance is not None and not (number and 1.0 <= guidance < float("inf")):
        raise InvalidOptionError(f"guidance: expected a number of at least 1, got {guidance!r}")


def _check_share(shard: Shard, folder: Folder, size: tuple[int, int]) -> None:
    """Check that the processes can share every network at this size."""
    for config in (expert.config for expert in folder.experts):
        shard.check_heads(config.num_heads)
        _, *patch = config.patch_size
        shard.check(prod(side // (CELL * cells) for side, cells in zip(size, patch, strict=True)))


def _check_texts(**texts: Any) -> None:
    for name, value in texts.items():
        if not isinstance(value, str):
            raise InvalidOptionError(f"{name}: expected a text, got {value!r}")


def _load(
    num_envs: int,
    device: str,
    weights: Any = None,
    image_size: Any = None,
    memory_slots: int | None = None,
    **options: Any,
) -> MatrixGame3World:
    """Adapter of :func:`load_matrix_game3` to the options of :func:`mgenv.load_world`."""
    known = inspect.signature(load_matrix_game3).parameters
    for name in options:
        if name not in known:
            raise UnknownNameError("option of world matrix-game-3", name, known)
    if memory_slots not in (None, MEMORY_SLOTS):
        raise InvalidOptionError(f"memory_slots: expected {MEMORY_SLOTS}, got {memory_slots}")
    if not isinstance(weights, (str, Path)):
        raise InvalidOptionError(f"weights: expected the folder of matrix-game-3, got {weights}")
    if image_size is not None:
        pair = isinstance(image_size, (tuple, list))
        for side in image_size if pair else [image_size]:
            check_integer("image_size", side, low=1)
        if pair and len(image_size) != 2:
            raise InvalidOptionError(f"image_size: expected height and width, got {image_size}")
        image_size = tuple(image_size) if pair else image_size
    return load_matrix_game3(weights, num_envs, device, image_size, **options)


ENTRY = WorldEntry(_load, default_memory="fresh")
"""Registry entry of the world ``"matrix-game-3"``."""
