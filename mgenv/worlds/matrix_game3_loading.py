"""The world of the public weights, from a folder and plain options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mgenv.camera import ImageSize, picture_shape
from mgenv.errors import InvalidOptionError
from mgenv.models.matrix_game3.camera import FRAMES_PER_LATENT
from mgenv.models.matrix_game3.folder import Folder
from mgenv.models.matrix_game3.rollout import PAST_LATENTS, Rollout, check_picture
from mgenv.worlds.matrix_game3 import MatrixGame3World


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
    **options: Any,
) -> MatrixGame3World:
    """From a folder of weights, see :mod:`mgenv.models.matrix_game3.folder`.

    Args:
        image_size: the folder's own where None, 704×1280 for the public weights.
        vae: ``"whole"``, ``"light"`` or ``"light_v2"``.
        base_model: the one before distillation.
        sampling_steps: 3, or 50 for the base model, where None.
        guidance: 1 (none), or 5 for the base model, where None.
        prompt, negative_prompt: of all slots.
        frames_per_step: a multiple of 4 from 16 up; the model was trained with 40.
        options: of :class:`MatrixGame3World`.

    Raises:
        CheckpointError: the folder lacks something, or holds another model.
        InvalidOptionError: another argument is not what is accepted.
    """
    _check_frames(frames_per_step)
    if image_size is not None:
        check_picture(*picture_shape(image_size))
    folder, place = Folder.open(weights, vae, base_model), torch.device(device)
    guidance = guidance or (5.0 if base_model else 1.0)
    text = folder.text(prompt, place)
    negative = folder.text(negative_prompt, place) if guidance != 1.0 else None
    network, autoencoder = folder.read(place)
    rollout = Rollout(
        network,
        autoencoder,
        text,
        steps=sampling_steps or (50 if base_model else 3),
        guidance=guidance,
        negative=negative,
        latents_per_clip=frames_per_step // FRAMES_PER_LATENT,
    )
    return MatrixGame3World(rollout, num_envs, image_size or folder.image_size, **options)


def _check_frames(frames: int) -> None:
    least = FRAMES_PER_LATENT * PAST_LATENTS
    if not isinstance(frames, int) or frames < least or frames % FRAMES_PER_LATENT:
        raise InvalidOptionError(
            f"frames_per_step: expected a multiple of {FRAMES_PER_LATENT} from {least} up, "
            f"got {frames!r}"
        )
