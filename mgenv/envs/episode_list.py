"""Fixed episodes: drawn once, kept in a file, and played by every policy in every twin.

The file is JSON: format, version, the task and its options, what the places were remembered by,
and the episodes. Tasks whose goals are remembered frames (ImageNav, Recall) have no lists with
``memory="fresh"``: a fresh place holds no such frame when its episodes are played again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym

from mgenv.errors import EpisodeFileError, InvalidOptionError, check_integer
from mgenv.output import write_text
from mgenv.tasks.base import DEFAULT_DIFFICULTY
from mgenv.tasks.episode import Episode

FORMAT = "mgenv-episodes"
VERSION = 1

TASK_OPTIONS = ("difficulty", "goal_sensor", "stop", "odometry", "recall_memory")
"""Keyword arguments of the environments that belong to the task."""


@dataclass(frozen=True, kw_only=True)
class EpisodeList:
    """Episodes and what they are episodes of.

    Attributes:
        task: ``"pointnav"`` and the like.
        options: keyword arguments of the environments that belong to the task, ``difficulty``,
            ``goal_sensor`` and the like; those that are not there have their defaults.
        origin: what made the places: ``memory`` (``"scan"``, ``"fresh"`` or a file, then with its
            ``memory_sha256``), ``scan_frames``, ``image_size``.
        episodes: in the order in which they are played.
    """

    task: str
    options: dict[str, Any]
    origin: dict[str, Any]
    episodes: tuple[Episode, ...]

    @property
    def world_ids(self) -> list[int]:
        """Worlds that the episodes take place in."""
        return sorted({episode.world_id for episode in self.episodes})

    def save(self, path: str | Path) -> Path:
        """Write the file, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        head = {"format": FORMAT, "version": VERSION}
        values = head | asdict(self) | {"episodes": [one.as_dict() for one in self.episodes]}
        return write_text(path, _one_a_line(values) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> EpisodeList:
        """Read a file.

        Raises:
            EpisodeFileError: it is missing, damaged, no list of episodes or of another version.
        """
        values = _read(path)
        try:
            episodes = tuple(Episode.from_dict(one) for one in values["episodes"])
            known = {name: values[name] for name in ("task", "options", "origin")}
            _check_head(**known)
        except (KeyError, TypeError, InvalidOptionError) as error:
            raise EpisodeFileError(f"{path}: expected a list of episodes; got {error}") from error
        if not episodes:
            raise EpisodeFileError(f"{path}: expected at least one episode, got none")
        return cls(episodes=episodes, **known)

    def check(
        self,
        task: str | None = None,
        difficulty: str | None = None,
        world_ids: Sequence[int] | None = None,
        memory: str | None = None,
    ) -> None:
        """Prove that what was asked for beside the file is what these are episodes of.

        The memory file that they were drawn from must be the same still, asked for or not.

        Args:
            task, difficulty, world_ids, memory: as the environments take them; None for what was
                not asked for.

        Raises:
            EpisodeFileError: they are episodes of something else.
        """
        _expect("task", task, self.task)
        _expect("difficulty", difficulty, self.options.get("difficulty", DEFAULT_DIFFICULTY))
        self._check_worlds(world_ids)
        self._check_memory(memory)

    def _check_memory(self, memory: str | None) -> None:
        """Compare files by what they hold, so that a copy is as good."""
        content = self.origin.get("memory_sha256")
        if content is None:
            _expect("memory", memory, self.origin["memory"])
        else:
            used = self.origin["memory"] if memory is None else memory
            _expect("memory_sha256", origin_of(used).get("memory_sha256", used), content)

    def _check_worlds(self, world_ids: Sequence[int] | None) -> None:
        missing = [] if world_ids is None else sorted(set(self.world_ids) - set(world_ids))
        if missing:
            raise EpisodeFileError(
                f"episodes: expected world ids {sorted(set(world_ids or ()))}, got {missing} too"
            )


def origin_of(memory: str, **numbers: Any) -> dict[str, Any]:
    """What places are remembered by, with the hash of a file."""
    origin = {"memory": memory, **numbers}
    if memory in ("scan", "fresh"):
        return origin
    return origin | {"memory_sha256": sha256(memory)}


def sha256(path: str | Path) -> str:
    """The hash of a file's content.

    Raises:
        EpisodeFileError: it cannot be read.
    """
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise EpisodeFileError(f"Expected a file at {path}; got: {error}") from error


def draw_episodes(envs: gym.vector.VectorEnv, count: int, seed: int) -> tuple[Episode, ...]:
    """The first episodes of ``count`` slots with seeds ``seed``, ``seed`` + 1, …

    Args:
        envs: whose own draw it is; reset here.

    Raises:
        InvalidOptionError: their goals are frames that only these environments remember.
    """
    drawn: list[Episode] = []
    base: Any = envs.unwrapped
    if not base.replayable:
        raise InvalidOptionError(
            f"memory: expected 'scan' or a file for episodes of {base.task}, whose goals are "
            "remembered frames, got 'fresh'"
        )
    for first in range(seed, seed + count, envs.num_envs):
        base.reset(seed=first)
        drawn += base.episodes()
    return tuple(drawn[:count])


def _read(path: str | Path) -> Mapping[str, Any]:
    try:
        values = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise EpisodeFileError(f"{path}: expected a file of episodes; got {error}") from error
    head = values if isinstance(values, dict) else {}
    for name, expected in (("format", FORMAT), ("version", VERSION)):
        if head.get(name) != expected:
            raise EpisodeFileError(f"{path}: expected {name} {expected!r}, got {head.get(name)!r}")
    return head


def _check_head(task: Any, options: Any, origin: Any) -> None:
    """Raise an InvalidOptionError unless these are what a list says of its episodes."""
    for name, value, kind in (
        ("task", task, str), ("options", options, dict), ("origin", origin, dict)
    ):  # fmt: skip
        if not isinstance(value, kind):
            raise InvalidOptionError(f"{name}: expected a {kind.__name__}, got {value!r}")
    known = (*TASK_OPTIONS, "max_episode_steps")
    if unknown := sorted(set(options) - set(known)):
        raise InvalidOptionError(f"options: expected some of {known}, got {unknown}")
    for name in {"memory", "memory_sha256"} & {"memory", *origin}:
        if not isinstance(origin.get(name), str):
            raise InvalidOptionError(f"origin: expected {name} a str, got {origin.get(name)!r}")
    check_integer("origin: scan_frames", origin.get("scan_frames"), low=1)


def _expect(name: str, asked: Any, mine: Any) -> None:
    if asked is not None and asked != mine:
        raise EpisodeFileError(f"episodes: expected {name} {asked!r}, got {mine!r}")


def _one_a_line(values: dict[str, Any]) -> str:
    """JSON with an episode a line."""
    rest = json.dumps({name: value for name, value in values.items() if name != "episodes"})
    lines = ",\n  ".join(json.dumps(episode) for episode in values["episodes"])
    return f'{rest[:-1]},\n "episodes": [\n  {lines}\n ]\n}}'
