"""Folders checked before any work, files written atomically, safetensors opened."""

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
"""Exceptions from reading a file whose content is damaged."""

MINIMUM_FREE_BYTES = 50 * 2**20
"""Free space that a folder for results must have."""


def prepare_folder(path: str | Path, free_bytes: int = MINIMUM_FREE_BYTES) -> Path:
    """Make a folder if necessary and check that it can be written.

    Args:
        path: the folder.
        free_bytes: free space that its disk must have.

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
    """Check that a file can be written, without touching it.

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
    """Write a file atomically.

    Returns:
        The file, absolute.

    Raises:
        OutputError: it cannot be written; an old file is left as it was.
    """
    file = Path(path).expanduser().absolute()
    with _replacing(file) as draft, draft.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())  # else a power cut may leave the name without the content
    return file


def write_text(path: str | Path, content: str) -> Path:
    """As :func:`write_bytes`, UTF-8."""
    return write_bytes(path, content.encode())


def write_safetensors(path: str | Path, tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    """Write a safetensors file atomically.

    Raises:
        OutputError: it cannot be written; an old file is left as it was.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    with _replacing(Path(path)) as draft:
        try:
            save_file({n: t.contiguous() for n, t in tensors.items()}, draft, metadata=header)
        except SafetensorError as error:
            raise OSError(str(error)) from error


@contextmanager
def _replacing(file: Path) -> Iterator[Path]:
    """A temporary file in the same folder, which replaces ``file`` if the block succeeds."""
    draft = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        os.close(handle)
        draft = Path(name)
        yield draft
        draft.chmod(0o644)
        draft.replace(file)
    except OSError as error:
        raise OutputError(f"Expected to write {file}; got: {error}.") from error
    finally:
        if draft is not None:
            draft.unlink(missing_ok=True)


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
