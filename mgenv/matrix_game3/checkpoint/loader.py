"""Weights of public checkpoints: named and measured first, read tensor by tensor after.

A source is a ``.safetensors`` file, a folder or ``*.safetensors.index.json`` of shards, or a
``.pth`` file. Everything that does not fit a network is told in one error, before the first tensor
is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from mgenv.errors import CheckpointError
from mgenv.matrix_game3.checkpoint.pickles import read_pickle
from mgenv.output import open_safetensors

Rename = Callable[[str], str | None]
"""From a key in a file to the network's; None for a tensor that only training needed."""

INDEX = ".safetensors.index.json"


@dataclass(frozen=True)
class Weights:
    """The tensors of one network, of which only names and shapes are known yet.

    Attributes:
        origin: where they come from.
        shapes: by name.
        places: file and key there, by name.
    """

    origin: Path
    shapes: dict[str, torch.Size]
    places: dict[str, tuple[Path, str]]

    def meta(self) -> dict[str, Tensor]:
        """Empty tensors of these names and shapes, to work sizes out from."""
        return {name: torch.empty(shape, device="meta") for name, shape in self.shapes.items()}

    def read(self) -> Iterator[tuple[str, Tensor]]:
        """Names and tensors one at a time, file by file."""
        files = dict.fromkeys(file for file, _ in self.places.values())
        for file in files:
            with _opened(file) as (_, tensor):
                for name, (place, key) in self.places.items():
                    if place == file:
                        yield name, tensor(key)


def open_weights(source: str | Path, rename: Rename | None = None) -> Weights:
    """Find the files of a checkpoint and read their headers.

    Args:
        source: a ``.safetensors`` or ``.pth`` file, an index of shards, or a folder of them.
        rename: from keys in the files to the network's names.

    Raises:
        CheckpointError: nothing there, shards missing (all are named), damaged, or holding code.
    """
    origin = Path(source).expanduser()
    shapes: dict[str, torch.Size] = {}
    places: dict[str, tuple[Path, str]] = {}
    for file in weight_files(origin):
        with _opened(file) as (found, _):
            for key, shape in found.items():
                name = rename(key) if rename else key
                if name is None:
                    continue
                if name in places:
                    raise CheckpointError(f"{file}: expected one tensor {name}; got a second.")
                shapes[name], places[name] = shape, (file, key)
    return Weights(origin, shapes, places)


def weight_files(source: Path) -> list[Path]:
    """The files that a source stands for.

    Raises:
        CheckpointError: there are none, or an index names shards that are not there.
    """
    if source.is_file():
        return _shards(source) if source.name.endswith(INDEX) else [source]
    indices = sorted(source.glob(f"*{INDEX}"))
    if len(indices) > 1:
        raise CheckpointError(f"{source}: expected one index of shards; got {len(indices)}.")
    files = _shards(indices[0]) if indices else sorted(source.glob("*.safetensors"))
    if not files:
        raise CheckpointError(f"Expected weights (.safetensors or .pth) at {source}; got nothing.")
    return files


def locate(folder: str | Path, stem: str) -> Path:
    """The safetensors, index of shards or else ``.pth`` of a name like ``Wan2.2_VAE``.

    Raises:
        CheckpointError: the folder has none of them.
    """
    names = [f"{stem}.safetensors", f"{stem}{INDEX}", f"{stem}.pth"]
    for name in names:
        if (Path(folder) / name).is_file():
            return Path(folder) / name
    raise CheckpointError(f"{folder}: expected one of {', '.join(names)}; got none of them.")


def _shards(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        plain = all(Path(name).name == name for name in names)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{index}: expected an index of shards; got {error!r}.") from error
    missing = [name for name in names if not plain or not (index.parent / name).is_file()]
    if missing:
        raise CheckpointError(
            f"{index}: expected {len(names)} shards beside it; missing {', '.join(missing)}."
        )
    return [index.parent / name for name in names]


@contextmanager
def _opened(file: Path) -> Iterator[tuple[dict[str, torch.Size], Callable[[str], Tensor]]]:
    """Shapes of a file's tensors, and what reads one of them."""
    try:
        if file.suffix != ".safetensors":
            state = read_pickle(file)
            yield {key: value.shape for key, value in state.items()}, state.__getitem__
            return
        with open_safetensors(file, "whole safetensors") as opened:
            shapes = {key: torch.Size(opened.get_slice(key).get_shape()) for key in opened.keys()}
            yield shapes, opened.get_tensor
    except FileNotFoundError as error:
        raise CheckpointError(f"Expected a file {file}; there is none.") from error


def check_fit(module: nn.Module, weights: Weights) -> None:
    """Compare a network's names and shapes with those of weights.

    Raises:
        CheckpointError: it names every missing, unexpected and mis-shaped tensor.
    """
    own = {name: tensor.shape for name, tensor in _slots(module).items()}
    tied = module.state_dict().keys() - own.keys()
    missing = sorted(own.keys() - weights.shapes.keys())
    unexpected = sorted(weights.shapes.keys() - own.keys() - tied)
    shaped = [
        f"{name} {tuple(weights.shapes[name])} instead of {tuple(own[name])}"
        for name in sorted(own.keys() & weights.shapes.keys())
        if own[name] != weights.shapes[name]
    ]
    parts = (("missing", missing), ("unexpected", unexpected), ("mis-shaped", shaped))
    told = [f"{len(names)} {kind}: {', '.join(names)}" for kind, names in parts if names]
    if told:
        raise CheckpointError(
            f"{weights.origin}: expected the {len(own)} tensors of {type(module).__name__}; "
            + "; ".join(told)
            + "."
        )


def _slots(module: nn.Module) -> dict[str, Tensor]:
    """Parameters, each once, and the buffers that checkpoints hold."""
    kept = module.state_dict().keys()
    slots: dict[str, Tensor] = dict(module.named_parameters())
    return slots | {name: buffer for name, buffer in module.named_buffers() if name in kept}


def materialise(
    module: nn.Module,
    weights: Weights,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | Callable[[str], torch.dtype] = torch.float32,
) -> nn.Module:
    """Fill a network, on ``meta`` or not, tensor by tensor, ready for inference.

    Beside the network itself no more than one shard is in memory at a time.

    Args:
        module: the network.
        weights: all of its tensors.
        device: where they go.
        dtype: of floating-point tensors, or what tells it from a tensor's name.

    Returns:
        The same network, in evaluation mode and without gradients.

    Raises:
        CheckpointError: names or shapes do not fit, before anything is read.
    """
    check_fit(module, weights)
    slots = _slots(module)
    for name, tensor in weights.read():
        if name not in slots:
            continue  # another name of a tensor that is tied
        wanted = dtype if isinstance(dtype, torch.dtype) else dtype(name)
        kind = wanted if tensor.is_floating_point() else tensor.dtype
        _put(module, name, tensor.to(device, kind, copy=True))
    return module.eval().requires_grad_(False)


def _put(module: nn.Module, name: str, tensor: Tensor) -> None:
    path, _, leaf = name.rpartition(".")
    owner = module.get_submodule(path)
    if leaf in owner._parameters:
        owner._parameters[leaf] = nn.Parameter(tensor, requires_grad=False)
    else:
        owner._buffers[leaf] = tensor
