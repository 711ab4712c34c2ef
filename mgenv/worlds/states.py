"""Check that a saved state fits a world or an environment."""

from __future__ import annotations

from typing import Any

from mgenv.errors import InvalidOptionError


def check_state(state: Any, own: dict[str, Any]) -> None:
    """Check that a state holds the identifying values ``own``.

    Raises:
        InvalidOptionError: not a state, or of another world or environment.
    """
    for name, value in own.items():
        got = state.get(name) if isinstance(state, dict) else type(state).__name__
        if got != value:
            raise InvalidOptionError(f"state: expected {name} {value!r}, got {got!r}")
