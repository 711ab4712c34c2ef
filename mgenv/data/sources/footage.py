"""Posed footage into episodes: what the importers of real recordings share.

An importer reads its format into recordings (:class:`Recording`). Here they are cut into episodes,
pictures are cropped to the middle square and averaged down, and motions are read off the poses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mgenv.data.actions import BUTTON_NAMES, infer_buttons
from mgenv.data.episode import Episode, check_rigid
from mgenv.data.sources.base import SourceOptions, UnfitError
from mgenv.data.sources.captioning import make_captioner
from mgenv.data.sources.pictures import Lens, depth_as, read_depth, read_picture, square
from mgenv.data.sources.rates import thinned, usual_rate
from mgenv.errors import ClosedError, DataError, InvalidOptionError, UnknownNameError

VARIANTS = ("motions", "buttons")
"""Actions of footage: its motions, or a game's buttons inferred from the poses."""
SHORTEST = 2
"""Frames of the shortest episode: one alone has no motion."""
SLOWER = "slower than the others"
"""Fault of episodes with too few frames per second."""


@dataclass(frozen=True)
class PosedFrame:
    """One picture and whence it was taken.

    Attributes:
        image: its file; in a video, the video.
        pose: (4, 4) camera-to-world in our conventions, before any check.
        lens: of the whole picture.
        depth: its depth map's file; None where there is none.
    """

    image: Path
    pose: NDArray[np.float64]
    lens: Lens
    depth: Path | None = None


@dataclass(frozen=True)
class Recording:
    """One camera's footage.

    Attributes:
        name: by which captions call it.
        file: the file or folder of its poses, for errors.
        frames: in order; None where the pose is unknown, which parts what is before and after.
        fps: frames a second.
        depth_unit: metres of one count in depth maps.
        depth_lens: where it is not the pictures'.
    """

    name: str
    file: Path
    frames: list[PosedFrame | None]
    fps: int = 30
    depth_unit: float = 1e-3
    depth_lens: Lens | None = None

    @property
    def posed(self) -> int:
        """How many frames have poses."""
        return sum(frame is not None for frame in self.frames)

    @property
    def has_depth(self) -> bool:
        """Whether any frame has."""
        return any(frame is not None and frame.depth is not None for frame in self.frames)

    def pictures(self, indices: Sequence[int]) -> Iterator[Image.Image]:
        """The pictures of those frames, in order."""
        for index in indices:
            frame = self.frames[index]
            assert frame is not None, "pieces hold no frame without a pose"
            yield read_picture(frame.image)


