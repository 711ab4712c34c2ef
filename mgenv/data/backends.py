"""Who records shards: this process, a pool of processes, or a Ray cluster.

A worker that dies loses nothing: its shard is recorded again, from the same numbers.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from mgenv.data.filters import FilterConfig
from mgenv.data.shards import record_shard, staged
from mgenv.data.sources import Source, SourceOptions, make_source
from mgenv.errors import MgenvError

TRIES = 3
"""How often a shard is begun before its worker's death is an error."""


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


@lru_cache(maxsize=1)
def _source(name: str, options: SourceOptions) -> Source:
    """A worker keeps its source from shard to shard."""
    return make_source(name, options)


def run_job(job: Job, threads: int | None = None) -> None:
    """Record a shard, unless it is there."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    if not staged(Path(job.root), job.first, job.last).exists():
        source = _source(job.source, job.options)
        record_shard(Path(job.root), source, job.first, job.last, job.filters, job.colours)


class Backend(Protocol):
    """Takes jobs and does them in any order."""

    def __init__(self, workers: int) -> None: ...
    def __enter__(self) -> Backend: ...
    def __exit__(self, *error: object) -> None: ...
    def submit(self, job: Job) -> Any:
        """Begin a job; returns what :meth:`wait` needs."""
        ...

    def wait(self, job: Job, pending: Any) -> None:
        """Return when the job is done."""
        ...


class LocalBackend:
    """This process for one worker, else a pool of processes."""

    def __init__(self, workers: int) -> None:
        self.workers, self._pool = workers, None
        self._threads = max(1, (os.cpu_count() or 1) // workers)

    def __enter__(self) -> LocalBackend:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        _source.cache_clear()

    def submit(self, job: Job) -> Future[None] | None:
        if self.workers == 1:
            return None
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.workers, mp_context=context)
        try:
            return self._pool.submit(run_job, job, self._threads)
        except BrokenProcessPool:
            self._pool = None
            return self.submit(job)

    def wait(self, job: Job, pending: Future[None] | None) -> None:
        if pending is None:
            run_job(job)
            return
        for _ in range(TRIES):
            try:
                assert pending is not None
                return pending.result()
            except BrokenProcessPool:
                self._pool = None
                pending = self.submit(job)
        raise MgenvError(
            f"Expected episodes {job.first} to {job.last - 1} of {job.source} to be recorded; "
            f"got {TRIES} workers that died."
        )


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
        except self._ray.exceptions.WorkerCrashedError as error:
            raise MgenvError(
                f"Expected episodes {job.first} to {job.last - 1} of {job.source} to be recorded; "
                f"got workers that died: {error}"
            ) from error


BACKENDS: dict[str, type[LocalBackend] | type[RayBackend]] = {
    "local": LocalBackend,
    "ray": RayBackend,
}
