"""Work on a batch by as many threads as torch has."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import torch


def in_parts(work: Callable[[int, int], None], batch: int) -> None:
    """Call ``work(first, last)`` for parts that make up ``range(batch)``, all at once.

    The caller's thread does the first part; ``work`` must release the GIL to gain from the others.
    """
    workers = max(1, min(torch.get_num_threads(), batch))
    bounds = [batch * n // workers for n in range(workers + 1)]
    others = []
    if workers > 1:
        others = _helpers(os.getpid(), workers - 1).map(work, bounds[1:-1], bounds[2:])
    work(0, bounds[1])
    for _ in others:  # waits, and raises what they raised
        pass


@lru_cache(maxsize=4)
def _helpers(process: int, count: int) -> ThreadPoolExecutor:
    """Threads that wait for work; a forked process has none of its parent's, so it gets its own."""
    return ThreadPoolExecutor(count)
