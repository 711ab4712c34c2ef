"""Worlds: N slots that turn a requested camera motion into the next frame."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgenv.errors import CheckpointError, InvalidOptionError, UnknownNameError

if TYPE_CHECKING:
    from mgenv.worlds.base import Frame, World

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
"""Where the checkpoints that come with the package lie."""


def checkpoints() -> dict[str, Path]:
    """The checkpoints that come with the package, by name."""
    return {path.stem: path for path in sorted(WEIGHTS.glob("*.safetensors"))}


def load_world(
    name_or_path: str | Path = "nano",
    num_envs: int = 8,
    device: str = "cpu",
    image_size: int | None = None,
    memory_frames: int = 512,
    memory_slots: int = 6,
    sampling_steps: int = 2,
    share_memory: bool = False,
) -> World:
    """Make a world.

    Args:
        name_or_path: ``"engine"`` (ground truth), a checkpoint that comes with the package
            (``"nano"``) or a checkpoint file.
        num_envs: slots.
        device: where frames are made, e.g. ``"cpu"`` or ``"cuda"``.
        image_size: side of the frames; a checkpoint has one size only, the engine's is 64.
        memory_frames: at most this many frames are remembered of a place.
        memory_slots: frames retrieved for a step.
        sampling_steps: denoising steps for a frame.
        share_memory: slots in one world share what they remember.

    Raises:
        UnknownNameError: no such world.
        CheckpointError: not a checkpoint of this package, damaged, or of another version.
        InvalidOptionError: another argument is not what is accepted.
    """
    _check_device(device)
    counts = {"num_envs": num_envs, "memory_frames": memory_frames}
    counts |= {"memory_slots": memory_slots, "sampling_steps": sampling_steps}
    if image_size is not None:
        counts["image_size"] = image_size
    for name, value in counts.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise InvalidOptionError(f"{name}: expected an integer of at least 1, got {value!r}")
    if name_or_path == "engine":
        from mgenv.worlds.engine import EngineWorld

        size = image_size or 64
        return EngineWorld(num_envs, size, memory_frames, share_memory, device)
    path = checkpoint_path(name_or_path)
    from mgenv.worlds.generated import GeneratedWorld

    world = GeneratedWorld.load(
        path,
        num_envs=num_envs,
        device=device,
        memory_frames=memory_frames,
        memory_slots=memory_slots,
        sampling_steps=sampling_steps,
        share_memory=share_memory,
    )
    if image_size not in (None, world.image_size):
        raise InvalidOptionError(
            f"image_size: expected {world.image_size}, that of {name_or_path}, got {image_size}"
        )
    return world


def checkpoint_path(name_or_path: Any) -> Path:
    """The file of a checkpoint that is given by name or path."""
    known = checkpoints()
    if name_or_path in known:
        return known[name_or_path]
    if not isinstance(name_or_path, (str, Path)):
        raise InvalidOptionError(f"world: expected a name or a path, got {name_or_path!r}")
    path = Path(name_or_path)
    if path.is_file():
        return path
    if isinstance(name_or_path, str) and path.name == name_or_path and not path.suffix:
        raise UnknownNameError("world", name_or_path, ["engine", *known])
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


__all__ = ["Frame", "World", "checkpoints", "load_world"]
