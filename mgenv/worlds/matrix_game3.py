"""The public Matrix-Game 3.0 weights as a world: a step is a clip.

The network makes 40 frames a call (56 at first), so a step holds its action for all of them and
shows the last. Memory is of latents, chosen by the public rule, and outlives episodes. There is
no depth (0 everywhere) and no wall stops the camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from mgenv.camera import MOTION_SIZE, ImageSize, picture_shape
from mgenv.errors import ClosedError, InvalidActionError, InvalidOptionError, NotResetError
from mgenv.memory.threads import one_thread_on_cpu
from mgenv.models.matrix_game3.camera import DEGREES_PER_UNIT, FRAMES_PER_LATENT
from mgenv.models.matrix_game3.conventions import from_public, held_actions, to_public
from mgenv.models.matrix_game3.folder import Folder
from mgenv.models.matrix_game3.latent_bank import LatentBank
from mgenv.models.matrix_game3.recall import Recall, nearest_view
from mgenv.models.matrix_game3.rollout import PAST_LATENTS, Clip, Rollout, Track, check_picture
from mgenv.worlds.base import Frame
from mgenv.worlds.sources import engine_view

CANDIDATES = 2048
"""Remembered frames that are scored at most, evenly spread over all: bounds the cost."""


class MatrixGame3World:
    """N slots of the public model.

    Args:
        rollout: networks, prompt and sampler.
        num_envs: slots.
        image_size: height and width, or one side; divisible by 32.
        memory_frames: bound of each place's memory in latents, which stand for four frames each.
        share_memory: slots in one world share what they remember.
        batch: slots that go through the network together. On a CPU one by one is as fast, and
            a slot's pixels then never depend on the others.

    Attributes:
        chunks: every frame of each slot's last step, uint8 (F, H, W, 3): 57 with the first picture
            after the first step of an episode, 40 later, 1 where it has just begun.
    """

    def __init__(
        self,
        rollout: Rollout,
        num_envs: int = 1,
        image_size: ImageSize = (704, 1280),
        memory_frames: int = 512,
        share_memory: bool = False,
        batch: int = 1,
    ) -> None:
        check_picture(*picture_shape(image_size))
        if num_envs < 1 or batch < 1:
            raise InvalidOptionError(
                f"num_envs, batch: expected at least 1, got {num_envs}, {batch}"
            )
        self.num_envs, self.image_size, self.batch = num_envs, image_size, batch
        self.rollout, self.device = rollout, rollout.network.device
        channels = rollout.network.config.in_dim
        self.memory = LatentBank(
            num_envs, image_size, rollout.encode, channels, memory_frames, share_memory
        )
        self._tracks: list[Track | None] = [None] * num_envs
        self._generators = [torch.Generator().manual_seed(slot) for slot in range(num_envs)]
        blank = np.zeros((1, *picture_shape(image_size), 3), np.uint8)
        self.chunks: list[NDArray[np.uint8]] = [blank] * num_envs
        self._coverage = np.zeros(num_envs, np.float32)
        self._closed = False

    @classmethod
    def load(
        cls,
        weights: str | Path,
        num_envs: int = 1,
        device: str = "cpu",
        image_size: ImageSize | None = None,
        *,
        vae: str = "whole",
        base_model: bool = False,
        sampling_steps: int | None = None,
        guidance: float | None = None,
        prompt: str = "",
        negative_prompt: str = "",
        frames_per_step: int = 40,
        **options: Any,
    ) -> MatrixGame3World:
        """From a folder of weights, see :mod:`mgenv.models.matrix_game3.folder`.

        Args:
            image_size: the folder's own where None, 704×1280 for the public weights.
            vae: ``"whole"``, ``"light"`` or ``"light_v2"``.
            base_model: the one before distillation.
            sampling_steps: 3, or 50 for the base model, where None.
            guidance: 1 (none), or 5 for the base model, where None.
            prompt, negative_prompt: of all slots.
            frames_per_step: a multiple of 4 from 16 up; the model was trained with 40.
            options: of the constructor.

        Raises:
            CheckpointError: the folder lacks something, or holds another model.
            InvalidOptionError: another argument is not what is accepted.
        """
        _check_frames(frames_per_step)
        if image_size is not None:
            check_picture(*picture_shape(image_size))
        folder, place = Folder.open(weights, vae, base_model), torch.device(device)
        texts = [folder.text(words, place) for words in (prompt, negative_prompt)]
        network, autoencoder = folder.read(place)
        rollout = Rollout(
            network,
            autoencoder,
            texts[0],
            steps=sampling_steps or (50 if base_model else 3),
            guidance=guidance or (5.0 if base_model else 1.0),
            negative=texts[1],
            latents_per_clip=frames_per_step // FRAMES_PER_LATENT,
        )
        return cls(rollout, num_envs, image_size or folder.image_size, **options)

    # -- the spine -------------------------------------------------------------------------------

    @one_thread_on_cpu
    @torch.no_grad()
    def step(
        self, motion: ArrayLike, pose: ArrayLike | None = None, slots: Sequence[int] | None = None
    ) -> Frame:
        """Hold a motion for a clip, show its last frame; see :class:`mgenv.worlds.base.World`.

        Raises:
            InvalidActionError: motions of another shape, not finite, or up or down.
            InvalidOptionError: a pose, which this model cannot be told.
        """
        rows = self._rows(slots, begun=True)
        if pose is not None:
            raise InvalidOptionError("pose: expected None; this model moves by keys and mouse only")
        actions = {row: self._actions(row, wanted) for row, wanted in self._motion(motion, rows)}
        for part in self._parts(rows):
            self._extend(part, actions)
        return self._frame(rows)

    def _actions(self, row: int, motion: Tensor) -> tuple[Tensor, Tensor]:
        track = self._track(row)
        pending = float(track.mouse[-1, 0]) * DEGREES_PER_UNIT if len(track.mouse) else 0.0
        looks = float(track.poses[-1, 3]) + pending
        return held_actions(motion, self.rollout.actions_needed(track), looks)

    def _parts(self, rows: list[int]) -> list[list[int]]:
        """Slots that can go through the network together, ``batch`` at most."""
        alike: dict[tuple[bool, bool], list[int]] = {}
        for row in rows:
            key = (self._track(row).first, self._recall(row) is not None)
            alike.setdefault(key, []).append(row)
        return [
            part[start : start + self.batch]
            for part in alike.values()
            for start in range(0, len(part), self.batch)
        ]

    def _recall(self, row: int) -> Recall | None:
        """What the slot remembers from before its next window."""
        track, known = self._track(row), self.memory.recall(row, CANDIDATES)
        return None if known is None else known.before(track.index, track.origin)

    def _extend(self, rows: list[int], actions: dict[int, tuple[Tensor, Tensor]]) -> None:
        clips = self.rollout.extend(
            [self._track(row) for row in rows],
            [actions[row][0] for row in rows],
            [actions[row][1] for row in rows],
            [self._recall(row) for row in rows],
            [self._generators[row] for row in rows],
        )
        for row, clip in zip(rows, clips, strict=True):
            self._record(row, clip)

    def _record(self, row: int, clip: Clip) -> None:
        """The clip is what the slot saw last, and its latents are remembered."""
        frames = clip.frames.cpu()
        latents = clip.latents.float().movedim(1, 0)  # (n, C, h, w)
        shown = frames[FRAMES_PER_LATENT - 1 + len(frames) % FRAMES_PER_LATENT :: FRAMES_PER_LATENT]
        for at, three in enumerate(zip(shown, latents, clip.poses, strict=True)):
            self.memory.store(row, *three, clip.index + at, observed=False)
        self.chunks[row], self._coverage[row] = frames.numpy(), clip.coverage

    # -- entering worlds -------------------------------------------------------------------------

    def seed(self, slots: Sequence[int], seeds: Sequence[int]) -> None:
        """Give each slot its own generator."""
        for row, seed in zip(self._rows(slots), seeds, strict=True):
            self._generators[row] = torch.Generator().manual_seed(int(seed))

    def enter(
        self, slots: Sequence[int], world_ids: Sequence[int], memory: str | Path = "keep"
    ) -> None:
        """Move slots into worlds without looking; see :class:`mgenv.worlds.base.World`."""
        rows = self._rows(slots)
        if len(rows) != len(world_ids):
            raise InvalidOptionError(f"world_ids: expected {len(rows)}, got {len(world_ids)}")
        if memory not in ("keep", "clear"):
            self.memory.load(memory, rows)
        self.memory.enter(rows, world_ids)
        if memory == "clear":
            self.memory.clear(rows)
        for row in rows:
            self._tracks[row] = None

    @one_thread_on_cpu
    @torch.no_grad()
    def begin(
        self,
        slots: Sequence[int],
        world_ids: Sequence[int],
        pose: ArrayLike | None = None,
        memory: str | Path = "keep",
    ) -> Frame:
        """Enter and look: at the remembered frame nearest to ``pose``, else at the source's frame.

        The model continues pictures, so an episode begins where one was seen; the frame's own
        pose says where that is.
        """
        rows = self._rows(slots)
        poses = [None] * len(rows) if pose is None else list(_checked_poses(pose, len(rows)))
        self.enter(rows, world_ids, memory)
        for row, world_id, wanted in zip(rows, world_ids, poses, strict=True):
            known = int(self.memory.count([row])[0]) > 0
            rgb, start = self._known(row, wanted) if known else self._source(world_id, wanted)
            index, latent = self.memory.next_index(row), self.rollout.encode(rgb)
            if not known:
                self.memory.store(row, rgb, latent, start.expand(4, 5), index, observed=True)
            self._tracks[row] = self.rollout.begin(latent, start, index)
            self.chunks[row], self._coverage[row] = rgb[None].numpy(), float(known)
        return self._frame(rows)

    def _known(self, row: int, wanted: Tensor | None) -> tuple[Tensor, Tensor]:
        """A remembered picture uint8 (H, W, 3) and its public pose (5,)."""
        at = 0 if wanted is None else nearest_view(self.memory.poses(row), wanted)
        return self.memory.picture(row, at)

    def _source(self, world_id: int, wanted: Tensor | None) -> tuple[Tensor, Tensor]:
        """The engine's picture uint8 (H, W, 3) and its public pose (5,)."""
        given = None if wanted is None else wanted.numpy()
        rgb, _, seen_from = engine_view(world_id, self.image_size, given)
        return torch.from_numpy(rgb), to_public(torch.from_numpy(seen_from))

    @torch.no_grad()
    def remember(
        self, slots: Sequence[int], rgb: ArrayLike, pose: ArrayLike, depth: ArrayLike | None = None
    ) -> None:
        """Put observed frames into memory, each a latent of its own; depth is not used."""
        rows, colours = self._rows(slots), np.asarray(rgb)
        height, width = picture_shape(self.image_size)
        frames = colours.shape[1] if colours.ndim == 5 else 0
        if colours.dtype != np.uint8 or colours.shape != (len(rows), frames, height, width, 3):
            raise InvalidOptionError(
                f"rgb: expected uint8 ({len(rows)}, T, {height}, {width}, 3), "
                f"got {colours.dtype} {colours.shape}"
            )
        poses = _checked_poses(np.asarray(pose).reshape(-1, 4, 4), len(rows) * frames)
        none = np.zeros((frames, height, width), np.float32)
        for row, seen, cameras in zip(rows, colours, poses.split(frames), strict=True):
            self.memory.add([row] * frames, seen, none, cameras, observed=True)

    # -- state -----------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        self._rows(None)
        return {
            "memory": self.memory.get_state(),
            "tracks": [track and track.get_state() for track in self._tracks],
            "generators": [generator.get_state() for generator in self._generators],
            "chunks": [chunk.copy() for chunk in self.chunks],
            "coverage": self._coverage.copy(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Resume exactly."""
        self._rows(None)
        self.memory.set_state(state["memory"])
        self._tracks = [track and Track.from_state(track) for track in state["tracks"]]
        for generator, value in zip(self._generators, state["generators"], strict=True):
            generator.set_state(value)
        self.chunks = [chunk.copy() for chunk in state["chunks"]]
        self._coverage = state["coverage"].copy()

    def fork(self, from_slot: int, to_slots: Sequence[int]) -> None:
        """Make ``to_slots`` exact, independent copies of ``from_slot``."""
        source, rows = self._rows([from_slot])[0], self._rows(to_slots)
        self.memory.fork(source, rows)
        for row in rows:
            track = self._tracks[source]
            self._tracks[row] = track and track.copy()
            self._generators[row].set_state(self._generators[source].get_state())
            self.chunks[row] = self.chunks[source].copy()
            self._coverage[row] = self._coverage[source]

    def close(self) -> None:
        """Later use raises :class:`ClosedError`."""
        self._closed = True

    # -- helpers ---------------------------------------------------------------------------------

    def _frame(self, rows: list[int]) -> Frame:
        poses = torch.stack([self._track(row).poses[-1] for row in rows])  # (n, 5)
        return Frame(
            rgb=np.stack([self.chunks[row][-1] for row in rows]),
            depth=np.zeros((len(rows), *picture_shape(self.image_size)), np.float32),
            pose=from_public(poses).numpy(),
            bumped=np.zeros(len(rows), bool),
            coverage=self._coverage[rows],
        )

    def _track(self, row: int) -> Track:
        track = self._tracks[row]
        assert track is not None, row
        return track

    def _rows(self, slots: Sequence[int] | None, begun: bool = False) -> list[int]:
        if self._closed:
            raise ClosedError("Expected an open world; this one has been closed.")
        rows = list(range(self.num_envs)) if slots is None else [int(slot) for slot in slots]
        wrong = [row for row in rows if not 0 <= row < self.num_envs]
        if wrong:
            raise InvalidOptionError(f"slots: expected 0 … {self.num_envs - 1}, got {wrong}")
        waiting = [row for row in rows if self._tracks[row] is None]
        if begun and waiting:
            raise NotResetError(f"Slots {waiting} have not begun; call begin (or reset) first.")
        return rows

    def _motion(self, motion: ArrayLike, rows: list[int]) -> list[tuple[int, Tensor]]:
        wanted = np.asarray(motion, np.float64)
        if wanted.shape != (len(rows), MOTION_SIZE) or not np.isfinite(wanted).all():
            raise InvalidActionError(
                f"motion: expected finite ({len(rows)}, {MOTION_SIZE}), got shape {wanted.shape}"
                f"{'' if np.isfinite(wanted).all() else ' with NaN or inf'}"
            )
        return list(zip(rows, torch.from_numpy(wanted), strict=True))


def _checked_poses(pose: ArrayLike, count: int) -> Tensor:
    poses = np.array(pose, np.float32)
    if poses.shape != (count, 4, 4) or not np.isfinite(poses).all():
        raise InvalidOptionError(f"pose: expected finite ({count}, 4, 4), got {poses.shape}")
    return torch.from_numpy(poses)


def _check_frames(frames: int) -> None:
    least = FRAMES_PER_LATENT * PAST_LATENTS
    if not isinstance(frames, int) or frames < least or frames % FRAMES_PER_LATENT:
        raise InvalidOptionError(
            f"frames_per_step: expected a multiple of {FRAMES_PER_LATENT} from {least} up, "
            f"got {frames!r}"
        )
