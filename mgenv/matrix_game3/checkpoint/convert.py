"""A folder of public weights, its pickles turned into safetensors once."""

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
from mgenv.output import prepare_folder, write_safetensors, write_text

SHARD_BYTES = 4 * 2**30
"""Most that one written file holds, and that is in memory at a time."""

HEADROOM_BYTES = 50 * 2**20


def convert(folder: str | Path, shard_bytes: int = SHARD_BYTES) -> list[Path]:
    """Write each ``.pth`` of a folder and its subfolders as safetensors beside it.

    ``name.pth`` becomes ``name.safetensors``, or shards with ``name.safetensors.index.json`` where
    it is larger than ``shard_bytes``. Light autoencoders get the whole one's names. The pickles
    stay; what was converted before is left as it is.

    Args:
        folder: of the public download.
        shard_bytes: most that a written file may hold.

    Returns:
        What was written: a file or an index for each pickle.

    Raises:
        CheckpointError: no folder, or a pickle that holds code or is damaged: of the first nothing
            is written at all.
        OutputError: the folder cannot be written, or its disk is too full.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise CheckpointError(f"Expected a folder of weights; got {root}.")
    waiting = [file for file in sorted(root.rglob("*.pth")) if not _converted(file)]
    for file in waiting:
        refuse_code(file)
    prepare_folder(root, HEADROOM_BYTES + sum(file.stat().st_size for file in waiting))
    return [convert_file(file, shard_bytes) for file in waiting]


def _converted(pickle: Path) -> bool:
    return any(pickle.with_suffix(end).is_file() for end in (".safetensors", INDEX))


def convert_file(pickle: Path, shard_bytes: int = SHARD_BYTES) -> Path:
    """Write one ``.pth`` as safetensors beside it.

    Returns:
        The file, or the index of its shards.
    """
    state = read_pickle(pickle)
    if is_light_vae(state):
        renamed = {light_vae_key(key): value for key, value in state.items()}
        state = {key: value for key, value in renamed.items() if key is not None}
    shards = list(_shards(state, shard_bytes))
    header = {"format": "pt", "source": pickle.name}
    if len(shards) == 1:
        write_safetensors(pickle.with_suffix(".safetensors"), _own(state), header)
        return pickle.with_suffix(".safetensors")
    placed: dict[str, str] = {}
    for number, keys in enumerate(shards, 1):
        name = f"{pickle.stem}-{number:05}-of-{len(shards):05}.safetensors"
        write_safetensors(pickle.with_name(name), _own({k: state[k] for k in keys}), header)
        placed |= dict.fromkeys(keys, name)
    total = sum(tensor.nbytes for tensor in state.values())
    index = {"metadata": {"total_size": total}, "weight_map": placed}
    return write_text(pickle.with_suffix(INDEX), json.dumps(index, indent=1))


def _own(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that share no memory: safetensors refuses those that do."""
    storages = [tensor.untyped_storage().data_ptr() for tensor in state.values()]
    shared = {at for at, times in Counter(storages).items() if times > 1}
    return {
        key: tensor.clone() if at in shared else tensor
        for (key, tensor), at in zip(state.items(), storages, strict=True)
    }


def _shards(state: dict[str, Tensor], most: int) -> Iterator[list[str]]:
    """Keys in order, cut so that each part holds at most ``most`` bytes."""
    part: list[str] = []
    size = 0
    for key, tensor in state.items():
        if part and size + tensor.nbytes > most:
            yield part
            part, size = [], 0
        part.append(key)
        size += tensor.nbytes
    yield part
