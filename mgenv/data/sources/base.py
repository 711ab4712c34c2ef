"""The protocol of recording sources, and their options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mgenv.data.episode import Episode
from mgenv.errors import DataError


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """Options of all sources; each reads those that apply to it.

    Attributes:
        path: the file or folder to read, or where a game's files lie ("" for the usual place).
        image_size: pixels along a side of the square pictures that are recorded.
        episode_frames: ticks an episode; longer footage becomes several episodes, in order.
        seed: of all that is drawn.
        captions: of footage, a JSON file of captions by recording name, or a function,
            ``package.module:function`` of a name and pictures ("" for none).
        variant: which of the source's kinds ("" for its usual one), such as a game's map set; of
            footage, ``buttons`` infers a game's actions from the poses.
    """

    path: str = ""
    image_size: int = 64
    episode_frames: int = 100
    seed: int = 0
    captions: str = ""
    variant: str = ""


class UnfitError(DataError):
    """An episode that cannot be with others of its source; it is counted, and the rest goes on.

    Attributes:
        fault: what it is counted under.
    """

    def __init__(self, message: str, fault: str) -> None:
        super().__init__(message, fault)
        self.fault = fault

    def __str__(self) -> str:
        return self.args[0]


class Source(Protocol):
    """Records episodes by number: the same number gives the same episode, in any process.

    A source is a class made from :class:`SourceOptions`.

    Attributes:
        name: as in ``mgenv collect source=<name>``.
        count: how many episodes there are; None where there is no end.
    """

    name: str
    count: int | None

    def record(self, number: int) -> Episode:
        """Episode ``number``, from 0, already checked.

        Raises:
            DataError: what it is made from is missing or damaged; names the file and what was
                expected.
            UnfitError: it cannot be in one dataset with the others.
        """
        ...

    def close(self) -> None:
        """End processes and files; recording later is an error."""
        ...
