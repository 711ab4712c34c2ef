"""The last few frames as one image with more channels, for policies without memory.

Gymnasium stacks frames of single environments (``FrameStackObservation``), not of vectors.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from mgenv.errors import InvalidOptionError


class VectorFrameStack(gym.vector.VectorWrapper):
    """``pixels`` become uint8 (N, H, W, 3·k), oldest first; an episode's first frame fills all.

    Works in all three autoreset modes; ``final_obs`` is stacked too.

    Args:
        env: a vector environment with ``pixels`` in its observation.
        num_frames: k, at least 1.

    Raises:
        InvalidOptionError: no pixels in the observation, or ``num_frames`` below 1.
    """

    def __init__(self, env: gym.vector.VectorEnv, num_frames: int = 4) -> None:
        super().__init__(env)
        space = env.single_observation_space
        if not isinstance(space, spaces.Dict) or "pixels" not in space.spaces:
            raise InvalidOptionError(f"env: expected observations with pixels, got {space}")
        if not isinstance(num_frames, int) or num_frames < 1:
            raise InvalidOptionError(f"num_frames: expected at least 1, got {num_frames!r}")
        size = space["pixels"].shape or (0,)
        shape = (*size[:-1], size[-1] * num_frames)
        stacked = spaces.Box(0, 255, shape, np.uint8)
        self.single_observation_space = spaces.Dict(dict(space.spaces) | {"pixels": stacked})
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self._stack = np.zeros((self.num_envs, *shape), np.uint8)
        self._channels = size[-1]
        self._over = np.zeros(self.num_envs, bool)
        self._mode = env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """As the environment's; stacks of the slots that were reset start anew."""
        mask = (options or {}).get("reset_mask")
        new = np.ones(self.num_envs, bool) if mask is None else np.array(mask)
        observation, infos = self.env.reset(seed=seed, options=options)
        self._start(new, observation["pixels"])
        self._over[new] = False
        return self._stacked(observation), infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """As the environment's, with stacked frames."""
        observation, rewards, terminations, truncations, infos = self.env.step(actions)
        same_step = self._mode is AutoresetMode.SAME_STEP
        over = np.logical_or(terminations, truncations)
        new = over if same_step else self._over
        if same_step and over.any():
            self._finish(over, infos)
        self._push(~new, observation["pixels"])
        self._start(new, observation["pixels"])
        self._over = over
        return self._stacked(observation), rewards, terminations, truncations, infos

    def _start(self, slots: NDArray[np.bool_], pixels: NDArray[np.uint8]) -> None:
        count = self._stack.shape[-1] // self._channels
        self._stack[slots] = np.tile(pixels[slots], (1, 1, 1, count))

    def _push(self, slots: NDArray[np.bool_], pixels: NDArray[np.uint8]) -> None:
        kept = self._stack[slots, ..., self._channels :]
        self._stack[slots] = np.concatenate([kept, pixels[slots]], -1)

    def _finish(self, slots: NDArray[np.bool_], infos: dict[str, Any]) -> None:
        """Stack the last frames of episodes that ended in this step."""
        for slot in np.flatnonzero(slots):
            final = infos["final_obs"][slot]
            stack = np.concatenate([self._stack[slot, ..., self._channels :], final["pixels"]], -1)
            infos["final_obs"][slot] = final | {"pixels": stack}

    def _stacked(self, observation: Any) -> dict[str, Any]:
        return observation | {"pixels": self._stack.copy()}
