"""Split a world's slots into parts of a fixed size: parallel on a CPU, sequential on a GPU.

The shape of a matrix product can change its rounding (on CPUs with AMX, and on GPUs). Parts of a
fixed size make a slot's result independent of which slots move and of the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mgenv.memory.threads import in_fixed_parts

LARGEST = 8
"""Most slots of a part on a CPU; with fewer than 16 slots, a part is half of them."""

WHOLE = 2
"""Slots of a part on a CPU if every part is filled up."""

FEW = 64
"""Slots of a part on a GPU when few slots begin, so that a reset costs less than a step."""

Slots = slice | Tensor
"""A range of slots, or slot numbers."""


@dataclass
class Share:
    """The W slots that are computed, in parts.

    Attributes:
        slots: slot numbers, including those that only fill up a part.
        own: positions of the requested slots in ``slots``.
        parts: ranges of ``slots``.
        device: device of the computation.
    """

    slots: list[int]
    own: list[int]
    parts: list[slice]
    device: torch.device

    @property
    def all(self) -> Slots:
        """Index of all slots in a world's tensors."""
        return self.of(slice(0, len(self.slots)))

    def of(self, part: slice) -> Slots:
        """Index of a part's slots: a slice if they are consecutive."""
        numbers = self.slots[part]
        if numbers == list(range(numbers[0], numbers[0] + len(numbers))):
            return slice(numbers[0], numbers[0] + len(numbers))
        return torch.tensor(numbers, device=self.device)

    def own_within(self, part: slice) -> list[int]:
        """Positions of the requested slots in a part."""
        wanted = set(self.own)
        return [n for n in range(part.stop - part.start) if part.start + n in wanted]

    def run(self, work: Callable[[slice], tuple[Any, ...]]) -> tuple[Any, ...]:
        """Results of ``work`` for all parts, concatenated to (W, …): a tuple of tensors."""
        if self.device.type == "cpu":
            made = in_fixed_parts(work, self.parts)
        else:
            made = [work(part) for part in self.parts]
        return made[0] if len(made) == 1 else tuple(map(torch.cat, zip(*made, strict=True)))


class SlotParts:
    """Splits the slots of a world into parts.

    Args:
        num_envs: number of slots, N.
        device: device of the computation.
        whole: on a CPU, fill up the last part, so that a slot's pixels do not depend on N.
    """

    def __init__(self, num_envs: int, device: torch.device, whole: bool = False) -> None:
        self.num_envs, self.device, self.whole = num_envs, device, whole
        self.size = WHOLE if whole else min(LARGEST, max(2, num_envs // 2))

    def share(self, rows: list[int], few: bool = False) -> Share:
        """The parts that contain ``rows``.

        Args:
            few: on a GPU, compute only these slots and those that fill up a part.
        """
        if self.device.type != "cpu":
            return self._few(rows) if few and self.num_envs > FEW else self._every(rows)
        slots: list[int] = []
        for first in sorted({row // self.size * self.size for row in rows}):
            part = list(range(first, min(first + self.size, self.num_envs)))
            slots += part + part[-1:] * (self.size - len(part)) * self.whole
        return self._share(slots, rows, self.size)

    def _every(self, rows: list[int]) -> Share:
        return self._share(list(range(self.num_envs)), rows, self.num_envs)

    def _few(self, rows: list[int]) -> Share:
        slots: list[int] = []
        for first in range(0, len(rows), FEW):
            own = rows[first : first + FEW]
            others = sorted(set(range(self.num_envs)).difference(own))
            slots += own + others[: FEW - len(own)]
        return self._share(slots, rows, FEW)

    def _share(self, slots: list[int], rows: list[int], size: int) -> Share:
        parts = [slice(n, min(n + size, len(slots))) for n in range(0, len(slots), size)]
        first: dict[int, int] = {}  # a slot that fills up a part may occur twice
        for n, slot in enumerate(slots):
            first.setdefault(slot, n)
        return Share(slots, [first[row] for row in rows], parts, self.device)
