"""A trained policy read back from its file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray
from stable_baselines3.common.distributions import DiagGaussianDistribution, Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor, nn

from mgenv.agents.noise import SlotGenerators
from mgenv.agents.policy import PolicyCard, build_space, describe_space, load_policy, save_policy
from mgenv.agents.sb3 import build_policy
from mgenv.errors import CheckpointError, InvalidOptionError
from mgenv.wrappers.blank_pixels import blank

ROWS = 32
"""Observations in one run of the network."""


class LearnedPolicy:
    """Policy trained by PPO; uses black images if it was trained on those.

    The recurrent form has state: call :meth:`reset` for slots in which episodes begin.

    Args:
        network: an SB3 policy.
        card: what it was trained on.
        deterministic: take the most likely action; by default actions are sampled, so that a
            policy without memory does not remain at a wall.
        seed: of the draws.
    """

    def __init__(
        self,
        network: ActorCriticPolicy,
        card: PolicyCard,
        name: str = "PPO",
        deterministic: bool = False,
        seed: int = 0,
    ) -> None:
        self.network = network.eval()
        self.card = card
        self.name = name
        self.deterministic = deterministic
        self._noise = SlotGenerators(seed)
        self._memory: tuple[Tensor, Tensor] | None = None
        self._begins: NDArray[np.bool_] | None = None

    @classmethod
    def load(cls, path: str | Path, deterministic: bool = False, seed: int = 0) -> LearnedPolicy:
        """Read a policy file.

        Raises:
            CheckpointError: it is missing, damaged, not a policy, or its weights do not fit.
        """
        card, weights = load_policy(Path(path))
        try:
            spaces_pair = build_space(card.observation_space), build_space(card.action_space)
            network = build_policy(*spaces_pair, card.network)
            copy_weights(weights, network)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"Expected a network that fits {path}; got: {error}.") from error
        return cls(network, card, Path(path).stem, deterministic, seed)

    def save(self, path: str | Path) -> None:
        """Write a policy file, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        save_policy(Path(path), self.card, read_weights(self.network))

    def check(self, envs: gym.vector.VectorEnv) -> None:
        """Check that observation and action spaces match those of training.

        Raises:
            InvalidOptionError: the spaces differ.
        """
        _expect("observation", self.card.observation_space, envs.single_observation_space)
        _expect("action", self.card.action_space, envs.single_action_space)

    def seed(self, slots: ArrayLike, seeds: ArrayLike) -> None:
        """Episodes with ``seeds`` int (N,) start in ``slots`` bool (N,); they decide the draws."""
        self._noise.seed(slots, seeds)

    @property
    def recurrent(self) -> bool:
        """Whether the network is recurrent."""
        return self.card.network.get("form") == "recurrent"

    def reset(self, slots: NDArray[np.bool_]) -> None:
        """Forget what was seen in those slots (N,), where episodes begin.

        Where N is another than before, everything is forgotten.
        """
        mask = np.array(slots, bool)
        kept = self._begins is not None and self._begins.shape == mask.shape
        self._begins = self._begins | mask if kept else mask  # type: ignore[operator]

    @torch.inference_mode()
    def act(self, observations: Any) -> NDArray[Any]:
        """Actions (N, …) for observations with a leading axis of N slots.

        A slot's action is the same to the bit whatever the others see and how many they are: the
        network is run on ``ROWS`` rows at a time, since products are rounded by their size.
        """
        seen = blank(observations) if self.card.blank_pixels else observations
        count = _count(seen)
        if self.recurrent:
            self._recall(count)
        parts = [
            self._act(seen, range(first, min(first + ROWS, count)))
            for first in range(0, count, ROWS)
        ]
        return self._clip(np.concatenate(parts))

    def _act(self, observations: Any, slots: range) -> NDArray[Any]:
        """Actions (n, …) of ``slots`` (n,), at most ROWS of them."""
        rows = np.arange(slots.start, slots.start + ROWS).clip(max=slots.stop - 1)  # last repeated
        tensors, _ = self.network.obs_to_tensor(_rows(observations, rows))
        distribution = self._decide(tensors, rows, len(slots))
        if self.deterministic:
            return distribution.mode().cpu().numpy()[: len(slots)]
        if isinstance(distribution, DiagGaussianDistribution):
            normal = distribution.distribution
            return self._draw(normal.mean.cpu().numpy(), normal.stddev.cpu().numpy(), slots)
        return self._draw_discrete(distribution, slots)

    def _decide(self, tensors: Any, rows: NDArray[np.int64], count: int) -> Distribution:
        """What to do in slots ``rows`` (ROWS,); the first ``count`` remember it."""
        if not self.recurrent:
            return self.network.get_distribution(tensors)
        assert self._memory is not None
        network: Any = self.network
        before = tuple(part[:, rows] for part in self._memory)
        begins = torch.zeros(len(rows), device=network.device)
        distribution, after = network.get_distribution(tensors, before, begins)
        for part, new in zip(self._memory, after, strict=True):
            part[:, rows[:count]] = new[:, :count]
        return distribution

    def _recall(self, count: int) -> None:
        """Hidden and cell state (1, N, C), blank where episodes begin."""
        network: Any = self.network
        if self._memory is None or self._memory[0].shape[1] != count:
            layers, _, width = network.lstm_hidden_state_shape
            nothing = torch.zeros(layers, count, width, device=network.device)
            self._memory = (nothing, nothing.clone())
        if self._begins is not None and len(self._begins) == count:
            for part in self._memory:
                part[:, torch.from_numpy(self._begins)] = 0.0
        self._begins = np.zeros(count, bool)

    def _draw(
        self, mean: NDArray[Any], deviation: NDArray[Any], slots: Sequence[int]
    ) -> NDArray[Any]:
        noise = [self._noise[slot].standard_normal(mean.shape[1], np.float32) for slot in slots]
        return mean[: len(slots)] + deviation[: len(slots)] * np.stack(noise)  # (n, A)

    def _draw_discrete(self, distribution: Any, slots: Sequence[int]) -> NDArray[np.int64]:
        inner = distribution.distribution
        parts = inner if isinstance(inner, list) else [inner]
        draws = np.stack([self._noise[slot].random(len(parts)) for slot in slots])  # (n, parts)
        bounds = [part.probs.cpu().numpy()[: len(slots)].cumsum(-1)[:, :-1] for part in parts]
        actions = [(one <= draws[:, [k]]).sum(-1) for k, one in enumerate(bounds)]  # (n,) each
        return np.stack(actions, -1) if isinstance(inner, list) else actions[0]

    def _clip(self, actions: NDArray[Any]) -> NDArray[Any]:
        space = self.network.action_space
        if not isinstance(space, spaces.Box):
            return actions
        return np.clip(actions, space.low, space.high)


