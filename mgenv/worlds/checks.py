"""Checks of arguments that callers pass to a world."""

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
    shape = (count, MOTION_SIZE)
    return _finite_motion(motion, [shape], f"{shape}, got")


def checked_motions(
    motion: ArrayLike | Sequence[ArrayLike], lengths: Sequence[Sequence[int]]
) -> list[Tensor]:
    """Motions in double precision, (F, 5) a slot; (1, 5) for a motion that is held.

    Args:
        motion: (n, 5), (n, F, 5), or a sequence of n arrays (5,) or (F, 5).
        lengths: accepted values of F, for each slot.

    Raises:
        InvalidActionError: another number of motions, another shape, not numbers, or not finite.
    """
    given = list(motion) if isinstance(motion, Sequence) else list(np.atleast_1d(motion))
    if len(given) != len(lengths):
        raise InvalidActionError(
            f"motion: expected one for each of {len(lengths)} slots, got {len(given)}"
        )
    return [_clip_motion(*pair) for pair in zip(given, lengths, strict=True)]


def _clip_motion(motion: ArrayLike, lengths: Sequence[int]) -> Tensor:
    shapes = [(MOTION_SIZE,), *((frames, MOTION_SIZE) for frames in lengths)]
    expected = f"{shapes[0]} to hold, or {shapes[1]}, one a frame of the next clip; got"
    return _finite_motion(motion, shapes, expected).reshape(-1, MOTION_SIZE)


def _finite_motion(motion: ArrayLike, shapes: Sequence[tuple[int, ...]], expected: str) -> Tensor:
    try:
        wanted = np.asarray(motion, np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidActionError(f"motion: expected numbers; {error}") from error
    finite = bool(np.isfinite(wanted).all())
    if wanted.shape not in shapes or not finite:
        raise InvalidActionError(
            f"motion: expected finite {expected} shape {wanted.shape}"
            f"{'' if finite else ' with NaN or inf'}"
        )
    return torch.from_numpy(wanted)


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
    """Check the name of a retrieval rule, and return it.

    Raises:
        InvalidOptionError: no such rule.
    """
    if rule not in RULES:
        raise InvalidOptionError(f"retrieval: expected one of {sorted(RULES)}, got {rule!r}")
    return rule
