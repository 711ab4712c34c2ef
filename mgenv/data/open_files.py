"""Files that are kept open for the next read: the last used, within bounds."""

from __future__ import annotations

import resource
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Protocol

MEMORY = 512 * 2**20
"""Bytes that open files may take."""
SHARE = 0.5
"""Of the files that the system lets a process open."""
USUAL_LIMIT = 256
"""Files that a process may open, where the system sets no limit."""


class Openable(Protocol):
    """An opened file and its cost."""

    nbytes: int
    """Memory that it takes, about."""
    descriptors: int
    """Files that it keeps open."""

    def close(self) -> None:
        """Free memory and descriptors."""
        ...


class OpenFiles:
    """Holds what was last used, as long as memory and descriptors last; at least one file.

    Args:
        memory: bytes; by default ``MEMORY``.
        descriptors: open files; by default half of what the system allows.
    """

    def __init__(self, memory: int | None = None, descriptors: int | None = None) -> None:
        self.memory = MEMORY if memory is None else memory
        self.descriptors = descriptors or int(SHARE * _limit())
        self._held: OrderedDict[Hashable, Openable] = OrderedDict()
        self._nbytes = self._descriptors = 0

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The file held by that name, or what ``make`` opens."""
        if key not in self._held:
            self._held[key] = file = make()
            self._nbytes += file.nbytes
            self._descriptors += file.descriptors
            while len(self._held) > 1 and self._is_full():
                self._close(*self._held.popitem(last=False))
        self._held.move_to_end(key)
        return self._held[key]

    def close(self) -> None:
        """Close all."""
        while self._held:
            self._close(*self._held.popitem())

    def __getstate__(self) -> dict[str, Any]:
        """Other processes open the files for themselves."""
        return self.__dict__ | {"_held": OrderedDict(), "_nbytes": 0, "_descriptors": 0}

    def _is_full(self) -> bool:
        return self._nbytes > self.memory or self._descriptors > self.descriptors

    def _close(self, key: Hashable, file: Openable) -> None:
        self._nbytes -= file.nbytes
        self._descriptors -= file.descriptors
        file.close()


def _limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return USUAL_LIMIT if soft == resource.RLIM_INFINITY else min(soft, 1 << 16)
