"""Wall-clock time of work on a device."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch


def seconds(work: Callable[[], Any], device: str, times: int = 3) -> float:
    """Fastest of ``times`` runs [s], after a warm-up run."""
    spent = []
    for _ in range(times + 1):
        wait(device)
        began = time.perf_counter()
        work()
        wait(device)
        spent.append(time.perf_counter() - began)
    return min(spent[1:])


def wait(device: str) -> None:
    """Wait until the device has finished its work."""
    if device != "cpu":
        torch.cuda.synchronize(device)
