"""What Stable-Baselines3 says when it is handed a vector environment as it is.

SB3 has a vector interface of its own and knows Gymnasium's single environments only; its errors
print the type of what came. So the type says what to do.
"""

from __future__ import annotations

HINT = (
    "for Stable-Baselines3 wrap it: mgenv.wrappers.SB3VecEnv("
    'gymnasium.make_vec(..., autoreset_mode="same_step"))'
)


class WithSB3Hint(type):
    """The type of classes whose ``str`` names the adapter for SB3; ``repr`` is as always.

    Example:
        >>> "SB3VecEnv" in f"got {WithSB3Hint('Envs', (), {})}"
        True
    """

    def __str__(cls) -> str:
        return f"{cls!r} ({HINT})"
