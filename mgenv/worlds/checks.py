"""What callers hand to a world, checked before anything is done with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from mgenv.camera import MOTION_SIZE
from mgenv.errors import InvalidActionError, InvalidOptionError
from mgenv.memory.retrieval import RULES


def checked_motion(motion: ArrayLike, count: int) -> Tensor:
    """Motions (count, 5) in double precision.

    Raises:
        InvalidActionError: another shape, not numbers, or not finite.
    """
    wanted = _motion_numbers(motion)
    finite = bool(np.isfinite(wanted).all())
    if wanted.shape != (count, MOTION_SIZE) or not finite:
        raise InvalidActionError(
            f"motion: expected finite ({count}, {MOTION_SIZE}), got shape {wanted.shape}"
            f"{'' if finite else ' with NaN or inf'}"
        )
    return torch.from_numpy(wanted)


def checked_motions(
    motion: ArrayLike | Sequence[ArrayLike], lengths: Sequence[Sequence[int]]
) -> list[Tensor]:
    """Motions in double precision, (F, 5) a slot; (1, 5) where one is held.

    Args:
        motion: (n, 5), (n, F, 5), or one of (5,) or (F, 5) for each of n slots.
        lengths: every F that each slot takes.

    Raises:
        InvalidActionError: another number of them, another shape, not numbers, or not finite.
    """
    given = list(motion) if isinstance(motion, Sequence) else list(np.atleast_1d(motion))
    if len(given) != len(lengths):
        raise InvalidActionError(
            f"motion: expected one for each of {len(lengths)} slots, got {len(given)}"
        )
    return [_checked_motion(*pair) for pair in zip(given, lengths, strict=True)]


def _checked_motion(motion: ArrayLike, lengths: Sequence[int]) -> Tensor:
    wanted = _motion_numbers(motion)
    finite = bool(np.isfinite(wanted).all())
    shapes = [(MOTION_SIZE,), *((frames, MOTION_SIZE) for frames in lengths)]
    if wanted.shape not in shapes or not finite:
        raise InvalidActionError(
            f"motion: expected finite ({MOTION_SIZE},) to hold, or ({lengths[0]}, {MOTION_SIZE}), "
            f"one a frame of the next clip; got shape {wanted.shape}"
            f"{'' if finite else ' with NaN or inf'}"
        )
    return torch.from_numpy(wanted).reshape(-1, MOTION_SIZE)


def _motion_numbers(motion: ArrayLike) -> NDArray[np.float64]:
    try:
        return np.asarray(motion, np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidActionError(f"motion: expected numbers; {error}") from error


def checked_poses(pose: ArrayLike, shape: int | tuple[int, ...]) -> Tensor:
    """A copy of poses (*shape, 4, 4).

    Raises:
        InvalidOptionError: another shape, or not finite.
    """
    shape = (shape,) if isinstance(shape, int) else shape
    poses = np.array(np.asarray(pose), np.float32)
    if poses.shape != (*shape, 4, 4) or not np.isfinite(poses).all():
        raise InvalidOptionError(f"pose: expected finite {(*shape, 4, 4)}, got {poses.shape}")
    return torch.from_numpy(poses)


def checked_depth(depth: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Depth maps float32 of a shape [m].

    Raises:
        InvalidOptionError: another shape, or not finite.
    """
    maps = np.asarray(depth, np.float32)
    if maps.shape != shape or not np.isfinite(maps).all():
        raise InvalidOptionError(f"depth: expected finite {shape}, got {maps.shape}")
    return maps


def checked_pictures(rgb: ArrayLike, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Pictures uint8 (n, T, H, W, 3) of ``shape`` n, H, W.

    Raises:
        InvalidOptionError: another shape or type.
    """
    pictures, (count, height, width) = np.asarray(rgb), shape
    frames = pictures.shape[1] if pictures.ndim == 5 else 0
    if pictures.dtype != np.uint8 or pictures.shape != (count, frames, height, width, 3):
        raise InvalidOptionError(
            f"rgb: expected uint8 ({count}, T, {height}, {width}, 3), "
            f"got {pictures.dtype} {pictures.shape}"
        )
    return pictures


def check_retrieval(rule: str) -> str:
    """The name of a rule of retrieval.

    Raises:
        InvalidOptionError: there is none of that name.
    """
    if rule not in RULES:
        raise InvalidOptionError(f"retrieval: expected one of {sorted(RULES)}, got {rule!r}")
    return rule
