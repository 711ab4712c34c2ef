"""Black pictures: what a policy reaches that does not look.

The same training on black pictures is the row beside each policy that claims to see.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from mgenv.envs.sb3_hint import WithSB3Hint

PICTURES = ("pixels", "depth", "goal_pixels")


class BlankPixels(gym.ObservationWrapper, RecordConstructorArgs):
    """A single environment whose ``pixels``, ``depth`` and ``goal_pixels`` are zero.

    Args:
        env: any environment; parts of other names are left as they are.
    """

    def __init__(self, env: gym.Env) -> None:
        RecordConstructorArgs.__init__(self)
        super().__init__(env)

    def observation(self, observation: Any) -> Any:
        """The observation with black pictures."""
        return blank(observation)


class VectorBlankPixels(gym.vector.VectorWrapper, metaclass=WithSB3Hint):
    """A vector environment whose pictures are black, see :class:`BlankPixels`.

    Works in all three autoreset modes; ``final_obs`` is black too.
    """

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """As the environment's, with black pictures."""
        observation, infos = self.env.reset(seed=seed, options=options)
        return blank(observation), infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """As the environment's, with black pictures."""
        observation, rewards, terminations, truncations, infos = self.env.step(actions)
        for slot in np.flatnonzero(infos.get("_final_obs", False)):
            infos["final_obs"][slot] = blank(infos["final_obs"][slot])
        return blank(observation), rewards, terminations, truncations, infos


def blank(observation: Any) -> Any:
    """An observation, of one slot or of many, with zeros for pictures and depth.

    Args:
        observation: arrays by name, or pixels alone.

    Example:
        >>> blank({"pixels": np.full((1, 1, 3), 9), "goal": np.ones(2)})["pixels"].tolist()
        [[[0, 0, 0]]]
    """
    if not isinstance(observation, dict):
        return np.zeros_like(observation)
    return {
        name: np.zeros_like(value) if name in PICTURES else value
        for name, value in observation.items()
    }
