"""Work on a batch by as many threads as torch has.

Threads that each do a stage of the work for their part of a batch wait for each other once a stage;
torch's own do so after every operation, which for small ones takes longer than the work.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import lru_cache, partial, wraps
from typing import ParamSpec, TypeVar

import torch

_Result = TypeVar("_Result")
_Arguments = ParamSpec("_Arguments")
_THREADS: ContextVar[int | None] = ContextVar("threads", default=None)


def in_parts(work: Callable[[int, int], None], batch: int) -> None:
    """Call ``work(first, last)`` for parts that make up ``range(batch)``, all at once.

    The caller's thread does the first part; ``work`` must release the GIL to gain from the others.
    """
    workers = max(1, min(torch.get_num_threads(), batch))
    bounds = [batch * n // workers for n in range(workers + 1)]
    parts = [partial(work, *pair) for pair in zip(bounds[:-1], bounds[1:], strict=True)]
    _all_at_once(parts)


def _all_at_once(calls: Sequence[Callable[[], _Result]]) -> list[_Result]:
    """Results of the calls, the first made in this thread; none goes on once this has ended."""
    first, *others = calls
    if not others:
        return [first()]
    started = [_helpers(os.getpid(), len(others)).submit(call) for call in others]
    try:
        done = first()
    except BaseException:
        for future in started:
            future.cancel()
        raise
    finally:
        wait(started)
    return [done, *(future.result() for future in started)]


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch's operations in this thread; :func:`in_fixed_parts` uses those that they could.

    Torch counts threads partly for the whole process: other Python threads that first call torch
    meanwhile may stay at one.
    """
    threads = torch.get_num_threads()
    token = _THREADS.set(_THREADS.get() or threads)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        _THREADS.reset(token)


def in_fixed_parts(work: Callable[[slice], _Result], parts: Sequence[slice]) -> list[_Result]:
    """``work(part)`` of each part, by as many threads as torch has; torch itself adds none.

    What is worked on together does not depend on the number of threads. Nothing that is made can
    have a gradient.
    """
    threads = max(1, min(_THREADS.get() or torch.get_num_threads(), len(parts)))

    def some(first: int) -> list[_Result]:
        torch.set_num_threads(1)
        with torch.inference_mode():
            return [work(part) for part in parts[first::threads]]

    with one_thread():
        made = _all_at_once([partial(some, first) for first in range(threads)])
    return [made[n % threads][n // threads] for n in range(len(parts))]


def one_thread_on_cpu(method: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Decorator: :func:`one_thread` around methods of objects whose ``device`` is the CPU."""

    @wraps(method)
    def run(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        on_cpu = args[0].device.type == "cpu"  # type: ignore[attr-defined]
        with one_thread() if on_cpu else nullcontext():
            return method(*args, **kwargs)

    return run


@lru_cache(maxsize=4)
def _helpers(process: int, count: int) -> ThreadPoolExecutor:
    """Threads that wait for work; a forked process has none of its parent's, so it gets its own."""
    return ThreadPoolExecutor(count)
