"""Stable-Baselines3's view of a vector environment.

SB3 has a vector interface of its own, older than Gymnasium's: one ``dones`` array, a list of info
dictionaries, the last observation of an episode under ``terminal_observation`` and the reason of
its end under ``TimeLimit.truncated``. This adapter changes names and shapes, nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import (
    VecEnvIndices,
    VecEnvObs,
    VecEnvStepReturn,
)

from mgenv.errors import InvalidOptionError, NotResetError

FINAL = ("final_obs", "final_info")
"""Infos that are renamed for SB3."""


class SB3VecEnv(VecEnv):
    """A Gymnasium vector environment as a Stable-Baselines3 ``VecEnv``.

    Args:
        envs: a vector environment in ``autoreset_mode="same_step"``, the only one SB3 knows.
        info_keys: the infos to hand on at every step, all where None. At an episode's end all
            are, whatever is said here.

    Raises:
        InvalidOptionError: ``envs`` is no vector environment or resets in another way.

    Example:
        >>> import gymnasium as gym, mgenv
        >>> envs = gym.make_vec("mgenv/PointNav-v0", 2, world="engine", autoreset_mode="same_step")
        >>> vec_env = SB3VecEnv(envs)
        >>> vec_env.reset()["pixels"].shape
        (2, 64, 64, 3)
        >>> vec_env.close()
    """

    def __init__(self, envs: gym.vector.VectorEnv, info_keys: Sequence[str] | None = None) -> None:
        _check_autoreset(envs)
        self.envs: Any = envs
        self._info_keys = info_keys
        self._actions: NDArray[Any] | None = None
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self) -> VecEnvObs:
        """Start an episode in every slot; the infos lie in ``reset_infos``."""
        seeds = None if None in self._seeds else list(self._seeds)
        observations, infos = self.envs.reset(seed=seeds, options=_one_for_all(self._options))
        self.reset_infos = slot_infos(infos, self.num_envs)
        self._reset_seeds()
        self._reset_options()
        self._actions = None
        return observations

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep ``actions`` (N, …) for :meth:`step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """One step of every slot.

        Returns:
            observations, rewards float32 (N,), dones bool (N,), a list of N infos. Where an
            episode ended the observation is the next one's first.

        Raises:
            NotResetError: no actions were given since the last step.
        """
        if self._actions is None:
            raise NotResetError("Expected step_async(actions) before step_wait(); none came.")
        actions, self._actions = self._actions, None
        observations, rewards, terminations, truncations, infos = self.envs.step(actions)
        dones = np.logical_or(terminations, truncations)  # (N,)
        per_slot = slot_infos(infos, self.num_envs, self._info_keys)
        for slot in np.flatnonzero(dones).tolist():
            self.reset_infos[slot] = slot_info(infos, slot)
            per_slot[slot] = slot_info(infos["final_info"], slot)
            per_slot[slot]["terminal_observation"] = infos["final_obs"][slot]
            per_slot[slot]["TimeLimit.truncated"] = bool(
                truncations[slot] and not terminations[slot]
            )
        return observations, np.asarray(rewards, np.float32), dones, per_slot

    def close(self) -> None:
        """Close the vector environment."""
        self.envs.close()

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """N rendered images uint8 (H, W, 3), or None where ``render_mode`` is None."""
        images: Any = self.envs.render()
        return [None] * self.num_envs if images is None else list(images)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """The attribute of the vector environment, once for each asked slot."""
        value = getattr(self.envs, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the vector environment; it holds for all slots.

        Raises:
            InvalidOptionError: only some slots were asked for.
        """
        self._expect_all(indices, f"set_attr({attr_name!r})")
        setattr(self.envs.unwrapped, attr_name, value)

    def env_method(
        self,
        method_name: str,
        *method_args: Any,
        indices: VecEnvIndices = None,
        **method_kwargs: Any,
    ) -> list[Any]:
        """Call a method of the vector environment once; its result for each asked slot."""
        result = getattr(self.envs, method_name)(*method_args, **method_kwargs)
        per_slot = isinstance(result, tuple) and len(result) == self.num_envs
        return [result[slot] if per_slot else result for slot in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        """Whether the vector environment lies inside a wrapper of that class."""
        envs: Any = self.envs
        found = False
        while isinstance(envs, gym.vector.VectorWrapper) and not found:
            found = isinstance(envs, wrapper_class)
            envs = envs.env
        return [found for _ in self._get_indices(indices)]

    def _expect_all(self, indices: VecEnvIndices, what: str) -> None:
        slots = sorted(self._get_indices(indices))
        if slots != list(range(self.num_envs)):
            raise InvalidOptionError(f"{what} holds for all {self.num_envs} slots; got {slots}.")


def slot_info(infos: dict[str, Any], slot: int) -> dict[str, Any]:
    """What a vector environment's info says of one slot.

    Args:
        infos: arrays of length N by name, each with its mask ``_name``.
        slot: which of the N.

    Returns:
        Scalars and arrays by name, without masks; names whose mask is false are left out.
    """
    own = {}
    for name, values in infos.items():
        mask = infos.get(f"_{name}")
        if name.startswith("_") or mask is None or not mask[slot]:
            continue
        if name in FINAL:
            continue
        own[name] = slot_info(values, slot) if isinstance(values, dict) else _plain(values[slot])
    return own


def slot_infos(
    infos: dict[str, Any], num_envs: int, names: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """What a vector environment's info says of each slot, see :func:`slot_info`.

    Args:
        infos: arrays of length N by name, each with its mask ``_name``.
        num_envs: N.
        names: which to hand on; all where None.
    """
    own: list[dict[str, Any]] = [{} for _ in range(num_envs)]
    for name, values in infos.items():
        mask = infos.get(f"_{name}")
        wanted = not name.startswith("_") if names is None else name in names
        if not wanted or mask is None or name in FINAL:
            continue
        slots = np.flatnonzero(mask)
        for slot, value in zip(slots.tolist(), _column(values, slots), strict=True):
            own[slot][name] = value
    return own


def _column(values: Any, slots: NDArray[np.int64]) -> Sequence[Any]:
    """One info of some slots, as plain values where they are scalars."""
    if isinstance(values, dict):
        return [slot_info(values, slot) for slot in slots.tolist()]
    chosen = values[slots]
    return chosen.tolist() if chosen.ndim == 1 else chosen


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _one_for_all(options: list[dict[str, Any]]) -> dict[str, Any] | None:
    """SB3 keeps one options dictionary a slot; the vector environment takes one in all."""
    first = options[0]
    if any(other != first for other in options[1:]):
        raise InvalidOptionError(f"Expected the same reset options in all slots; got {options}.")
    return first or None


def _check_autoreset(envs: gym.vector.VectorEnv) -> None:
    if not isinstance(envs, gym.vector.VectorEnv):
        raise InvalidOptionError(
            f"Expected a vector environment, as gymnasium.make_vec makes it; got {envs!r}."
        )
    mode = envs.metadata.get("autoreset_mode")
    if mode != AutoresetMode.SAME_STEP:
        name = mode.value if isinstance(mode, AutoresetMode) else mode
        raise InvalidOptionError(
            f"Stable-Baselines3 needs autoreset_mode='same_step'; got {name!r}."
        )
