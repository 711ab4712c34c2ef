"""What kernels for Hopper GPUs (H100, H200) ask of a device."""

from __future__ import annotations

import functools

import torch


def on_hopper(device: torch.device) -> bool:
    """Whether ``device`` is a Hopper GPU."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device)[0] == 9


@functools.cache
def multiprocessors(device: torch.device) -> int:
    """How many programs a GPU runs at once."""
    return torch.cuda.get_device_properties(device).multi_processor_count
