"""Families of worlds and held-out ranges, by world id."""

from __future__ import annotations

HELD_OUT = 1_000_000
"""Of each family, the worlds from this number on are those that no training ever sees."""
ESTATES = 1_000_000_000
"""The first world id of estates: houses and courtyards, sun and steps, image textures."""
FREEDOOM_ESTATES = 2_000_000_000
"""The first world id of estates with the textures of Freedoom too (extra ``games``)."""


def is_held_out(world_id: int) -> bool:
    """Whether no training ever sees this world.

    Example:
        >>> is_held_out(999_999), is_held_out(1_000_000), is_held_out(ESTATES + 5)
        (False, True, False)
    """
    return world_id % ESTATES >= HELD_OUT
