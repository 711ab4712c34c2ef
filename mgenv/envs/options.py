"""What a user may pass to an environment, checked before anything is done with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from mgenv.errors import CheckpointError, InvalidOptionError, UnknownNameError, check_integer
from mgenv.tasks import Episode
from mgenv.tasks.episode import MAX_SEED

AUTORESET_MODES = {
    "next_step": AutoresetMode.NEXT_STEP,
    "same_step": AutoresetMode.SAME_STEP,
    "disabled": AutoresetMode.DISABLED,
}
OBSERVATION_TYPES = ("pixels_agent_pos", "pixels", "pixels_depth", "pixels_depth_agent_pos")
MEMORY_MODES = ("scan", "fresh")
ODOMETRY = ("exact", "noisy")
RESET_OPTIONS = ("reset_mask", "memory", "world_id", "episodes")


@dataclass(frozen=True)
class ResetOptions:
    """A checked ``options`` argument of ``reset``.

    Attributes:
        slots: int64 (n,), those to reset.
        memory: ``"keep"``, ``"clear"``, a file, or None where the caller did not say.
        world_ids: one for each of the n slots, or None to draw them.
        episodes: one for each of the n slots, or None to draw them.
    """

    slots: NDArray[np.int64]
    memory: str | None
    world_ids: list[int] | None
    episodes: list[Episode] | None = None


def parse_reset_options(options: Mapping[str, Any] | None, num_envs: int) -> ResetOptions:
    """Check ``options``; the caller's dict is left as it is.

    Raises:
        InvalidOptionError: a mask, memory, world id or episode that is not what is accepted.
        UnknownNameError: an option that does not exist.
    """
    if options is not None and not isinstance(options, Mapping):
        raise InvalidOptionError(f"options: expected a dict or None, got {options!r}")
    options = dict(options or {})
    for name in options:
        if name not in RESET_OPTIONS:
            raise UnknownNameError("reset option", name, RESET_OPTIONS)
    slots = _masked_slots(options.get("reset_mask"), num_envs)
    memory = options.get("memory")
    if memory is not None and memory not in ("keep", "clear"):
        memory = check_memory_file(memory, "reset option memory", ("keep", "clear"))
    episodes = _episodes(options.get("episodes"), slots, num_envs)
    if episodes is None:
        world_ids = _world_ids(options.get("world_id"), slots, num_envs)
    elif options.get("world_id") is not None:
        raise InvalidOptionError("world_id: expected none beside episodes, which say where")
    else:
        world_ids = [episode.world_id for episode in episodes]
    return ResetOptions(slots, memory, world_ids, episodes)


def _masked_slots(mask: Any, num_envs: int) -> NDArray[np.int64]:
    if mask is None:
        return np.arange(num_envs)
    array = np.asarray(mask)
    if array.dtype != np.bool_ or array.shape != (num_envs,):
        raise InvalidOptionError(
            f"reset_mask: expected bool ({num_envs},), got {array.dtype} {array.shape}"
        )
    if not array.any():
        raise InvalidOptionError("reset_mask: expected at least one True, got all False")
    return np.flatnonzero(array)


def _world_ids(value: Any, slots: NDArray[np.int64], num_envs: int) -> list[int] | None:
    if value is None:
        return None
    if np.ndim(value) == 0:
        return [check_integer("world_id", value, high=MAX_SEED)] * len(slots)
    if len(value) != num_envs:
        raise InvalidOptionError(f"world_id: expected one or {num_envs}, got {len(value)}")
    return [check_integer("world_id", value[slot], high=MAX_SEED) for slot in slots]


def _episodes(value: Any, slots: NDArray[np.int64], num_envs: int) -> list[Episode] | None:
    if value is None:
        return None
    if not isinstance(value, Sequence) or len(value) != num_envs:
        got = len(value) if isinstance(value, Sequence) else type(value).__name__
        raise InvalidOptionError(f"episodes: expected {num_envs}, one a slot, got {got}")
    given = [value[slot] for slot in slots]
    return [Episode.from_dict(one.as_dict() if isinstance(one, Episode) else one) for one in given]


def parse_seeds(seed: Any, num_envs: int) -> list[int | None]:
    """One seed a slot: an int becomes seed + i, a sequence is taken as it is.

    Raises:
        InvalidOptionError: not an int, a sequence of ``num_envs`` ints or None.
    """
    if seed is None:
        return [None] * num_envs
    if np.ndim(seed) == 0:
        first = check_integer("seed", seed)
        return [first + slot for slot in range(num_envs)]
    if len(seed) != num_envs:
        raise InvalidOptionError(f"seed: expected an int or {num_envs} of them, got {len(seed)}")
    return [None if item is None else check_integer("seed", item, high=MAX_SEED) for item in seed]


def check_memory_file(value: Any, name: str, known: Sequence[str]) -> str:
    """``value`` as the path of a file that exists.

    Raises:
        UnknownNameError: neither a known mode nor anything like a path.
        CheckpointError: no such file.
        InvalidOptionError: not a string or path at all.
    """
    if not isinstance(value, (str, Path)):
        raise InvalidOptionError(f"{name}: expected one of {known} or a file, got {value!r}")
    path = Path(value)
    if not path.is_file():
        if isinstance(value, str) and path.name == value and not path.suffix:
            raise UnknownNameError(name, value, [*known, "<a memory file>"])
        raise CheckpointError(f"{name}: expected one of {known} or a memory file, got {value}")
    return str(path)


def check_choice(kind: str, value: Any, choices: Sequence[str]) -> str:
    """``value`` if it is one of ``choices``.

    Raises:
        UnknownNameError: it is not.
    """
    if not isinstance(value, str) or value not in choices:
        raise UnknownNameError(kind, value, choices)
    return value


def check_render_mode(value: Any, modes: Sequence[str]) -> str | None:
    """A render mode or None.

    Raises:
        UnknownNameError: it is neither.
    """
    return None if value is None else check_choice("render mode", value, modes)


def check_memory_mode(value: Any) -> str:
    """``"scan"``, ``"fresh"`` or the path of a file, see :func:`check_memory_file`."""
    if value in MEMORY_MODES:
        return value
    return check_memory_file(value, "memory", MEMORY_MODES)


def check_limit(name: str, value: Any) -> int | None:
    """A number of at least 1, or None for no limit.

    Raises:
        InvalidOptionError: it is something else.
    """
    return None if value is None else check_integer(name, value, low=1)


def check_switch(name: str, value: Any) -> bool:
    """True or False.

    Raises:
        InvalidOptionError: it is something else.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise InvalidOptionError(f"{name}: expected True or False, got {value!r}")
    return bool(value)


def parse_autoreset_mode(value: Any) -> AutoresetMode:
    """The mode, from its name or itself.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if isinstance(value, AutoresetMode):
        return value
    return AUTORESET_MODES[check_choice("autoreset mode", value, tuple(AUTORESET_MODES))]


def check_world_ids(world_ids: Any, num_worlds: Any, memory: str) -> list[int] | None:
    """The worlds to draw from; None for those of a memory file.

    Raises:
        InvalidOptionError: not a sequence of integers with at least one, or a count below 1.
    """
    count = check_integer("num_worlds", num_worlds, low=1)
    if world_ids is None:
        return list(range(count)) if memory in MEMORY_MODES else None
    if np.ndim(world_ids) != 1 or len(world_ids) == 0:
        raise InvalidOptionError(f"world_ids: expected at least one integer, got {world_ids!r}")
    return [check_integer("world_ids", world_id, high=MAX_SEED) for world_id in world_ids]
