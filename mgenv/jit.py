"""Decorators for functions compiled by Numba, with a cache on disk.

The cache is keyed by the text of all compiled sources (the engine's and the memory's), because
Numba does not notice changes of called functions in other files. Without a writable folder,
functions are compiled in each process.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
import torch

_SOURCE = Path(__file__).parent
_COMPILED = ("engine/**/*.py", "memory/*.py", "jit.py")


def _candidates() -> Iterator[Path]:
    if os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(os.environ["NUMBA_CACHE_DIR"])
    yield _SOURCE / "__pycache__"
    yield Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "mgenv"
    yield Path(tempfile.gettempdir()) / f"mgenv-{os.getuid() if hasattr(os, 'getuid') else 0}"


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"0")
    except (OSError, RuntimeError):
        return False
    return True


def cache_folder() -> Path | None:
    """The first writable folder, for this version of the sources; None if there is none."""
    digest = hashlib.sha256()
    for path in sorted(path for files in _COMPILED for path in _SOURCE.glob(files)):
        digest.update(path.read_bytes())
    name = f"numba-{digest.hexdigest()[:12]}"
    return next((root / name for root in _candidates() if _writable(root / name)), None)


CACHE_FOLDER = cache_folder()


@contextmanager
def _caching_in(folder: Path | None) -> Iterator[None]:
    before = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    numba.config.CACHE_DIR = str(folder or "")  # type: ignore[attr-defined]
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before  # type: ignore[attr-defined]


def _survive_full_disk(dispatcher: Any) -> None:
    """Disable the cache when it cannot be written, instead of failing."""
    cache = dispatcher._cache
    save = cache.save_overload

    def save_if_possible(*args: Any) -> None:
        try:
            save(*args)
        except OSError:
            cache.disable()

    cache.save_overload = save_if_possible


def _compile(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        return function
    options |= {"nogil": True, "error_model": "numpy"}
    if CACHE_FOLDER is None:
        return numba.njit(**options)(function)
    with _caching_in(CACHE_FOLDER):
        dispatcher = numba.njit(cache=True, **options)(function)
    _survive_full_disk(dispatcher)
    return dispatcher


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: compile for the CPU, releasing the GIL."""
    return _compile(function)


def pixel_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: as :func:`inlined_ray_function`, but exact about NaN and infinity."""
    return _compile(function, _nrt=False, forceinline=True)


def ray_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: compile for the CPU, callable from CUDA kernels too; must allocate nothing.

    Numba's run-time is off, because reference counts of arrays would cost more than a ray.
    """
    return _compile(function, fastmath=True, _nrt=False)


def inlined_ray_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: as :func:`ray_function`, compiled into its caller."""
    return _compile(function, fastmath=True, _nrt=False, forceinline=True)


def current_stream(device: torch.device) -> Any:
    """Numba's handle of torch's current CUDA stream."""
    from numba import cuda

    pointer = torch.cuda.current_stream(device).cuda_stream
    return cuda.external_stream(pointer) if pointer else cuda.default_stream()
