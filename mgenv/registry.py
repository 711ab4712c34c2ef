"""Registry of worlds, robots, tasks, architectures and sources by name.

A name is built in, registered by a call, added by an entry point of an installed package (group
``mgenv.robots`` and so on), or ``package.module:Class``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from mgenv.errors import InvalidOptionError, UnknownNameError


class Registry(Mapping[str, Any]):
    """Objects of one kind by name, imported on first use.

    Args:
        kind: the kind in error messages, such as "robot".
        group: of entry points, such as "mgenv.robots".
        known: objects, or ``"package.module:Class"``.
    """

    def __init__(self, kind: str, group: str, known: Mapping[str, Any]) -> None:
        self.kind, self.group, self._known = kind, group, dict(known)

    def register(self, name: str, value: Any) -> None:
        """Add an object, or ``"package.module:Class"``, for this process.

        Raises:
            InvalidOptionError: the name contains : or /, is empty, or is taken.
        """
        if not name or ":" in name or "/" in name:
            raise InvalidOptionError(f"{self.kind}: expected a name without : and /, got {name!r}")
        if name in self:
            raise InvalidOptionError(f"{self.kind}: expected a new name, got {name!r}")
        self._known[name] = value

    def resolve(self, value: Any) -> Any:
        """The object of a name; anything but a string is returned as it is.

        Raises:
            UnknownNameError: no such name.
        """
        if not isinstance(value, str):
            return value
        if value in self:
            return self[value]
        if ":" in value:
            return self._import(value)
        raise UnknownNameError(self.kind, value, self)

    def check(self, value: Any) -> None:
        """Check a name without importing anything.

        Raises:
            UnknownNameError: no such name.
        """
        if isinstance(value, str) and ":" not in value and value not in self:
            raise UnknownNameError(self.kind, value, self)

    def __getitem__(self, name: str) -> Any:
        if name in self._known:
            value = self._known[name]
            return self._import(value) if isinstance(value, str) else value
        return _added(self.group)[name].load()

    def __contains__(self, name: object) -> bool:
        return name in self._known or name in _added(self.group)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._known, *_added(self.group)]))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _import(self, name: str) -> Any:
        """The object ``package.module:Class``; modules in the working directory are found, too."""
        module, _, attribute = name.partition(":")
        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())
        try:
            return getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            if error.name and (module == error.name or module.startswith(f"{error.name}.")):
                raise UnknownNameError(self.kind, name, self) from error
            raise
        except (AttributeError, ValueError) as error:
            raise UnknownNameError(self.kind, name, self) from error


@cache
def _added(group: str) -> dict[str, EntryPoint]:
    """Entry points of installed packages by name."""
    return {point.name: point for point in entry_points(group=group)}
