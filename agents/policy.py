"""The policy protocol and the policy file format.

A policy file is safetensors: the weights, and in the header a JSON description of what the policy
was trained on. Reading one runs no code from it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from mgenv.errors import CheckpointError
from mgenv.output import open_safetensors, write_bytes

FORMAT = "mgenv-policy"
VERSION = "1"


class Policy(Protocol):
    """Anything that turns observations into actions.

    A policy with state also has ``reset(slots)``, bool (N,): slots in which episodes begin.
    """

    name: str

    def act(self, observations: Any) -> NDArray[Any]:
        """Actions (N, …) for observations with a leading axis of N slots."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyCard:
    """What a policy was trained on and what its network looks like.

    Attributes:
        task: ``"pointnav"`` and the like.
        robot: the action space it drives.
        world: where it was trained.
        steps: environment steps it was trained for.
        observation_space: by name, the space's shape, dtype and bounds.
        action_space: the same for the action.
        network: architecture of the network, including its form.
        environment: the other settings of the environments, as in
            :class:`mgenv.agents.train.EnvConfig`: what it observes, where it was trained.
        seed: of the training.
        seconds: how long the training took.
    """

    task: str
    robot: str
    world: str
    steps: int
    observation_space: dict[str, Any]
    action_space: dict[str, Any]
    network: dict[str, Any]
    environment: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    seconds: float = 0.0

    @property
    def blank_pixels(self) -> bool:
        """Whether it was trained on black images."""
        return bool(self.environment.get("blank_pixels", False))


def save_policy(path: Path, card: PolicyCard, weights: dict[str, Tensor]) -> None:
    """Write a policy file, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    header = {"format": FORMAT, "version": VERSION, "card": json.dumps(asdict(card))}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    write_bytes(path, save(tensors, metadata=header))


def load_policy(path: Path) -> tuple[PolicyCard, dict[str, Tensor]]:
    """Read a policy file.

    Raises:
        CheckpointError: the file is missing, damaged, not a policy or of another version.
    """
    with open_safetensors(path, "a policy file") as file:
        card = _read_card(path, file.metadata() or {})
        return card, {name: file.get_tensor(name) for name in file.keys()}


def describe_space(space: spaces.Space) -> dict[str, Any]:
    """A space as plain JSON values; see :func:`build_space`.

    Raises:
        TypeError: a space that is none of Box, Dict, Discrete and MultiDiscrete.
    """
    if isinstance(space, spaces.Dict):
        return {"dict": {name: describe_space(part) for name, part in space.spaces.items()}}
    if isinstance(space, spaces.Discrete):
        return {"discrete": int(space.n)}
    if isinstance(space, spaces.MultiDiscrete):
        return {"multi_discrete": space.nvec.tolist()}
    if isinstance(space, spaces.Box):
        low, high = float(space.low.min()), float(space.high.max())
        return {"box": [low, high], "shape": list(space.shape), "dtype": str(space.dtype)}
    raise TypeError(f"Expected a Box, Dict, Discrete or MultiDiscrete space; got {space}.")


def build_space(description: dict[str, Any]) -> spaces.Space:
    """The space that :func:`describe_space` described.

    Example:
        >>> build_space({"box": [-1.0, 1.0], "shape": [2], "dtype": "float32"})
        Box(-1.0, 1.0, (2,), float32)
    """
    if "dict" in description:
        return spaces.Dict({name: build_space(part) for name, part in description["dict"].items()})
    if "discrete" in description:
        return spaces.Discrete(description["discrete"])
    if "multi_discrete" in description:
        return spaces.MultiDiscrete(description["multi_discrete"])
    (low, high), shape = description["box"], tuple(description["shape"])
    return spaces.Box(low, high, shape, np.dtype(description["dtype"]).type)


def _read_card(path: Path, header: dict[str, str]) -> PolicyCard:
    if header.get("format") != FORMAT:
        raise CheckpointError(
            f"Expected a policy file (format {FORMAT!r}) at {path}; got {header.get('format')!r}."
        )
    if header.get("version") != VERSION:
        raise CheckpointError(
            f"Expected version {VERSION!r} of the policy format at {path}; "
            f"got {header.get('version')!r}."
        )
    return PolicyCard(**json.loads(header["card"]))
