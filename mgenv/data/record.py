"""Coordination of recording: plans jobs, runs them, and commits shards in order."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mgenv.config import group, option, part, settings
from mgenv.data import lerobot
from mgenv.data.backends import BACKENDS, Job
from mgenv.data.commit_shards import ShardCommitter
from mgenv.data.filters import FilterConfig
from mgenv.data.shards import STAGING, staged
from mgenv.data.sources import SOURCES, SourceOptions, make_source
from mgenv.data.videos import LAYOUTS
from mgenv.errors import DataError, InvalidOptionError, UnknownNameError
from mgenv.output import prepare_folder

FRUITLESS = 200
"""Episodes in a row that may be dropped before an endless source is given up."""

PLAN = "meta/collect.json"
"""With which settings a dataset was begun."""


@settings
class CollectConfig:
    """A collection."""

    source: str = option(
        "engine",
        "engine, vizdoom, openarena, panorama, frames, realestate10k, nerfstudio, colmap, tum, "
        "scannet or package.module:Class",
    )
    out: str = option("runs/data", "folder of the dataset; an existing one is continued")
    frames: int = option(5000, "frames of the dataset at least; 0: all there are")
    workers: int = option(1, "processes")
    backend: str = option(
        "local", "local, or ray: Ray tasks on this host or (RAY_ADDRESS) a cluster"
    )
    path: str = option("", "file or folder of the footage, or of a game's files")
    image_size: int = option(64, "pixels along a side")
    episode_frames: int = option(100, "ticks of an episode; longer footage is cut")
    seed: int = option(0, "of all random draws")
    captions: str = option(
        "", "of footage: a JSON file by recording, or package.module:function of name and pictures"
    )
    variant: str = option(
        "", "which kind of the source; of games' footage, buttons: actions inferred from poses"
    )
    shard_episodes: int = option(16, "episodes a file")
    colours: str = option(
        "rgb", "rgb, or yuv420p, which every player can show and which blurs colours"
    )
    filters: FilterConfig = group(FilterConfig, "an episode is dropped, and counted, above these")

    @property
    def options(self) -> SourceOptions:
        """What the source is made from."""
        return part(self, SourceOptions)


@dataclass
class Progress:
    """How far a collection is.

    Attributes:
        episodes, frames: in the dataset. dropped: episodes, by filter. done: whether it has ended.
    """

    episodes: int
    frames: int
    dropped: dict[str, int]
    done: bool = False


def collect(
    config: CollectConfig, report: Callable[[Progress], None] = lambda progress: None
) -> Progress:
    """Record until the dataset has as many frames as asked for.

    Raises:
        UnknownNameError, InvalidOptionError: a setting that means nothing.
        DataError: the source's files, or a dataset that was begun with other settings.
        OutputError: the folder cannot be written; shards that are done stay as they are.
    """
    check(config)
    if config.path:
        config = replace(config, path=str(Path(config.path).expanduser().absolute()))
    root = prepare_folder(config.out)
    source = make_source(config.source, config.options)
    count = source.count
    source.close()
    if config.frames == 0 and count is None:
        raise InvalidOptionError(f"frames: {config.source} has no end; expected at least 1, got 0")
    with _alone(root):
        _check_plan(root, config)
        return _run(root, config, count, report)


def _run(
    root: Path, config: CollectConfig, count: int | None, report: Callable[[Progress], None]
) -> Progress:
    committer = ShardCommitter(root, config.source)
    committer.describe()

    def progress(done: bool = False) -> Progress:
        now = Progress(committer.episodes, committer.frames, dict(Counter(committer.dropped)), done)
        report(now)
        return now

    progress()
    with BACKENDS[config.backend](config.workers) as backend:
        waiting: list[tuple[Job, Any]] = []
        plan = _plan(committer, config, count)
        _clear_staging(root, committer)
        fruitless = 0
        while True:
            while len(waiting) < max(1, 2 * config.workers):
                job = next(plan, None)
                if job is None:
                    break
                waiting.append((job, backend.submit(job)))
            if not waiting:
                break
            job, pending = waiting.pop(0)
            backend.wait(job, pending)
            kept = committer.commit(staged(root, job.first, job.last)).episodes
            progress()
            fruitless = 0 if kept else fruitless + job.last - job.first
            if fruitless >= FRUITLESS and count is None:
                raise DataError(
                    f"{config.source}: expected some of {fruitless} episodes to be worth keeping; "
                    f"dropped {dict(committer.dropped)}"
                )
            if config.frames and committer.frames >= config.frames:
                break
            if not waiting:  # what was planned fell short, since episodes were dropped
                plan = _plan(committer, config, count)
    shutil.rmtree(root / STAGING, ignore_errors=True)
    if not committer.episodes:
        raise DataError(
            f"{config.source}: expected some episodes to be worth keeping; "
            f"dropped {dict(committer.dropped)}"
        )
    return progress(True)


def _plan(committer: ShardCommitter, config: CollectConfig, count: int | None) -> Iterator[Job]:
    """Shards from where the dataset ends, as if nothing were dropped."""
    first, frames = committer.next, committer.frames
    while not config.frames or frames < config.frames:
        size = config.shard_episodes
        if config.frames:
            size = min(size, -(-(config.frames - frames) // config.episode_frames))
        last = first + size if count is None else min(first + size, count)
        if last <= first:
            return
        yield Job(
            str(committer.root), config.source, config.options, first, last, config.filters,
            config.colours,
        )  # fmt: skip
        frames += (last - first) * config.episode_frames
        first = last


def _clear_staging(root: Path, committer: ShardCommitter) -> None:
    """Drop folders that were cut off, and whole ones that belong to the dataset already."""
    folder = root / STAGING
    for shard in folder.glob("*") if folder.exists() else ():
        first, _, last = shard.name.partition("-")
        whole = first.isdigit() and last.isdigit()
        if not whole or int(first) < committer.next:
            shutil.rmtree(shard, ignore_errors=True)


def check(config: CollectConfig) -> None:
    """Refuse settings that mean nothing, before any work."""
    SOURCES.check(config.source)
    for kind, name, known in (
        ("backend", config.backend, BACKENDS),
        ("colours", config.colours, [n for n in LAYOUTS if n not in ("depth", "labels")]),
    ):
        if name not in known:
            raise UnknownNameError(kind, name, known)
    if config.colours == "yuv420p" and config.image_size % 2:
        raise InvalidOptionError(f"image_size: yuv420p is of even sizes, got {config.image_size}")
    least = {"workers": 1, "shard_episodes": 1, "episode_frames": 2, "image_size": 8}
    least |= {"frames": 0, "seed": 0}
    for name, lowest in least.items():
        if getattr(config, name) < lowest:
            got = getattr(config, name)
            raise InvalidOptionError(f"{name}: expected at least {lowest}, got {got}")


def _check_plan(root: Path, config: CollectConfig) -> None:
    """A dataset goes on only as it was begun; how much, by whom and where may change."""
    asked = asdict(config)
    for name in ("out", "frames", "workers", "backend"):
        del asked[name]
    file = root / PLAN
    if not file.exists():
        if (root / lerobot.INFO).exists():
            raise DataError(f"{root}: expected an empty folder or a dataset of `mgenv collect`")
        lerobot.write_json(file, asked)
        return
    begun = lerobot.read_json(file)
    differ = [name for name in asked if begun.get(name) != asked[name]]
    if differ:
        was = ", ".join(f"{name}={begun.get(name)!r}" for name in differ)
        raise DataError(
            f"{root}: expected the settings it was begun with ({was}); take another out"
        )


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Keep other collections out of the folder."""
    with open(root / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(f"{root}: expected no other collection at work there") from error
        yield
