"""Worlds: N slots that turn a requested camera motion into the next frame."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgenv.errors import CheckpointError, InvalidOptionError, UnknownNameError, check_integer
from mgenv.registry import Registry
from mgenv.worlds.options import WorldOptions

if TYPE_CHECKING:
    from mgenv.worlds.base import Frame, World

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
"""Folder of the checkpoints that come with the package."""

WORLDS = Registry(
    "world",
    "mgenv.worlds",
    {
        "engine": "mgenv.worlds.engine:EngineWorld",
        "matrix-game-3": "mgenv.matrix_game3.loading:ENTRY",
    },
)
"""Worlds by name, beside checkpoints; packages add theirs by entry points ``mgenv.worlds``.

An entry, or its method ``load`` if it has one, is called with ``num_envs``, ``device`` and its own
options.
"""


def checkpoints() -> dict[str, Path]:
    """The checkpoints that come with the package, by name."""
    return {path.stem: path for path in sorted(WEIGHTS.glob("*.safetensors"))}


def load_world(
    name_or_path: str | Path = "nano", num_envs: int = 8, device: str = "cpu", **options: Any
) -> World:
    """Make a world.

    Args:
        name_or_path: ``"engine"`` (ground truth), a checkpoint that comes with the package
            (``"nano"``), a checkpoint file, ``"matrix-game-3"`` (the public weights), a name that a
            package adds, or ``package.module:Class``.
        num_envs: slots.
        device: device of the computation, e.g. ``"cpu"`` or ``"cuda"``.
        options: those of :class:`mgenv.worlds.options.WorldOptions`, and the world's own (of
            generated worlds ``retrieval`` and ``canvas_only``, see
            :class:`mgenv.worlds.generated.GeneratedWorld`; of ``"matrix-game-3"`` ``weights`` and
            others, see :func:`mgenv.matrix_game3.loading.load_matrix_game3`); None for the
            default.

    Raises:
        UnknownNameError: no such world or option.
        CheckpointError: not a checkpoint of this package, damaged, or of another version.
        InvalidOptionError: another argument is not accepted.
    """
    _check_device(device)
    for name in ("num_envs", "memory_frames", "memory_slots", "sampling_steps"):
        value = num_envs if name == "num_envs" else options.get(name)
        if value is not None:
            check_integer(name, value, low=1)
    make, common = _maker(name_or_path), [one.name for one in fields(WorldOptions)]
    given = {name: value for name, value in options.items() if value is not None}
    known = inspect.signature(make).parameters
    if not any(one.kind is one.VAR_KEYWORD for one in known.values()):
        for name in given.keys() - known - set(common):
            raise UnknownNameError(f"option of world {name_or_path}", name, sorted(known))
        given = {name: value for name, value in given.items() if name in known}
    return make(num_envs=num_envs, device=device, **given)


def _registered(world: Any) -> bool:
    """Whether ``world`` is a registered name or ``package.module:Class`` rather than a file."""
    if not isinstance(world, str):
        return False
    return world in WORLDS or (":" in world and not Path(world).exists())


def _maker(world: Any) -> Callable[..., World]:
    if _registered(world):
        found = WORLDS.resolve(world)
        return getattr(found, "load", found)
    path = checkpoint_path(world)
    from mgenv.worlds.generated import GeneratedWorld

    return partial(GeneratedWorld.load, path)


def default_memory(world: Any) -> str:
    """Default of the option ``memory`` for a world: ``"scan"`` or ``"fresh"``."""
    found = WORLDS.resolve(world) if _registered(world) else world
    return getattr(found, "default_memory", "scan")


def checkpoint_path(name_or_path: Any) -> Path:
    """File of a checkpoint, given by name or path."""
    known = checkpoints()
    if not isinstance(name_or_path, (str, Path)):
        raise InvalidOptionError(f"world: expected a name or a path, got {name_or_path!r}")
    if name_or_path in known:
        return known[name_or_path]  # type: ignore[index]
    path = Path(name_or_path)
    if path.is_file():
        return path
    if isinstance(name_or_path, str) and path.name == name_or_path and not path.suffix:
        raise UnknownNameError("world", name_or_path, [*WORLDS, *known])
    raise CheckpointError(f"world: expected a checkpoint file, got {name_or_path}")


def _check_device(device: Any) -> None:
    import torch

    try:
        usable = torch.empty(0, device=torch.device(device)).device.type != "meta"
        reason = "it holds no data"
    except (RuntimeError, TypeError, AssertionError) as error:
        usable, reason = False, str(error).splitlines()[0]
    if not usable:
        raise InvalidOptionError(f"device: expected one of this machine, got {device!r}: {reason}")


def __getattr__(name: str) -> Any:
    if name in ("Frame", "World"):
        from mgenv.worlds import base

        return getattr(base, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["WORLDS", "Frame", "World", "checkpoints", "load_world"]
