"""Checkpoints: safetensors with the configuration in the header; nothing is ever unpickled."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mgenv.errors import CheckpointError
from mgenv.models.world_model import WorldModel, WorldModelConfig
from mgenv.output import write_safetensors

FORMAT, VERSION = "mgenv-world-model", "2"

RETIRED = "bump."
"""Tensors of a head that motions were once judged by; files that hold them are read without."""


def save_checkpoint(
    path: str | Path, model: WorldModel, dtype: torch.dtype = torch.bfloat16
) -> None:
    """Write a model's weights, atomically.

    Raises:
        OutputError: the folder cannot be written.
    """
    header = {
        "format": FORMAT,
        "version": VERSION,
        "config": json.dumps(model.config.to_dict()),
    }
    tensors = {
        name: value.detach().to("cpu", dtype if value.is_floating_point() else value.dtype)
        for name, value in model.state_dict().items()
    }
    write_safetensors(path, tensors, header)


def load_checkpoint(path: str | Path, device: str | torch.device = "cpu") -> WorldModel:
    """Read a model in float32, ready for inference.

    Raises:
        CheckpointError: not an mgenv checkpoint, damaged, or of another version.
    """
    model, tensors = _read(Path(path))
    own = model.state_dict()
    missing, unexpected = sorted(own.keys() - tensors), sorted(tensors.keys() - own)
    shaped = [n for n in own.keys() & tensors if own[n].shape != tensors[n].shape]
    if missing or unexpected or shaped:
        raise CheckpointError(
            f"{path}: expected the tensors of its own configuration; "
            f"missing {missing}, unexpected {unexpected}, mis-shaped {sorted(shaped)}"
        )
    model.load_state_dict({name: tensors[name].to(own[name].dtype) for name in own})
    return model.to(device).eval().requires_grad_(False)


def _read(path: Path) -> tuple[WorldModel, dict[str, Tensor]]:
    """A fresh model of the file's configuration, and the file's tensors."""
    try:
        with safe_open(str(path), framework="pt") as file:
            header = file.metadata() or {}
            found = (header.get("format"), header.get("version"))
            if found != (FORMAT, VERSION):
                raise CheckpointError(
                    f"{path}: expected format {FORMAT!r} version {VERSION!r}, got {found}"
                )
            model = WorldModel(WorldModelConfig.from_dict(json.loads(header["config"])))
            names = [name for name in file.keys() if not name.startswith(RETIRED)]
            return model, {name: file.get_tensor(name) for name in names}
    except CheckpointError:
        raise
    except (
        SafetensorError,
        OSError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        ArithmeticError,
        RuntimeError,
    ) as error:
        raise CheckpointError(f"{path}: expected an mgenv checkpoint; got {error}") from error