def read_weights(network: nn.Module) -> dict[str, Tensor]:
    """Weights by name; those that SB3 knows under several names once."""
    return dict(network.named_parameters())


@torch.no_grad()
def copy_weights(weights: dict[str, Tensor], network: nn.Module) -> None:
    """Put weights into a network of the same make.

    Raises:
        ValueError: names or shapes differ; the network is as it was.
    """
    own = read_weights(network)
    shapes = {name: tuple(tensor.shape) for name, tensor in own.items()}
    came = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if shapes != came:
        differing = sorted(set(shapes.items()) ^ set(came.items()))
        raise ValueError(f"weights differ in name or shape: {differing}")
    for name, tensor in own.items():
        tensor.copy_(weights[name])


def _count(observations: Any) -> int:
    """How many slots observe."""
    one = next(iter(observations.values())) if isinstance(observations, dict) else observations
    return len(one)


def _rows(observations: Any, rows: NDArray[np.int64]) -> Any:
    """Observations of slots ``rows``."""
    if isinstance(observations, dict):
        return {name: _rows(value, rows) for name, value in observations.items()}
    return np.asarray(observations)[rows]


def _expect(what: str, description: dict[str, Any], space: gym.Space) -> None:
    came = describe_space(space)
    if came != description:
        raise InvalidOptionError(
            f"Expected the {what} space that the policy was trained on, {description}; got {came}."
        )
