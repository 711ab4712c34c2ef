"""Converts the pickles of a folder of public weights to safetensors, once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from mgenv.errors import CheckpointError
from mgenv.matrix_game3.checkpoint.loader import INDEX
from mgenv.matrix_game3.checkpoint.pickles import read_pickle, refuse_code
from mgenv.matrix_game3.checkpoint.renaming import is_light_vae, light_vae_key
from mgenv.output import MINIMUM_FREE_BYTES, prepare_folder, write_safetensors, write_text

SHARD_BYTES = 4 * 2**30
"""Maximum size of a written file, which is also held in memory."""


def convert(folder: str | Path, shard_bytes: int = SHARD_BYTES) -> list[Path]:
    """Write each ``.pth`` of a folder and its subfolders as safetensors beside it.

    ``name.pth`` becomes ``name.safetensors``, or shards with ``name.safetensors.index.json`` if it
    is larger than ``shard_bytes``. Light autoencoders get the key names of the full one. The
    pickles are kept; files that are already converted are skipped.

    Args:
        folder: the public download.
        shard_bytes: maximum size of a written file.

    Returns:
        The written file or index of each pickle.

    Raises:
        CheckpointError: no folder, or a pickle is damaged or contains code; nothing is written if
            any pickle contains code.
        OutputError: the folder cannot be written, or its disk is too full.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise CheckpointError(f"Expected a folder of weights; got {root}.")
    waiting = [
        file
        for file in sorted(root.rglob("*.pth"))
        if not any(file.with_suffix(end).is_file() for end in (".safetensors", INDEX))
    ]
    for file in waiting:
        refuse_code(file)
    prepare_folder(root, MINIMUM_FREE_BYTES + sum(file.stat().st_size for file in waiting))
    return [_convert_file(file, shard_bytes) for file in waiting]


def _convert_file(pickle: Path, shard_bytes: int) -> Path:
    """Write one ``.pth`` as safetensors beside it; returns the file or the index of its shards."""
    state = read_pickle(pickle)
    if is_light_vae(state):
        renamed = {light_vae_key(key): value for key, value in state.items()}
        state = {key: value for key, value in renamed.items() if key is not None}
    shards = list(_shards(state, shard_bytes))
    header = {"format": "pt", "source": pickle.name}
    if len(shards) == 1:
        write_safetensors(pickle.with_suffix(".safetensors"), _unshared(state), header)
        return pickle.with_suffix(".safetensors")
    files: dict[str, str] = {}
    for number, keys in enumerate(shards, 1):
        name = f"{pickle.stem}-{number:05}-of-{len(shards):05}.safetensors"
        write_safetensors(pickle.with_name(name), _unshared({k: state[k] for k in keys}), header)
        files |= dict.fromkeys(keys, name)
    total = sum(tensor.nbytes for tensor in state.values())
    index = {"metadata": {"total_size": total}, "weight_map": files}
    return write_text(pickle.with_suffix(INDEX), json.dumps(index, indent=1))


def _unshared(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state with shared storage cloned, which safetensors would refuse."""
    storages = [tensor.untyped_storage().data_ptr() for tensor in state.values()]
    uses = Counter(storages)
    return {
        key: tensor.clone() if uses[storage] > 1 else tensor
        for (key, tensor), storage in zip(state.items(), storages, strict=True)
    }


def _shards(state: dict[str, Tensor], most: int) -> Iterator[list[str]]:
    """Keys in order, in groups of at most ``most`` bytes."""
    keys: list[str] = []
    size = 0
    for key, tensor in state.items():
        if keys and size + tensor.nbytes > most:
            yield keys
            keys, size = [], 0
        keys.append(key)
        size += tensor.nbytes
    yield keys
