"""GPU time of a clip by kernel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from torch.profiler import ProfilerActivity, profile

from mgenv.benchmark.timing import wait


def kernel_seconds(work: Callable[[], Any], device: str) -> dict[str, tuple[float, int]]:
    """Seconds in, and calls of, each kernel of the device by name; the longest first.

    Of a CPU: those of the framework's operators.
    """
    on_gpu = device != "cpu"
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as found:
        work()
        wait(device)
    spent: defaultdict[str, float] = defaultdict(float)
    calls: defaultdict[str, int] = defaultdict(int)
    for event in found.events() or ():
        spent[event.name] += 1e-6 * (
            event.self_device_time_total if on_gpu else event.self_cpu_time_total
        )
        calls[event.name] += 1
    names = sorted(spent, key=lambda name: -spent[name])
    return {name: (spent[name], calls[name]) for name in names}


def format_kernels(kernels: dict[str, tuple[float, int]], most: int = 40) -> str:
    """The longest of them in one line."""
    total = sum(spent for spent, _ in kernels.values())
    parts = [
        f"{1e3 * spent:.1f} ms `{name[:100]}` ({calls})"
        for name, (spent, calls) in list(kernels.items())[:most]
    ]
    return f"{1e3 * total:.0f} ms in all: " + ", ".join(parts)
