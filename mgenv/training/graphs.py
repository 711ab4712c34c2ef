"""Training steps recorded as CUDA graphs.

A step of these small networks is about a thousand short kernels. Launching them one by one takes
three times as long as running them; a recorded graph is launched once. A recorded step must do the
same work on the same tensors each time: it changes state in place, never synchronises with the
host, and reads what varies (such as learning rates) from tensors.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Step = Callable[[], dict[str, Tensor]]

EAGER_CALLS = 3
"""Calls before recording, in which libraries choose kernels and optimizers make their states."""


class CudaGraphStep:
    """A step that is replayed from its fourth call on; on other devices than CUDA, the plain step.

    Args:
        step: the step; each call overwrites the results of the one before.
        generator: of the step's random draws.
        enabled: False always calls ``step``.
    """

    def __init__(self, step: Step, generator: torch.Generator, enabled: bool = True) -> None:
        self._step, self._generator = step, generator
        self._enabled = enabled and generator.device.type == "cuda"
        self._calls, self._graph = 0, None
        self._parts: dict[str, Tensor] = {}

    def __call__(self) -> dict[str, Tensor]:
        if not self._enabled:
            return self._step()
        with torch.cuda.device(self._generator.device):
            return self._on_cuda()

    def _on_cuda(self) -> dict[str, Tensor]:
        self._calls += 1
        if self._calls <= EAGER_CALLS:
            return self._apart()
        if self._graph is None:
            self._graph = self._record()
        self._graph.replay()
        return self._parts

    def _apart(self) -> dict[str, Tensor]:
        """Call the step on a side stream, as recording does."""
        stream, current = torch.cuda.Stream(), torch.cuda.current_stream()
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            parts = self._step()
        current.wait_stream(stream)
        return parts

    def _record(self) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._generator)
        with torch.cuda.graph(graph):
            self._parts = self._step()
        return graph
