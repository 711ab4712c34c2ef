"""Infos of N slots: arrays of length N, each beside a mask ``_key`` of the slots it is true of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Infos = dict[str, Any]


def add_infos(
    infos: Infos, num_envs: int, slots: NDArray[np.int64], values: Mapping[str, NDArray[Any]]
) -> None:
    """Write rows ``values`` (n, …) of ``slots`` (n,) into ``infos``; other rows stay.

    Example:
        >>> infos = {}
        >>> add_infos(infos, 3, np.array([1]), {"world_id": np.array([7])})
        >>> infos["world_id"].tolist(), infos["_world_id"].tolist()
        ([0, 7, 0], [False, True, False])
    """
    for name, value in values.items():
        if name not in infos:
            blank = None if value.dtype == object else 0
            infos[name] = np.full((num_envs, *value.shape[1:]), blank, value.dtype)
            infos[f"_{name}"] = np.zeros(num_envs, bool)
        infos[name][slots] = value
        infos[f"_{name}"][slots] = True


def final_infos(
    num_envs: int,
    slots: NDArray[np.int64],
    observation: Mapping[str, NDArray[Any]] | NDArray[Any],
    values: Mapping[str, NDArray[Any]],
) -> Infos:
    """``final_obs`` and ``final_info`` of episodes that end in the step that starts new ones.

    Args:
        slots: (n,), whose episodes ended.
        observation: the last one, n rows each.
        values: the last infos, n rows each.
    """
    mask = np.zeros(num_envs, bool)
    mask[slots] = True
    final_obs = np.full(num_envs, None, dtype=object)
    for row, slot in enumerate(slots):
        final_obs[slot] = observation_row(observation, row)
    final_info: Infos = {}
    add_infos(final_info, num_envs, slots, values)
    return {
        "final_obs": final_obs,
        "_final_obs": mask,
        "final_info": final_info,
        "_final_info": mask.copy(),
    }


def observation_row(observation: Mapping[str, NDArray[Any]] | NDArray[Any], row: int) -> Any:
    """A copy of one slot's observation: an array, or arrays by name."""
    if isinstance(observation, np.ndarray):
        return observation[row].copy()
    return {name: value[row].copy() for name, value in observation.items()}


def row_infos(infos: Infos, slot: int) -> dict[str, Any]:
    """One slot's infos, without masks; numbers as Python's own."""
    row = {}
    for name, value in infos.items():
        if not name.startswith("_") and infos[f"_{name}"][slot]:
            item = value[slot]
            row[name] = item.copy() if isinstance(item, np.ndarray) else item.item()
    return row
