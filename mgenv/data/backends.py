"""Backends that record shards: this process, a pool of processes, or a Ray cluster.

A worker that dies loses nothing: its shard is recorded again, from the same numbers.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any, Protocol

from mgenv.data.filters import FilterConfig
from mgenv.data.shards import record_shard, staged
from mgenv.data.sources import Source, SourceOptions, make_source
from mgenv.errors import DataError, MgenvError

TRIES = 3
"""Number of attempts at a shard whose workers die."""
ENDING = 20
"""Seconds for a worker to finish its shard and exit after its parent has ended."""


@dataclass(frozen=True)
class Job:
    """A shard to record: the source's episodes ``first`` … ``last`` - 1."""

    root: str
    source: str
    options: SourceOptions
    first: int
    last: int
    filters: FilterConfig
    colours: str


_held: dict[tuple[str, SourceOptions], Source] = {}
"""A worker keeps its source from shard to shard."""
_recording = threading.Lock()


def _source(name: str, options: SourceOptions) -> Source:
    if (name, options) not in _held:
        close_source()
        _held[name, options] = make_source(name, options)
    return _held[name, options]


def close_source() -> None:
    """Close the source of this process."""
    while _held:
        _held.popitem()[1].close()


def _context() -> Any:
    """Context whose workers fork from a server with this module imported, shared by all pools.

    The server ends with this process.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _begin_worker() -> None:
    """Close the source at exit, and exit after the parent process has ended."""
    Finalize(None, close_source, exitpriority=10)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        signal.alarm(ENDING)
        with _recording:
            close_source()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def run_job(job: Job, threads: int | None = None) -> None:
    """Record a shard, unless it exists."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    if staged(Path(job.root), job.first, job.last).exists():
        return
    try:
        with _recording:
            source = _source(job.source, job.options)
            record_shard(Path(job.root), source, job.first, job.last, job.filters, job.colours)
    except (MgenvError, ModuleNotFoundError):
        raise
    except Exception as error:  # noqa: BLE001 - of whatever kind, it must reach other processes
        raise DataError(
            f"{job.source}: expected episodes {job.first} to {job.last - 1}; "
            f"got {type(error).__name__}: {error}"
        ) from error


class Backend(Protocol):
    """Runs jobs in any order."""

    def __init__(self, workers: int) -> None: ...
    def __enter__(self) -> Backend: ...
    def __exit__(self, *error: object) -> None: ...
    def submit(self, job: Job) -> Any:
        """Start a job; returns a handle for :meth:`wait`."""
        ...

    def wait(self, job: Job, pending: Any) -> None:
        """Return when the job is done."""
        ...


_Pending = tuple[ProcessPoolExecutor, "Future[None]"]


class LocalBackend:
    """This process for one worker, else a pool of processes."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._threads = max(1, (os.cpu_count() or 1) // workers)

    def __enter__(self) -> LocalBackend:
        return self

    def __exit__(self, *error: object) -> None:
        self._drop(self._pool)
        close_source()

    def submit(self, job: Job) -> _Pending | None:
        if self.workers == 1:
            return None
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.workers,
                mp_context=_context(),
                initializer=_begin_worker,
            )
        try:
            return self._pool, self._pool.submit(run_job, job, self._threads)
        except BrokenProcessPool:
            self._drop(self._pool)
            return self.submit(job)

    def wait(self, job: Job, pending: _Pending | None) -> None:
        if pending is None:
            run_job(job)
            return
        tries = TRIES
        while tries and pending is not None:
            pool, future = pending
            try:
                return future.result()
            except BrokenProcessPool:
                tries -= pool is self._pool  # in an older pool, others' deaths were others' tries
                self._drop(pool)
                pending = self.submit(job)
        raise MgenvError(
            f"Expected episodes {job.first} to {job.last - 1} of {job.source} to be recorded; "
            f"got {TRIES} workers that died."
        )

    def _drop(self, pool: ProcessPoolExecutor | None) -> None:
        """Wait for the end of a pool, and forget it."""
        if pool is not None and pool is self._pool:
            pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


class RayBackend:
    """Ray tasks; ``RAY_ADDRESS`` names a cluster, else there is one on this host.

    The dataset's folder must be one that all hosts share.
    """

    def __init__(self, workers: int) -> None:
        import ray

        self._ray, self._began = ray, not ray.is_initialized()
        if self._began:
            here = not os.environ.get("RAY_ADDRESS")
            local: dict[str, Any] = {"num_cpus": workers} if here else {}
            ray.init(**local, include_dashboard=False, log_to_driver=False)
        self._run: Any = ray.remote(max_retries=TRIES, num_cpus=1)(run_job)

    def __enter__(self) -> RayBackend:
        return self

    def __exit__(self, *error: object) -> None:
        if self._began:
            self._ray.shutdown()

    def submit(self, job: Job) -> Any:
        return self._run.remote(job, 1)

    def wait(self, job: Job, pending: Any) -> None:
        try:
            self._ray.get(pending)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self._ray.exceptions.RayError as error:
            raise MgenvError(
                f"Expected episodes {job.first} to {job.last - 1} of {job.source} to be recorded; "
                f"got workers that died: {error}"
            ) from error


BACKENDS: dict[str, type[LocalBackend] | type[RayBackend]] = {
    "local": LocalBackend,
    "ray": RayBackend,
}
