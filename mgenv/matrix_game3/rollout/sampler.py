"""Flow UniPC: a second-order predictor with a corrector, from noise to latent in a few steps.

The state at noise level σ is (1 - σ) x₀ + σ ε and the network predicts the velocity ε - x₀. With
λ = log((1 - σ) / σ) both halves are exponential integrators in λ, so that a step is a sum of the
last state and the last three estimates of x₀ with weights that depend on the levels alone. They
are worked out once, in double precision; a step is then a handful of multiply-adds on any device.

Source: W. Zhao et al., "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of
Diffusion Models" (arXiv 2302.04867), B₂(h) variant, as Matrix-Game 3.0 runs it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mgenv.errors import InvalidOptionError

TRAIN_STEPS = 1000
"""Timesteps the network was trained with."""

HIGHEST = 0.9990000128746033
"""The level before the shift that sampling starts at: 0.999 in single precision."""


def shifted_sigmas(steps: int, shift: float) -> list[float]:
    """Noise levels from (nearly) 1 to 0, ``steps + 1`` of them, pushed towards noise by ``shift``.

    Example:
        >>> [round(sigma, 4) for sigma in shifted_sigmas(3, 5.0)]
        [0.9998, 0.9088, 0.714, 0.0]
    """
    even = [HIGHEST * (1.0 - i / steps) for i in range(steps)]
    return [shift * sigma / (1.0 + (shift - 1.0) * sigma) for sigma in even] + [0.0]


def log_ratio(sigma: float) -> float:
    """λ = log of signal over noise; infinite without noise."""
    return math.log1p(-sigma) - math.log(sigma) if sigma > 0 else math.inf


@dataclass(frozen=True)
class Weights:
    """What the last state and estimates of x₀ weigh in the next state.

    Attributes:
        state: of the last state.
        newer: of the estimate at the level arrived at; zero in the predictor.
        latest: of the estimate at the level left.
        older: of the estimate one level before.
    """

    state: float
    newer: float
    latest: float
    older: float


def step_weights(sigmas: list[float], index: int, order: int, correct: bool) -> Weights:
    """Weights of the step from level ``index`` to the next one.

    Args:
        sigmas: all levels.
        index: of the level left.
        order: 1, or 2 to use the estimate one level before too.
        correct: whether the estimate at the level arrived at is known (the corrector).
    """
    left, arrived = sigmas[index], sigmas[index + 1]
    width = log_ratio(arrived) - log_ratio(left)
    decay = math.expm1(-width)  # B₂(h), -1 where no noise is left
    scale = -(1.0 - arrived) * decay
    ratio = (log_ratio(sigmas[index - 1]) - log_ratio(left)) / width if order == 2 else math.nan
    older, newer = _slopes(width, decay, ratio, order, correct)
    pull = older / ratio if order == 2 else 0.0
    return Weights(
        state=arrived / left,
        newer=scale * newer,
        latest=scale * (1.0 - newer - pull),
        older=scale * pull,
    )


def _slopes(
    width: float, decay: float, ratio: float, order: int, correct: bool
) -> tuple[float, float]:
    """How much the differences to the older and to the newer estimate count."""
    if not correct:
        return (0.5, 0.0) if order == 2 else (0.0, 0.0)
    if order == 1:
        return 0.0, 0.5
    first = decay / -width - 1.0
    second = first / -width - 0.5
    one, two = first / decay, 2.0 * second / decay  # older + newer = one, r·older + newer = two
    older = (two - one) / (ratio - 1.0)
    return older, one - older


@dataclass
class FlowUniPC:
    """The sampler of one clip; any number of clips of one shape can run in lockstep.

    Attributes:
        steps: evaluations of the network.
        shift: how far the levels are pushed towards noise (5 for Matrix-Game 3.0).
        sigmas: (steps + 1,) float32 noise levels, the last 0.
        timesteps: (steps,) float32 whole timesteps in [0, 1000) that the network is told.

    Raises:
        InvalidOptionError: fewer than one step, or a shift that is not positive.
    """

    steps: int
    shift: float = 5.0
    sigmas: Tensor = field(init=False, repr=False)
    timesteps: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.steps < 1 or not 0 < self.shift < math.inf:
            raise InvalidOptionError(
                f"Expected at least one step and a positive shift; got {self.steps}, {self.shift}."
            )
        levels = shifted_sigmas(self.steps, self.shift)
        self.sigmas = torch.tensor(levels, dtype=torch.float32)
        self.timesteps = torch.tensor([float(int(TRAIN_STEPS * s)) for s in levels[:-1]])
        last = self.steps - 1
        orders = [min(2, i + 1, self.steps - i) for i in range(self.steps)]
        self._levels = levels
        self._predict = [step_weights(levels, i, orders[i], False) for i in range(self.steps)]
        self._correct = [step_weights(levels, i, orders[i], True) for i in range(last)]
        self._next = 0
        self._state = torch.empty(0)  # corrected state of the last step
        self._estimates = (self._state, self._state)  # of x₀, latest and older

    def step(self, model_output: Tensor, index: int, sample: Tensor) -> Tensor:
        """One step down in noise.

        Args:
            model_output: velocity (B, ...) that the network predicts at ``sample``.
            index: of the step; 0 starts anew, the others follow in turn.
            sample: (B, ...) state at ``sigmas[index]``: what the last step returned (clean frames
                may be put back into it).

        Returns:
            The state (B, ...) at ``sigmas[index + 1]``, of the sample's dtype.
        """
        assert index == 0 or index == self._next < self.steps, "steps are taken in turn"
        state = sample.float()
        estimate = older = state - self._levels[index] * model_output.float()
        if index > 0:
            latest, oldest = self._estimates
            weights = self._correct[index - 1]
            state, older = _blend(weights, self._state, estimate, latest, oldest), latest
        self._state, self._estimates, self._next = state, (estimate, older), index + 1
        return _blend(self._predict[index], state, estimate, estimate, older).to(sample.dtype)


def _blend(weights: Weights, state: Tensor, newer: Tensor, latest: Tensor, older: Tensor) -> Tensor:
    blended = weights.state * state + weights.latest * latest
    if weights.newer:
        blended = blended + weights.newer * newer
    return blended + weights.older * older if weights.older else blended
