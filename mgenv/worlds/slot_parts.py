"""Work on all slots of a world in parts: threads of a CPU, or few slots at once on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mgenv.memory.threads import in_equal_parts

FEW = 64
"""First frames are made of so many slots at once on a GPU, where resets would else cost as much as
steps; always of as many, since kernels round by shape."""

Part = slice | Tensor
"""Some slots: a range of them, or their numbers."""


class SlotParts:
    """How the slots of a world are shared out.

    Args:
        num_envs: all slots, N.
        device: where the work is done.
    """

    def __init__(self, num_envs: int, device: torch.device) -> None:
        self.num_envs, self.device, self.threads = num_envs, device, device.type == "cpu"

    def run(
        self, work: Callable[[Any], tuple[Tensor, ...]], few: list[int] | None = None
    ) -> tuple[Tensor, ...]:
        """What ``work`` makes of the slots, by a part of them in each thread of a CPU.

        Args:
            few: on a GPU, work for these only; what comes back for others is zero.
        """
        if not self.threads and few is not None and self.num_envs > FEW:
            return self._of_few(work, few)
        if not self.threads:
            return work(slice(0, self.num_envs))
        parts = in_equal_parts(work, self.num_envs)
        return parts[0] if len(parts) == 1 else tuple(map(torch.cat, zip(*parts, strict=True)))

    def _of_few(
        self, work: Callable[[Tensor], tuple[Tensor, ...]], rows: list[int]
    ) -> tuple[Tensor, ...]:
        """What ``work`` makes of ``rows``, among as many others as make the parts whole."""
        whole: tuple[Tensor, ...] = ()
        for first in range(0, len(rows), FEW):
            own = rows[first : first + FEW]
            others = sorted(set(range(self.num_envs)).difference(own))[: FEW - len(own)]
            made = work(torch.tensor(own + others, device=self.device))
            whole = whole or tuple(t.new_zeros(self.num_envs, *t.shape[1:]) for t in made)
            for target, value in zip(whole, made, strict=True):
                target[own] = value[: len(own)]
        return whole

    def slots(self, part: Part) -> list[int]:
        """Numbers of a part's slots."""
        return part.tolist() if isinstance(part, Tensor) else list(range(self.num_envs)[part])

    def within(self, part: Part, rows: list[int]) -> list[int]:
        """Where in ``part`` there are any of ``rows``."""
        known = frozenset(rows)
        return [at for at, slot in enumerate(self.slots(part)) if slot in known]
