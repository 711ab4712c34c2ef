"""Golden tensors against this implementation: the relative error of everything a folder holds.

A folder has ``dit_config.json``, ``dit.safetensors`` and ``dit_golden.safetensors``, and for the
autoencoder ``vae_….safetensors`` and ``vae_golden.safetensors``; any of these and any tensor in
them may be absent, and all sizes are read from the files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from mgenv.errors import CheckpointError, InvalidOptionError, MgenvError
from mgenv.matrix_game3.checkpoint.loader import open_weights
from mgenv.matrix_game3.checkpoint.network_references import VAE_GOLDEN, autoencoders, clips
from mgenv.matrix_game3.checkpoint.references import CHECKS, Case, Result, Results

GOLDEN = "dit_golden.safetensors"
CHECKS_OF = {GOLDEN: (*CHECKS, clips), VAE_GOLDEN: (autoencoders,)}


def verify(folder: str | Path, device: torch.device | str = "cpu") -> dict[str, Result]:
    """Compute everything that a folder has references for, in float32.

    Args:
        folder: laid out as above.
        device: to compute on.

    Returns:
        Error and limit by name.

    Raises:
        CheckpointError: no reference there, or a file that is damaged or does not fit.
        InvalidOptionError: there is no such device.
    """
    root = Path(folder).expanduser()
    require_device(device)
    goldens = [name for name in CHECKS_OF if (root / name).is_file()]
    if not goldens:
        raise CheckpointError(f"{root}: expected {' or '.join(CHECKS_OF)}; got neither.")
    found: dict[str, Result] = {}
    with torch.inference_mode():
        for name in goldens:
            golden = {key: value.to(device) for key, value in open_weights(root / name).read()}
            for check in CHECKS_OF[name]:
                found |= _run(check, Case(root, golden, torch.device(device)), name)
    if not found:
        raise CheckpointError(f"{root}: expected tensors to compare with; got none that is known.")
    return found


def require_device(device: torch.device | str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InvalidOptionError(f"Expected a device to compute on; got {device}.") from error


def _run(check: Callable[[Case], Results], case: Case, file: str) -> dict[str, Result]:
    """Results of one check; tensors that do not fit together are told with their file."""
    try:
        return dict(check(case))
    except CheckpointError:
        raise
    except (MgenvError, LookupError, ValueError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{case.root / file}: {error}") from error
