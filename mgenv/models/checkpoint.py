"""Checkpoints: safetensors with the configuration in the header; nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mgenv.errors import CheckpointError
from mgenv.models.architecture import ARCHITECTURES
from mgenv.models.world_model import WorldModel
from mgenv.output import open_safetensors, write_safetensors

FORMAT, VERSION = "mgenv-world-model", "2"

RETIRED = "bump."
"""Prefix of tensors of a retired bump head; they are skipped on reading."""


def save_checkpoint(path: str | Path, model: Any, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write a model's weights, atomically.

    Raises:
        OutputError: the folder cannot be written.
    """
    header = {
        "format": FORMAT,
        "version": VERSION,
        "architecture": model.architecture,
        "config": json.dumps(model.config.to_dict()),
    }
    tensors = {
        name: value.detach().to("cpu", dtype if value.is_floating_point() else value.dtype)
        for name, value in model.state_dict().items()
    }
    write_safetensors(path, tensors, header)


def load_checkpoint(path: str | Path, device: str | torch.device = "cpu") -> Any:
    """Read a model in float32, ready for inference.

    Raises:
        CheckpointError: not an mgenv checkpoint, damaged, of another version, or of an
            architecture that is not installed.
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


def fingerprint(model: Any) -> str:
    """Digest of a network's configuration and weights, 16 hexadecimal digits."""
    digest = hashlib.sha256(json.dumps(model.config.to_dict(), sort_keys=True).encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        flat = value.detach().cpu().contiguous().view(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def _read(path: Path) -> tuple[Any, dict[str, Tensor]]:
    """A fresh model of the file's configuration, and the file's tensors."""
    with open_safetensors(path, "an mgenv checkpoint") as file:
        header = file.metadata() or {}
        found = (header.get("format"), header.get("version"))
        if found != (FORMAT, VERSION):
            raise CheckpointError(
                f"{path}: expected format {FORMAT!r} version {VERSION!r}, got {found}"
            )
        kind = ARCHITECTURES[header.get("architecture", WorldModel.architecture)]
        model = kind.build(json.loads(header["config"]))
        names = [name for name in file.keys() if not name.startswith(RETIRED)]
        return model, {name: file.get_tensor(name) for name in names}
