"""What a state is of, checked before anything is done with it."""

from __future__ import annotations

from typing import Any

from mgenv.errors import InvalidOptionError


def check_state(state: Any, own: dict[str, Any]) -> None:
    """Check that a state says ``own`` of the world or environment that it is of.

    Raises:
        InvalidOptionError: it is none, or of something else.
    """
    for name, value in own.items():
        got = state.get(name) if isinstance(state, dict) else type(state).__name__
        if got != value:
            raise InvalidOptionError(f"state: expected {name} {value!r}, got {got!r}")


def own_state(kind: str, world: Any) -> dict[str, Any]:
    """What a state says of the world that it is of, for :func:`check_state`."""
    return {"world": kind, "num_envs": world.num_envs, "image_size": world.image_size}
