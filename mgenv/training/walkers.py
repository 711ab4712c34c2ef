"""Depth-guided walkers, with the same rule in the engine and in a generated world.

A recorded path may lead through walls that a generated world imagined elsewhere; a walker goes only
where the depth that it sees is free. Long rollouts train with walkers of random habits; `bench
drift` measures with fixed ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

GLANCE = 0.04
"""Probability per step of a turn without an obstacle."""


@dataclass(frozen=True)
class Habits:
    """Ranges from which each walker draws its habits.

    Attributes:
        forward: length of a step [m].
        turn: angle of a step [rad].
        clear: free distance ahead that a step forward needs [m].
    """

    forward: tuple[float, float] = (0.1, 0.25)
    turn: tuple[float, float] = (math.radians(5.0), math.radians(15.0))
    clear: tuple[float, float] = (0.5, 1.0)


class Walkers:
    """N walkers that go ahead where it is clear, else turn, and sometimes look about.

    State changes in place.

    Args:
        count: number of walkers.
        generator: of all random draws; its device is the walkers'.
        habits: ranges of the walkers' habits.
    """

    def __init__(
        self, count: int, generator: torch.Generator, habits: Habits | None = None
    ) -> None:
        self.generator, self.device = generator, generator.device
        self.habits = habits or Habits()
        self.turning = torch.zeros(count, dtype=torch.int64, device=self.device)
        self.side = torch.ones(count, device=self.device)
        self.forward, self.turn, self.clear = (
            torch.zeros(count, device=self.device) for _ in range(3)
        )
        rows = torch.arange(count, device=self.device)
        self.restart(rows, torch.ones_like(rows, dtype=torch.bool))

    def restart(self, rows: Tensor, chosen: Tensor) -> None:
        """Draw new habits for those of ``rows`` (n,) that are ``chosen``, bool (n,)."""
        for name in ("forward", "turn", "clear"):
            (low, high), own = getattr(self.habits, name), getattr(self, name)
            own[rows] = torch.where(chosen, low + (high - low) * self._rand(len(rows)), own[rows])
        self.turning[rows] = torch.where(chosen, 0, self.turning[rows])

    def act(self, depth: Tensor) -> Tensor:
        """Motions (N, 5) for the depth (N, H, W) [m] that walkers see."""
        count, height, width = depth.shape
        band, third = depth[:, int(0.4 * height) : int(0.75 * height)], width // 3
        left, right = (_quantile(part, 0.5) for part in (band[..., :third], band[..., -third:]))
        ahead = _quantile(band[..., third:-third], 0.1)
        starts = (ahead < self.clear) | (self._rand(count) < GLANCE)
        starts &= self.turning == 0
        likely = (left > right) == (self._rand(count) < 0.8)
        self.side.copy_(torch.where(starts, torch.where(likely, 1.0, -1.0), self.side))
        steps = 3 + (self._rand(count) * 9).long()
        self.turning.copy_(torch.where(starts, steps, self.turning))
        turns = self.turning > 0
        self.turning.sub_(1).clamp_min_(0)
        sway = torch.randn(count, generator=self.generator, device=self.device) * 0.05
        motion = depth.new_zeros(count, 5)
        motion[:, 0] = torch.where(turns, 0.0, self.forward)
        motion[:, 3] = torch.where(turns, self.side * self.turn, sway)
        return motion

    def _rand(self, count: int) -> Tensor:
        return torch.rand(count, generator=self.generator, device=self.device)


def _quantile(values: Tensor, share: float) -> Tensor:
    """Quantile of each (N, H, W): (N,)."""
    flat = values.flatten(1)
    return flat.kthvalue(max(1, round(share * flat.shape[1])), dim=1).values
