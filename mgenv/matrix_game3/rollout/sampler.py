"""Flow UniPC: a second-order predictor with a corrector, from noise to latent in a few steps.

The state at noise level σ is (1 - σ) x₀ + σ ε and the network predicts the velocity ε - x₀. With
λ = log((1 - σ) / σ), both halves are exponential integrators in λ: a step is a weighted sum of the
last state and the last three estimates of x₀. The weights depend on the noise levels alone and are
computed once, in double precision.

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
"""First noise level, before the shift: 0.999 in single precision."""


def shifted_sigmas(steps: int, shift: float) -> list[float]:
    """The ``steps + 1`` noise levels from nearly 1 to 0, shifted towards noise.

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
    """Weights of the last state and of estimates of x₀ in the next state.

    Attributes:
        state: weight of the last state.
        newer: weight of the estimate at the next level; zero in the predictor.
        latest: weight of the estimate at the current level.
        older: weight of the estimate at the level before.
    """

    state: float
    newer: float
    latest: float
    older: float


def step_weights(sigmas: list[float], index: int, order: int, correct: bool) -> Weights:
    """Weights of the step from level ``index`` to the next one.

    Args:
        sigmas: all levels.
        index: index of the current level.
        order: 1, or 2 to use the estimate at the level before too.
        correct: whether the estimate at the next level is known (the corrector).
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
    """Coefficients of the differences to the older and to the newer estimate."""
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
    """Sampler of a batch of clips.

    Attributes:
        steps: network evaluations.
        shift: shift of the levels towards noise (5 for Matrix-Game 3.0).
        sigmas: (steps + 1,) float32 noise levels, the last 0.
        timesteps: (steps,) float32 integer timesteps in [0, 1000) for the network.

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
        """One denoising step.

        Args:
            model_output: predicted velocity (B, ...) at ``sample``.
            index: index of the step; 0 restarts the sampler, others must follow in order.
            sample: (B, ...) state at ``sigmas[index]``: the result of the last step, in which
                clean frames may have been restored.

        Returns:
            The state (B, ...) at ``sigmas[index + 1]``, of the sample's dtype.
        """
        assert index == 0 or index == self._next < self.steps, "steps must be in order"
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
