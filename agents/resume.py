"""What a training run needs to go on: weights, optimiser, counters and generators, in one file.

Safetensors with a JSON header, so that reading one runs no code from it. Environments are not in
it: a run that goes on begins new episodes in the same worlds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from torch import Tensor

from mgenv.agents.learned import copy_weights, read_weights
from mgenv.errors import CheckpointError, InvalidOptionError
from mgenv.output import open_safetensors, write_safetensors

FORMAT, VERSION = "mgenv-training", "1"
FILE = "training.safetensors"
MAY_DIFFER = (
    "total_steps",
    "output_dir",
    "resume",
    "save_every",
    "video_every",
    "env.device",
    "env.num_envs",
)
"""Settings that a run may go on with others of."""


@dataclass(frozen=True)
class RunState:
    """A run as it was left.

    Attributes:
        steps: environment steps made.
        seconds: time that they took.
        updates: passes over rollouts made.
        config: all settings, plain values.
        generator: of NumPy, which shuffles minibatches: its plain values.
        tensors: weights ``policy.…``, optimiser ``optimiser.<number>.…``, generators
            ``generator.…``.
    """

    steps: int
    seconds: float
    updates: int
    config: dict[str, Any]
    generator: list[Any]
    tensors: dict[str, Tensor]

    def check(self, config: Mapping[str, Any]) -> None:
        """Prove that a run with these settings is the one that was left.

        Raises:
            InvalidOptionError: a setting that shapes what is learned is another, or there are no
                steps left to make.
        """
        was, now = _flat(self.config), _flat(config)
        others = [
            f"{name}={was.get(name)!r} (got {now.get(name)!r})"
            for name in sorted(was.keys() | now.keys())
            if name not in MAY_DIFFER and was.get(name) != now.get(name)
        ]
        if others:
            raise InvalidOptionError(
                f"Expected the settings of the run to resume: {', '.join(others)}. To begin a run "
                "with others from its policy, use start_from."
            )
        if config["total_steps"] <= self.steps:
            raise InvalidOptionError(
                f"Expected total_steps above the {self.steps} that the run has made; "
                f"got {config['total_steps']}."
            )


def save_run(folder: Path, model: PPO, config: dict[str, Any], seconds: float) -> None:
    """Write a run as it is, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    name, keys, *rest = np.random.get_state(legacy=True)
    tensors = {f"policy.{name}": value for name, value in read_weights(model.policy).items()}
    for number, state in model.policy.optimizer.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": value for name, value in state.items()}
    tensors |= _torch_generators(model.device) | {
        "generator.numpy": torch.from_numpy(np.asarray(keys).astype(np.int64))
    }
    run = {
        "steps": model.num_timesteps,
        "seconds": seconds,
        "updates": model._n_updates,
        "config": config,
        "generator": [name, *rest],
    }
    header = {"format": FORMAT, "version": VERSION, "run": json.dumps(run)}
    write_safetensors(
        folder / FILE, {name: t.detach().cpu() for name, t in tensors.items()}, header
    )


def load_run(folder: Path) -> RunState:
    """Read what :func:`save_run` wrote.

    Raises:
        CheckpointError: there is nothing to resume, or the file is damaged or of another version.
    """
    file = folder / FILE
    if not file.is_file():
        raise CheckpointError(f"Expected a run to resume, {file}; there is none.")
    with open_safetensors(file, "a run to resume") as opened:
        header = opened.metadata() or {}
        found = (header.get("format"), header.get("version"))
        if found != (FORMAT, VERSION):
            raise CheckpointError(
                f"{file}: expected format {FORMAT!r} version {VERSION!r}; got {found}."
            )
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}
        return RunState(**json.loads(header["run"]), tensors=tensors)


def restore_run(model: PPO, state: RunState) -> None:
    """Put weights, optimiser, counters and generators back into a model of the same settings.

    Raises:
        CheckpointError: the tensors do not fit it.
    """
    try:
        copy_weights(_group(state.tensors, "policy."), model.policy)
        model.policy.optimizer.load_state_dict(_optimiser_state(model, state))
        _restore_generators(model.device, state)
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"Expected a run that fits its settings; got: {error}.") from error
    model.num_timesteps, model._n_updates = state.steps, state.updates


def _optimiser_state(model: PPO, state: RunState) -> dict[str, Any]:
    """As ``Optimizer.load_state_dict`` takes it; every weight's state, or none before a step."""
    rows: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _group(state.tensors, "optimiser.").items():
        number, _, part = name.partition(".")
        rows.setdefault(int(number), {})[part] = tensor
    weights = model.policy.optimizer.param_groups[0]["params"]
    for number, row in rows.items():
        if row["exp_avg"].shape != weights[number].shape:
            raise ValueError(f"an optimiser of other shapes, {tuple(row['exp_avg'].shape)}")
    return {"state": rows, "param_groups": model.policy.optimizer.state_dict()["param_groups"]}


def _torch_generators(device: torch.device) -> dict[str, Tensor]:
    generators = {"generator.torch": torch.get_rng_state()}
    if device.type == "cuda":
        generators["generator.cuda"] = torch.cuda.get_rng_state(device)
    return generators


def _restore_generators(device: torch.device, state: RunState) -> None:
    name, *rest = state.generator
    keys = state.tensors["generator.numpy"].numpy().astype(np.uint32)
    np.random.set_state((name, keys, *rest))
    torch.set_rng_state(state.tensors["generator.torch"])
    if device.type == "cuda" and "generator.cuda" in state.tensors:
        torch.cuda.set_rng_state(state.tensors["generator.cuda"], device)


def _group(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by dotted names; a tuple and a list are the same."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat
