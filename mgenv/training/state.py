"""Training state as safetensors: weights, averages, optimizer moments and the generator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mgenv.errors import CheckpointError
from mgenv.output import open_safetensors, write_safetensors
from mgenv.training.optimizers import Average, Optimizers

FORMAT = "mgenv-training-1"


def save_state(
    path: str | Path,
    step: int,
    modules: dict[str, nn.Module],
    optimizers: dict[str, Optimizers],
    average: Average,
    generator: torch.Generator,
) -> None:
    """Write all that the next step depends on, except data, rollouts and the error buffer."""
    tensors: dict[str, Tensor] = {"generator": generator.get_state()}
    for name, module in modules.items():
        tensors |= {f"module.{name}.{k}": v.detach().cpu() for k, v in module.state_dict().items()}
    tensors |= {f"average.{k}": v.cpu() for k, v in average.values.items()}
    for name, group in optimizers.items():
        for index, optimizer in enumerate(group.optimizers):
            for key, state in optimizer.state_dict()["state"].items():
                for field, value in state.items():
                    entry = torch.as_tensor(value).detach().cpu()
                    tensors[f"moment.{name}.{index}.{key}.{field}"] = entry
    write_safetensors(path, tensors, {"format": FORMAT, "step": json.dumps(step)})


def load_state(
    path: str | Path,
    modules: dict[str, nn.Module],
    optimizers: dict[str, Optimizers],
    average: Average,
    generator: torch.Generator,
) -> int:
    """Load a state in place.

    Returns:
        The number of steps done.

    Raises:
        CheckpointError: not a training state, damaged, or for another network.
    """
    with open_safetensors(path, "a training state") as file:
        header = file.metadata() or {}
        if header.get("format") != FORMAT:
            raise CheckpointError(f"{path}: expected a training state, got {header}")
        tensors = {key: file.get_tensor(key) for key in file.keys()}
        step = int(json.loads(header["step"]))
    try:
        for name, module in modules.items():
            module.load_state_dict(_under(tensors, f"module.{name}."))
        for key, value in _under(tensors, "average.").items():
            average.values[key].copy_(value)
        generator.set_state(tensors["generator"].to(torch.uint8))
    except (RuntimeError, KeyError) as error:
        raise CheckpointError(f"{path}: expected the same network; got {error}") from error
    for name, group in optimizers.items():
        for index, optimizer in enumerate(group.optimizers):
            _load_moments(optimizer, _under(tensors, f"moment.{name}.{index}."))
    return step


def _load_moments(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        key, field = name.split(".", 1)
        state.setdefault(int(key), {})[field] = value
    whole = optimizer.state_dict()
    whole["state"] = state
    optimizer.load_state_dict(whole)


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
