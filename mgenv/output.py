"""Files: folders checked before any work, files written whole or not at all, safetensors read."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgenv.errors import CheckpointError, MgenvError, OutputError

if TYPE_CHECKING:
    from torch import Tensor

_CONTENT = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError)
"""What reading a file's content raises that is not what it says it is."""

MINIMUM_FREE_BYTES = 50 * 2**20
"""What a folder for results must have free."""


def prepare_folder(path: str | Path, free_bytes: int = MINIMUM_FREE_BYTES) -> Path:
    """Make a folder if need be and prove that it can be written.

    Args:
        path: the folder.
        free_bytes: what its disk must have free.

    Returns:
        The folder, absolute.

    Raises:
        OutputError: it cannot be made or written, or its disk is full.
    """
    folder = Path(path).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"mgenv")
            probe.flush()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise OutputError(f"Expected a folder to write to; got {folder}: {error}.") from error
    if free < free_bytes:
        raise OutputError(
            f"Expected {free_bytes / 2**20:.0f} MiB free for {folder}; got {free / 2**20:.0f} MiB."
        )
    return folder


def prepare_file(path: str | Path) -> Path:
    """Prove that a file can be written, without touching it.

    Returns:
        The file, absolute.

    Raises:
        OutputError: it is a folder, may not be overwritten, or its folder cannot be written.
    """
    file = Path(path).expanduser().absolute()
    if file.is_dir():
        raise OutputError(f"Expected a file to write; got the folder {file}.")
    prepare_folder(file.parent, free_bytes=2**20)
    if file.exists() and not os.access(file, os.W_OK):
        raise OutputError(f"Expected a file that may be overwritten; got {file}.")
    return file


def write_bytes(path: str | Path, content: bytes) -> Path:
    """Write a file whole or not at all: first beside it, then over it.

    Raises:
        OutputError: it cannot be written; what was there before is untouched.
    """
    file = Path(path).expanduser().absolute()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    except OSError as error:
        raise OutputError(f"Expected to write {file}; got: {error}.") from error
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())  # else a power cut may leave the name without the content
        os.chmod(beside, 0o644)
        os.replace(beside, file)
    except OSError as error:
        raise OutputError(f"Expected to write {file}; got: {error}.") from error
    finally:
        Path(beside).unlink(missing_ok=True)
    return file


def write_text(path: str | Path, content: str) -> Path:
    """As :func:`write_bytes`, UTF-8."""
    return write_bytes(path, content.encode())


def write_safetensors(path: str | Path, tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    """Write tensors beside the target, then rename: a full disk leaves the old file as it was.

    Raises:
        OutputError: it cannot be written; what was there before is untouched.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path, partial = Path(path), ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        save_file({n: t.contiguous() for n, t in tensors.items()}, partial, metadata=header)
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path}: expected a writable file; got {error}") from error
    finally:
        if partial:
            Path(partial).unlink(missing_ok=True)


@contextmanager
def open_safetensors(path: str | Path, expected: str) -> Iterator[Any]:
    """Open a safetensors file to read.

    Args:
        path: the file.
        expected: what it should hold, for the error.

    Raises:
        CheckpointError: the file is missing or damaged, or the block fails to read its content.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            yield file
    except MgenvError:
        raise
    except (SafetensorError, OSError, *_CONTENT) as error:
        raise CheckpointError(f"{path}: expected {expected}; got {error!r}.") from error
