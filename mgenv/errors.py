"""Named errors: each says what was expected and what came."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Iterable


class MgenvError(Exception):
    """Base of all errors that a user of the package can cause."""


class UnknownNameError(MgenvError, ValueError):
    """A world, robot, task or option that does not exist."""

    def __init__(self, kind: str, name: object, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        super().__init__(f"Unknown {kind} {name!r}; expected one of {', '.join(names)}.{hint}")
        self._arguments = (kind, name, names)

    def __reduce__(self) -> tuple[type, tuple]:
        """Pickle by arguments, so that worker processes can raise it."""
        return type(self), self._arguments


class CheckpointError(MgenvError, ValueError):
    """A file that is no mgenv checkpoint, is damaged, or has another version."""


class InvalidActionError(MgenvError, ValueError):
    """An action of the wrong shape or type, out of range, or not finite."""


class InvalidOptionError(MgenvError, ValueError):
    """An argument or reset option outside what is accepted."""


class NotResetError(MgenvError, RuntimeError):
    """A step before the first reset."""


class ClosedError(MgenvError, RuntimeError):
    """Use after close."""


class OutputError(MgenvError, OSError):
    """A folder or file that cannot be written."""


class DataError(MgenvError, ValueError):
    """A recording or dataset that is missing, damaged, or against its format."""


class NoFloorError(MgenvError, ValueError):
    """A place whose frames show no floor for a robot to stand on."""


class EpisodeFileError(MgenvError, ValueError):
    """A file of episodes that is missing, damaged, or for another version or other worlds."""


class MissingExtraError(MgenvError, ModuleNotFoundError):
    """A part of the package that needs an optional dependency which is not installed."""

    def __init__(self, extra: str, what: str) -> None:
        super().__init__(f"{what} need the extra {extra!r}: pip install 'mgenv[{extra}]'")
        self._arguments = (extra, what)

    def __reduce__(self) -> tuple[type, tuple]:
        """Pickle by arguments, so that worker processes can raise it."""
        return type(self), self._arguments


def check_integer(name: str, value: object, low: int = 0, high: int | None = None) -> int:
    """Return ``value`` as an int of at least ``low`` and, if given, below ``high``.

    Raises:
        InvalidOptionError: not an integer, or out of range.
    """
    try:
        number = operator.index(value)  # type: ignore[call-overload]
    except TypeError:
        number = low - 1
    truth = type(value).__name__ in ("bool", "bool_")
    if truth or number < low or (high is not None and number >= high):
        limit = "" if high is None else f" and below {high}"
        raise InvalidOptionError(
            f"{name}: expected an integer of at least {low}{limit}, got {value!r}"
        )
    return number
