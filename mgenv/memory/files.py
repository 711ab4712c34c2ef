"""Memory files: safetensors with the frames of places, and their assignment to slots on reading.

A place is named by its owner, a slot or everybody (:data:`SHARED`), and its world's id.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from torch import Tensor

from mgenv.camera import ImageSize, picture_shape
from mgenv.errors import CheckpointError
from mgenv.output import open_safetensors, write_safetensors

FORMAT = "mgenv-memory-1"
SHARED = -1
"""The owner of what slots in one world share."""

STORED = ("rgb", "depth", "pose", "observed")
"""What a file holds of frames; the rest follows from it."""


def write_places(
    path: str | Path, places: Mapping[tuple[int, int], dict[str, Tensor]], image_size: ImageSize
) -> None:
    """Write the frames of places, by owner and world id, atomically.

    Raises:
        OutputError: the folder cannot be written.
    """
    tensors = {
        f"{index}.{name}": frames[name].contiguous()
        for index, frames in enumerate(places.values())
        for name in frames
    }
    header = {"format": FORMAT, "image_size": _written(image_size)}
    header["places"] = ";".join(f"{owner},{world_id}" for owner, world_id in places)
    write_safetensors(path, tensors, header)


def _written(size: ImageSize) -> str:
    height, width = picture_shape(size)
    return str(height) if height == width else f"{height}x{width}"


def owners(
    key: tuple[int, int], keys: Collection[tuple[int, int]], num_slots: int, shared: bool
) -> list[int]:
    """Slots that get a file's place ``key``: its own, and those for which ``keys`` hold none."""
    if shared:
        return [SHARED]
    slot, world_id = key
    without = [other for other in range(num_slots) if (other, world_id) not in keys]
    if slot < 0:
        return without
    first = min(other for other, world in keys if world == world_id)
    return [slot] * (slot < num_slots) + (without if slot == first else [])


def read_places(
    path: str | Path, image_size: ImageSize, stored: Collection[str] = STORED
) -> dict[tuple[int, int], dict[str, Tensor]]:
    """Read and check a memory file before anything is changed.

    Args:
        stored: what is read of each frame, as far as the file has it.

    Raises:
        CheckpointError: not a memory file, damaged, or of another image size.
    """
    with open_safetensors(path, "a readable memory file") as file:
        header = file.metadata() or {}
        if header.get("format") != FORMAT:
            raise CheckpointError(
                f"{path}: expected a memory file ({FORMAT}), got {header.get('format')!r}"
            )
        if header["image_size"] != _written(image_size):
            raise CheckpointError(
                f"{path}: expected frames of {_written(image_size)} px, "
                f"got {header['image_size']} px"
            )
        places = {}
        for index, text in enumerate(filter(None, header["places"].split(";"))):
            slot, world_id = (int(part) for part in text.split(","))
            held = [name for name in stored if f"{index}.{name}" in file.keys()]
            frames = {name: file.get_tensor(f"{index}.{name}") for name in held}
            _check_frames(frames, image_size)
            places[slot, world_id] = frames
        return places


def file_version(path: str | Path) -> tuple[str | int, ...]:
    """Path, modification time and size of a file; the path alone where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return (str(path),)
    return (str(path), found.st_mtime_ns, found.st_size)


def _check_frames(frames: dict[str, Tensor], size: ImageSize) -> None:
    """Raise a ValueError unless all tensors are of the same number of frames of that size."""
    count, shape = len(frames["observed"]), picture_shape(size)
    shapes = {
        "rgb": (count, *shape, 3),
        "depth": (count, *shape),
        "pose": (count, 4, 4),
        "observed": (count,),
    }
    found = {name: tuple(frames[name].shape) for name in shapes}
    if found != shapes or frames["rgb"].dtype != torch.uint8:
        raise ValueError(f"tensors of shapes {found}, expected {shapes}")


def frame_digest(frame: Mapping[str, Tensor]) -> bytes:
    """Digest of colour, depth and pose, 16 bytes: equal frames of two places are stored once."""
    return frame_digests({name: frame[name][None] for name in ("rgb", "depth", "pose")})[0]


def frame_digests(frames: Mapping[str, Tensor]) -> list[bytes]:
    """:func:`frame_digest` of each of n frames, which leave a GPU together."""
    columns = [frames["rgb"], frames["depth"].half(), frames["pose"]]
    arrays = [column.cpu().contiguous().numpy() for column in columns]  # (n, …) each
    digests = []
    for row in zip(*arrays, strict=True):
        hasher = hashlib.blake2b(digest_size=16)
        for value in row:
            hasher.update(value.tobytes())
        digests.append(hasher.digest())
    return digests
