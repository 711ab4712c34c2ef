"""A trained policy read back from its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.distributions import DiagGaussianDistribution, Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor, nn

from mgenv.agents.policy import PolicyCard, build_space, describe_space, load_policy, save_policy
from mgenv.agents.sb3 import build_policy
from mgenv.errors import CheckpointError, InvalidOptionError
from mgenv.wrappers.blank_pixels import blank


class LearnedPolicy:
    """Acts as PPO learned to, on black pictures if it was trained on those.

    The recurrent form remembers: tell it by :meth:`reset` where episodes begin.

    Args:
        network: an SB3 policy.
        card: what it was trained on.
        deterministic: take the likeliest action; by default actions are drawn, which keeps a
            memoryless policy from standing at a wall for ever.
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
        self._generator = torch.Generator().manual_seed(seed)
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
        """Prove that the environments look and move as the policy knows it.

        Raises:
            InvalidOptionError: their spaces are others.
        """
        _expect("observation", self.card.observation_space, envs.single_observation_space)
        _expect("action", self.card.action_space, envs.single_action_space)

    @property
    def recurrent(self) -> bool:
        """Whether it remembers what it saw."""
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
        """Actions (N, …) for observations with a leading axis of N slots."""
        seen = blank(observations) if self.card.blank_pixels else observations
        tensors, _ = self.network.obs_to_tensor(seen)
        distribution = self._decide(tensors)
        if self.deterministic:
            actions = distribution.mode()
        elif isinstance(distribution, DiagGaussianDistribution):
            actions = self._draw(distribution.distribution.mean, distribution.distribution.stddev)
        else:
            actions = self._draw_discrete(distribution)
        return self._clip(actions.cpu().numpy())

    def _decide(self, tensors: Any) -> Distribution:
        if not self.recurrent:
            return self.network.get_distribution(tensors)
        network: Any = self.network
        parts = tensors.values() if isinstance(tensors, dict) else [tensors]
        memory, begins = self._recall(len(next(iter(parts))))
        distribution, self._memory = network.get_distribution(tensors, memory, begins)
        return distribution

    def _recall(self, count: int) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Hidden and cell state (1, N, C) and where episodes begin, float (N,)."""
        network: Any = self.network
        memory, begins = self._memory, self._begins
        if memory is None or memory[0].shape[1] != count:
            layers, _, width = network.lstm_hidden_state_shape
            blank_state = torch.zeros(layers, count, width, device=network.device)
            memory = (blank_state, blank_state)
        if begins is None or len(begins) != count:
            begins = np.zeros(count, bool)
        self._begins = np.zeros(count, bool)
        return memory, torch.as_tensor(begins, dtype=torch.float32, device=network.device)

    def _draw(self, mean: Tensor, deviation: Tensor) -> Tensor:
        noise = torch.randn(mean.shape, generator=self._generator)
        return mean + deviation * noise.to(mean.device)

    def _draw_discrete(self, distribution: Any) -> Tensor:
        inner = distribution.distribution
        parts = inner if isinstance(inner, list) else [inner]
        draws = [
            torch.multinomial(part.probs.cpu(), 1, generator=self._generator) for part in parts
        ]
        actions = torch.cat(draws, -1)  # (N, parts)
        return actions if isinstance(inner, list) else actions[:, 0]

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


def _expect(what: str, description: dict[str, Any], space: gym.Space) -> None:
    came = describe_space(space)
    if came != description:
        raise InvalidOptionError(
            f"Expected the {what} space that the policy was trained on, {description}; got {came}."
        )