class FootageSource(ABC):
    """Episodes from recordings that lie on disk, in order; each importer reads one format.

    Footage is cut into pieces of ``episode_frames``, and wherever a pose is missing or the lens
    changes; pieces of a single frame are left out. An episode is named after its recording and the
    number of its first frame.

    Recordings may differ in what a dataset must have in common. Its rate is that of most frames: of
    faster recordings the nearest frames are taken, and slower ones are not recorded
    (:class:`mgenv.data.sources.UnfitError`). If any recording has depth, it is 0, unknown, in those
    that have none.

    ``variant=buttons`` is for footage of games: actions are the buttons that the poses imply.
    """

    name = ""

    def __init__(self, options: SourceOptions) -> None:
        if options.episode_frames < SHORTEST:
            raise InvalidOptionError(
                f"Expected episode_frames of at least {SHORTEST}, got {options.episode_frames}"
            )
        if options.variant not in ("", *VARIANTS):
            raise UnknownNameError("variant of footage", options.variant, VARIANTS)
        self.options = options
        self._caption = make_captioner(options.captions)
        self._closed = False
        recordings = list(self.recordings())
        for recording in recordings:
            _check(recording)
        self._rate = usual_rate((r.fps, r.posed) for r in recordings)
        self._pieces = [(r, p) for r in recordings for p in self._cut(r)]
        self._has_depth = any(recording.has_depth for recording, _ in self._pieces)
        if not self._pieces:
            raise DataError(
                f"{options.path}: expected at least {SHORTEST} frames in a row with poses and the "
                "same lens"
            )
        self.count: int | None = len(self._pieces)

    @abstractmethod
    def recordings(self) -> Iterable[Recording]:
        """All that ``options.path`` holds.

        Raises:
            DataError: missing, damaged, or not of this format.
        """

    def record(self, number: int) -> Episode:
        """Episode ``number``, from 0.

        Raises:
            DataError: a file is missing or damaged.
            UnfitError: its recording is slower than the others.
            InvalidOptionError: there is no such episode.
        """
        if self._closed:
            raise ClosedError(f"The source {self.name!r} is closed")
        if not 0 <= number < len(self._pieces):
            raise InvalidOptionError(
                f"{self.options.path}: expected an episode from 0 to {len(self._pieces) - 1}, "
                f"got {number}"
            )
        recording, piece = self._pieces[number]
        if recording.fps < self._rate:
            raise UnfitError(
                f"{recording.file}: expected at least {self._rate} frames a second, as most of "
                f"{self.options.path} has, got {recording.fps}",
                SLOWER,
            )
        return self._episode(recording, piece)

    def close(self) -> None:
        """Record no more."""
        self._closed = True

    def _cut(self, recording: Recording) -> list[list[int]]:
        """The frames of each episode of a recording, at the common rate if it is that fast."""
        kept = list(range(len(recording.frames)))
        if recording.fps > self._rate:
            kept = thinned(len(kept), recording.fps, self._rate)
        frames = [recording.frames[index] for index in kept]
        pieces = pieces_of(frames, self.options.episode_frames)
        return [kept[piece.start : piece.stop] for piece in pieces]

    def _episode(self, recording: Recording, piece: list[int]) -> Episode:
        frames = [frame for i in piece if (frame := recording.frames[i]) is not None]
        size = self.options.image_size
        shots = [
            square(picture, frame.lens, size, frame.image)
            for picture, frame in zip(recording.pictures(piece), frames, strict=True)
        ]
        intrinsics = shots[0][1]
        for frame, (_, other) in zip(frames, shots, strict=True):
            if not Lens(other).is_like(Lens(intrinsics)):
                raise DataError(
                    f"{frame.image}: expected the shape of the pictures before it, got another"
                )
        pose = np.stack([frame.pose for frame in frames]).astype(np.float32)
        depths = _depths(recording, frames) if self._has_depth else None
        rgb = np.stack([rgb for rgb, _ in shots])
        episode = Episode.from_poses(
            rgb,
            pose,
            intrinsics=intrinsics,
            source=self.name,
            name=f"{recording.name}-{piece[0]:06d}",
            depth=None if depths is None else np.stack([
                depth_as(depth, lens, intrinsics, size) for depth, lens in depths
            ]),
            fps=self._rate,
            captions=self._caption(recording.name, rgb),
        )  # fmt: skip
        if self.options.variant != "buttons":
            return episode
        return replace(episode, action=infer_buttons(pose), action_names=BUTTON_NAMES).check()


def pieces_of(frames: list[PosedFrame | None], ticks: int) -> list[range]:
    """Runs of frames that have poses and share a lens, at most ``ticks`` and at least 2 long."""
    pieces: list[range] = []
    for index, frame in enumerate(frames):
        if frame is None:
            continue
        last = pieces[-1] if pieces else range(0)
        first = frames[last.start] if last else None
        joins = first is not None and last.stop == index and len(last) < ticks
        if joins and first is not None and first.lens.is_like(frame.lens):
            pieces[-1] = range(last.start, index + 1)
        else:
            pieces.append(range(index, index + 1))
    return [piece for piece in pieces if len(piece) >= SHORTEST]


def _check(recording: Recording) -> None:
    """Prove that all poses are finite and rigid before any picture is read."""
    poses = [frame.pose for frame in recording.frames if frame is not None]
    if not poses:
        return
    pose = np.stack(poses).astype(np.float32)
    if not np.isfinite(pose).all():
        tick = int((~np.isfinite(pose).all((1, 2))).argmax())
        raise DataError(f"{recording.file}: expected finite poses; number {tick} is not")
    try:
        check_rigid(pose, str(recording.file))
    except InvalidOptionError as error:
        raise DataError(str(error)) from error


def _depths(
    recording: Recording, frames: list[PosedFrame]
) -> list[tuple[NDArray[np.float32], Lens]]:
    """Each frame's depth, 0 where it has none, and the lens that measured it."""
    unknown = np.zeros((1, 1), np.float32)
    unit = recording.depth_unit
    return [
        (read_depth(frame.depth, unit) if frame.depth else unknown,
         recording.depth_lens or frame.lens)
        for frame in frames
    ]  # fmt: skip
