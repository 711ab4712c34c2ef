"""Frame stacking for vector environments: the last k frames as channels of one image.

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

from mgenv.envs.sb3_hint import WithSB3Hint
from mgenv.errors import InvalidOptionError


class VectorFrameStack(gym.vector.VectorWrapper, metaclass=WithSB3Hint):
    """``pixels`` become uint8 (N, H, W, 3·k), oldest first; an episode's first frame fills all.

    Works in all three autoreset modes; ``final_obs`` is stacked too.

    Args:
        env: a vector environment with ``pixels`` in its observation, or nothing but those.
        num_frames: k, at least 1.

    Raises:
        InvalidOptionError: no pixels in the observation, or ``num_frames`` below 1.
    """

    def __init__(self, env: gym.vector.VectorEnv, num_frames: int = 4) -> None:
        super().__init__(env)
        picture = pixel_space(env.single_observation_space)
        if not isinstance(num_frames, int) or num_frames < 1:
            raise InvalidOptionError(f"num_frames: expected at least 1, got {num_frames!r}")
        size = picture.shape
        shape = (*size[:-1], size[-1] * num_frames)
        stacked = spaces.Box(0, 255, shape, np.uint8)
        self.single_observation_space = _with_pixels(env.single_observation_space, stacked)
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
        self._start(new, pixels_of(observation))
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
        self._push(~new, pixels_of(observation))
        self._start(new, pixels_of(observation))
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
            kept = self._stack[slot, ..., self._channels :]
            stack = np.concatenate([kept, pixels_of(final)], -1)
            infos["final_obs"][slot] = with_pixels(final, stack)

    def _stacked(self, observation: Any) -> Any:
        return with_pixels(observation, self._stack.copy())


def pixel_space(space: gym.Space) -> spaces.Box:
    """The space of the pictures in an observation space.

    Raises:
        InvalidOptionError: it holds none.
    """
    found = space.spaces.get("pixels") if isinstance(space, spaces.Dict) else space
    if not isinstance(found, spaces.Box) or len(found.shape) != 3 or found.dtype != np.uint8:
        raise InvalidOptionError(f"env: expected observations with pixels, got {space}")
    return found


def pixels_of(observation: Any) -> NDArray[np.uint8]:
    """The pictures of an observation: a part of it, or all of it."""
    return observation["pixels"] if isinstance(observation, dict) else observation


def with_pixels(observation: Any, pixels: Any) -> Any:
    """The observation with other pictures."""
    return observation | {"pixels": pixels} if isinstance(observation, dict) else pixels


def _with_pixels(space: gym.Space, pixels: spaces.Box) -> gym.Space:
    if isinstance(space, spaces.Dict):
        return spaces.Dict(dict(space.spaces) | {"pixels": pixels})
    return pixels
