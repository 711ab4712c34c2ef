"""Work on some slots of a world in parts of a fixed size: by threads of a CPU, in turn on a GPU.

The shape of a product may decide how it is rounded (on CPUs with AMX, and on GPUs). So a slot is
always worked on among as many others, whichever slots move, however many threads there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mgenv.memory.threads import in_fixed_parts

LARGEST = 8
"""Slots of a part on a CPU, at most; half of them where there are fewer than twice as many."""

WHOLE = 2
"""Slots of a part on a CPU where all parts are whole."""

FEW = 64
"""Slots of a part on a GPU where few begin, since resets would else cost as much as steps."""

Slots = slice | Tensor
"""Some slots: a range of them, or their numbers."""


@dataclass
class Share:
    """The slots that are worked on, W of them, in parts.

    Attributes:
        slots: their numbers; some only make a part whole.
        own: where in ``slots`` those are that were asked for.
        parts: ranges of ``slots``.
        device: where the work is done.
    """

    slots: list[int]
    own: list[int]
    parts: list[slice]
    device: torch.device

    @property
    def all(self) -> Slots:
        """The slots, to index a world's tensors with."""
        return self.of(slice(0, len(self.slots)))

    def of(self, part: slice) -> Slots:
        """The slots of a part: a range where they are one."""
        numbers = self.slots[part]
        if numbers == list(range(numbers[0], numbers[0] + len(numbers))):
            return slice(numbers[0], numbers[0] + len(numbers))
        return torch.tensor(numbers, device=self.device)

    def own_within(self, part: slice) -> list[int]:
        """Where in a part those are that were asked for."""
        wanted = set(self.own)
        return [n for n in range(part.stop - part.start) if part.start + n in wanted]

    def run(self, work: Callable[[slice], tuple[Any, ...]]) -> tuple[Any, ...]:
        """What ``work`` makes of the parts, each result (W, …): a tuple of tensors."""
        if self.device.type == "cpu":
            made = in_fixed_parts(work, self.parts)
        else:
            made = [work(part) for part in self.parts]
        return made[0] if len(made) == 1 else tuple(map(torch.cat, zip(*made, strict=True)))


class SlotParts:
    """How the slots of a world are shared out.

    Args:
        num_envs: all slots, N.
        device: where the work is done.
        whole: on a CPU, fill up the last part, so that a slot's pixels do not depend on N.
    """

    def __init__(self, num_envs: int, device: torch.device, whole: bool = False) -> None:
        self.num_envs, self.device, self.whole = num_envs, device, whole
        self.size = WHOLE if whole else min(LARGEST, max(2, num_envs // 2))

    def share(self, rows: list[int], few: bool = False) -> Share:
        """The parts in which any of ``rows`` are.

        Args:
            few: on a GPU, work for these only, among as many others as make parts whole.
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
        first: dict[int, int] = {}  # a slot that only makes a part whole may be there twice
        for n, slot in enumerate(slots):
            first.setdefault(slot, n)
        return Share(slots, [first[row] for row in rows], parts, self.device)
