"""Doom's archives: a list of named parts, called lumps."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from mgenv.errors import DataError


def read_lumps(path: Path) -> list[tuple[str, bytes]]:
    """Names and contents of an archive's parts, in its order.

    Raises:
        DataError: the file is missing, is no WAD, or is cut off.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: expected a Doom WAD, got {error.strerror}") from error
    return list(_lumps(data, path))


def _lumps(data: bytes, path: Path) -> Iterator[tuple[str, bytes]]:
    if data[:4] not in (b"IWAD", b"PWAD") or len(data) < 12:
        raise DataError(f"{path}: expected a Doom WAD, which begins with IWAD or PWAD")
    count, directory = struct.unpack_from("<ii", data, 4)
    if count < 0 or directory < 0 or directory + 16 * count > len(data):
        raise DataError(f"{path}: expected {count} directory entries, but the file is cut off")
    for index in range(count):
        start, size, name = struct.unpack_from("<ii8s", data, directory + 16 * index)
        if start < 0 or size < 0 or start + size > len(data):
            raise DataError(f"{path}: lump {index} lies outside the file")
        yield name.rstrip(b"\0").decode("ascii", "replace"), data[start : start + size]
