"""Worlds: N slots that turn a requested camera motion into the next frame."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgenv.errors import CheckpointError, InvalidOptionError, UnknownNameError

if TYPE_CHECKING:
    from mgenv.camera import ImageSize
    from mgenv.worlds.base import Frame, World

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
"""Where the checkpoints that come with the package lie."""


MATRIX_GAME_3 = "matrix-game-3"
"""The name of the world with the public weights."""

MATRIX_GAME_3_OPTIONS = (
    "memory_frames",
    "share_memory",
    "sampling_steps",
    "vae",
    "base_model",
    "guidance",
    "prompt",
    "negative_prompt",
    "frames_per_step",
    "boundary",
    "batch",
    "speed",
    "sequence_parallel",
)


def checkpoints() -> dict[str, Path]:
    """The checkpoints that come with the package, by name."""
    return {path.stem: path for path in sorted(WEIGHTS.glob("*.safetensors"))}


def load_world(
    name_or_path: str | Path = "nano",
    num_envs: int = 8,
    device: str = "cpu",
    image_size: ImageSize | None = None,
    memory_frames: int = 512,
    memory_slots: int | None = None,
    sampling_steps: int | None = None,
    share_memory: bool = False,
    weights: str | Path | None = None,
    **options: Any,
) -> World:
    """Make a world.

    Args:
        name_or_path: ``"engine"`` (ground truth), a checkpoint that comes with the package
            (``"nano"``), a checkpoint file, or ``"matrix-game-3"`` (the public weights).
        num_envs: slots.
        device: where frames are made, e.g. ``"cpu"`` or ``"cuda"``.
        image_size: side of the frames; a checkpoint has one size only, the engine's is 64;
            ``"matrix-game-3"`` also takes height and width, both divisible by 32.
        memory_frames: at most this many frames are remembered of a place.
        memory_slots: frames retrieved for a step, 6 by default; ``"matrix-game-3"`` has 5 always.
        sampling_steps: denoising steps for a frame, 2 by default (``"matrix-game-3"``: 3).
        share_memory: slots in one world share what they remember.
        weights: folder of ``"matrix-game-3"``.
        options: of ``"matrix-game-3"`` alone, see
            :func:`mgenv.matrix_game3.loading.load_matrix_game3`.

    Raises:
        UnknownNameError: no such world or option.
        CheckpointError: not a checkpoint of this package, damaged, or of another version.
        InvalidOptionError: another argument is not what is accepted.
    """
    _check_device(device)
    public = isinstance(name_or_path, str) and name_or_path == MATRIX_GAME_3
    for name, value in (("num_envs", num_envs), ("memory_frames", memory_frames)):
        _check_count(name, value)
    for name, value in (("memory_slots", memory_slots), ("sampling_steps", sampling_steps)):
        _check_count(name, 1 if value is None else value)
    if public:
        if memory_slots not in (None, 5):
            raise InvalidOptionError(f"memory_slots: expected 5 or None, got {memory_slots}")
        own = {"memory_frames": memory_frames, "share_memory": share_memory} | options
        own["sampling_steps"] = sampling_steps
        return _matrix_game3(weights, num_envs, device, image_size, own)
    for name in [*options, *(["weights"] if weights is not None else [])]:
        raise UnknownNameError(f"option of world {name_or_path}", name, ["image_size"])
    if image_size is not None:
        _check_count("image_size", image_size)
    assert image_size is None or isinstance(image_size, int)
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
        memory_slots=memory_slots or 6,
        sampling_steps=sampling_steps or 2,
        share_memory=share_memory,
    )
    if image_size not in (None, world.image_size):
        raise InvalidOptionError(
            f"image_size: expected {world.image_size}, that of {name_or_path}, got {image_size}"
        )
    return world


def _matrix_game3(
    weights: Any, num_envs: int, device: str, image_size: Any, options: dict[str, Any]
) -> World:
    from mgenv.matrix_game3.loading import load_matrix_game3

    for name in options:
        if name not in MATRIX_GAME_3_OPTIONS:
            raise UnknownNameError(f"option of world {MATRIX_GAME_3}", name, MATRIX_GAME_3_OPTIONS)
    if not isinstance(weights, (str, Path)):
        raise InvalidOptionError(f"weights: expected the folder of {MATRIX_GAME_3}, got {weights}")
    if image_size is not None:
        for side in image_size if isinstance(image_size, (tuple, list)) else [image_size]:
            _check_count("image_size", side)
        pair = not isinstance(image_size, int)
        if pair and len(image_size) != 2:
            raise InvalidOptionError(f"image_size: expected height and width, got {image_size}")
        image_size = tuple(image_size) if pair else image_size
    return load_matrix_game3(weights, num_envs, device, image_size, **options)


def _check_count(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidOptionError(f"{name}: expected an integer of at least 1, got {value!r}")


def default_memory(name: Any) -> str:
    """How the places of a world come to be known, where nobody says.

    The public model continues one picture of any place; the others remember a scan.
    """
    return "fresh" if isinstance(name, str) and name == MATRIX_GAME_3 else "scan"


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
        raise UnknownNameError("world", name_or_path, ["engine", MATRIX_GAME_3, *known])
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
