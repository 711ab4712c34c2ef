"""The public Matrix-Game 3.0 weights as a world: a step is a clip.

The network makes 40 frames a call (56 at first). A step takes a motion for each frame, or one that
is held, and returns the last frame. Memory holds latents, is retrieved by the public rule, and
outlives episodes. Depth is 0 everywhere, and there are no collisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from mgenv.camera import ImageSize, picture_shape
from mgenv.errors import InvalidOptionError, check_integer
from mgenv.matrix_game3.memory.camera import FRAMES_PER_LATENT
from mgenv.matrix_game3.memory.latent_bank import LatentBank
from mgenv.matrix_game3.memory.memory_query import Recall, nearest_view
from mgenv.matrix_game3.network.conventions import actions_of, from_public, to_public
from mgenv.matrix_game3.rollout.rollout import Rollout, check_picture
from mgenv.matrix_game3.rollout.state import Clip, RolloutState
from mgenv.matrix_game3.slots import Slots
from mgenv.memory.threads import one_thread_on_cpu
from mgenv.worlds.base import Frame
from mgenv.worlds.checks import checked_motions, checked_poses
from mgenv.worlds.slots import SlotWorld
from mgenv.worlds.sources import engine_view

CANDIDATES = 2048
"""Most remembered frames that retrieval scores, evenly spread over all."""


class MatrixGame3World(SlotWorld):
    """N slots of the public model.

    Args:
        rollout: networks, prompt and sampler.
        num_envs: slots.
        image_size: height and width, or one side; divisible by 32.
        memory_frames: bound of each place's memory in latents, of four frames each.
        share_memory: slots in one world share what they remember.
        batch: slots that the network computes together. On a CPU, 1 is as fast, and a slot's
            pixels then do not depend on other slots.
    """

    kind = "matrix-game-3"
    memory: LatentBank

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
        super().__init__(num_envs, image_size, rollout.network.device)
        self.rollout, self.batch = rollout, check_integer("batch", batch, low=1)
        channels = rollout.network.config.in_dim
        self.memory = LatentBank(
            num_envs, image_size, rollout.encode, channels, memory_frames, share_memory
        )
        blank = np.zeros((1, *picture_shape(image_size), 3), np.uint8)
        self._slots = Slots.empty(num_envs, blank)

    @property
    def chunks(self) -> list[NDArray[np.uint8]]:
        """Every frame of each slot's last step, uint8 (F, H, W, 3).

        F is 57 (the first picture included) after an episode's first step, 40 after later ones,
        and 1 before the first.
        """
        return self._slots.chunks

    @property
    def frames_per_step(self) -> int:
        """New frames of a step, 40; the first step of an episode makes 16 more."""
        return FRAMES_PER_LATENT * self.rollout.latents_per_clip

    def motions_needed(self, slots: Sequence[int] | None = None) -> list[int]:
        """New frames of each slot's next step, and the most motions that it takes: 56, then 40."""
        return [self._new_frames(row) for row in self._rows(slots, begun=True)]

    # -- the spine -------------------------------------------------------------------------------

    @one_thread_on_cpu
    @torch.no_grad()
    def step(
        self,
        motion: ArrayLike | Sequence[ArrayLike],
        pose: ArrayLike | None = None,
        slots: Sequence[int] | None = None,
    ) -> Frame:
        """Make a clip and return its last frame; see :class:`mgenv.worlds.base.World`.

        Args:
            motion: (n, 5), held for the clip; (n, F, 5), where motion i leads to new frame i; or a
                sequence of n arrays of either kind. F is :meth:`motions_needed`, or
                :attr:`frames_per_step`; a longer first clip then holds the last motion.
            pose: None.
            slots: n of them, all by default.

        Raises:
            InvalidActionError: motions of another shape, not finite, or vertical.
            InvalidOptionError: a pose is given; the model moves by actions only.
        """
        rows = self._rows(slots, begun=True)
        if pose is not None:
            raise InvalidOptionError("pose: expected None; this model moves by keys and mouse only")
        if not rows:
            return self._nothing()
        lengths = [(self._new_frames(row), self.frames_per_step) for row in rows]
        wanted = checked_motions(motion, lengths)
        actions = {row: self._actions(row, one) for row, one in zip(rows, wanted, strict=True)}
        recalls = {row: self._recall(row) for row in rows}
        clips = [self._extend(part, actions, recalls) for part in self._parts(recalls)]
        for row, clip in (pair for part in clips for pair in part):
            self._record(row, clip)
        return self._frame(rows)

    def _new_frames(self, row: int) -> int:
        return FRAMES_PER_LATENT * self.rollout.new_latents(self._track(row))

    def _actions(self, row: int, motions: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and mouse of the current frame and of the clip's new frames.

        A frame's action leads to the next frame. The action of the clip's last frame is not known
        yet; the last motion is used for it.
        """
        frames, looks = self._new_frames(row) + 1, float(self._track(row).poses[-1, 3])
        held = motions[-1:].expand(frames - len(motions), -1)
        return actions_of(torch.cat([motions, held]), looks)

    def _parts(self, recalls: dict[int, Recall | None]) -> list[list[int]]:
        """Slots that the network can compute together, at most ``batch`` each."""
        alike: dict[tuple[bool, bool], list[int]] = {}
        for row, recall in recalls.items():
            key = (self._track(row).first, recall is not None)
            alike.setdefault(key, []).append(row)
        return [
            part[start : start + self.batch]
            for part in alike.values()
            for start in range(0, len(part), self.batch)
        ]

    def _recall(self, row: int) -> Recall | None:
        """Memory of the slot from before its next window."""
        track, known = self._track(row), self.memory.recall(row, CANDIDATES)
        return None if known is None else known.before(track.index, track.origin)

    def _extend(
        self,
        rows: list[int],
        actions: dict[int, tuple[Tensor, Tensor]],
        recalls: dict[int, Recall | None],
    ) -> list[tuple[int, Clip]]:
        pairs = [self._track(row).lead_on(*actions[row]) for row in rows]
        clips = self.rollout.extend(
            [self._track(row) for row in rows],
            [keyboard for keyboard, _ in pairs],
            [mouse for _, mouse in pairs],
            [recalls[row] for row in rows],
            [self._slots.generators[row] for row in rows],
        )
        return list(zip(rows, clips, strict=True))

    def _record(self, row: int, clip: Clip) -> None:
        """Set the slot's last clip, and remember its latents."""
        frames = clip.frames.cpu()
        latents = clip.latents.float().movedim(1, 0)  # (n, C, h, w)
        shown = frames[FRAMES_PER_LATENT - 1 + len(frames) % FRAMES_PER_LATENT :: FRAMES_PER_LATENT]
        for at, three in enumerate(zip(shown, latents, clip.poses, strict=True)):
            self.memory.store(row, *three, clip.index + at, observed=False)
        self._slots.chunks[row], self._slots.coverage[row] = frames.numpy(), clip.coverage

    # -- entering worlds -------------------------------------------------------------------------

    def seed(self, slots: Sequence[int], seeds: Sequence[int]) -> None:
        """Give each slot its own generator."""
        for row, seed in self._seeds(slots, seeds):
            self._slots.generators[row] = torch.Generator().manual_seed(seed)

    def _arrive(self, rows: list[int], ready: list[int]) -> None:
        for row in rows:
            self._slots.tracks[row] = None

    @one_thread_on_cpu
    @torch.no_grad()
    def begin(
        self,
        slots: Sequence[int],
        world_ids: Sequence[int],
        pose: ArrayLike | None = None,
        memory: str | Path = "keep",
    ) -> Frame:
        """Enter and return the remembered frame nearest to ``pose``, or else the engine's frame.

        The model continues pictures, so an episode begins at the pose of a picture, which is the
        frame's ``pose``.
        """
        rows = self._rows(slots)
        poses = [None] * len(rows) if pose is None else list(checked_poses(pose, len(rows)))
        self.enter(rows, world_ids, memory)
        for row, world_id, wanted in zip(rows, world_ids, poses, strict=True):
            known = int(self.memory.count([row])[0]) > 0
            rgb, start = self._known(row, wanted) if known else self._source(world_id, wanted)
            index, latent = self.memory.next_index(row), self.rollout.encode(rgb)
            if not known:
                self.memory.store(row, rgb, latent, start.expand(4, 5), index, observed=True)
            self._slots.tracks[row] = self.rollout.begin(latent, start, index)
            self._slots.chunks[row], self._slots.coverage[row] = rgb[None].numpy(), float(known)
        self._begun[rows] = True
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
        """Put observed frames into memory, one latent each; depth is not used."""
        seen = self._observations(slots, rgb, pose, None)
        none = np.zeros(seen.rgb.shape[1:4], np.float32)
        for row, colours, cameras in zip(seen.rows, seen.rgb, seen.pose, strict=True):
            self.memory.add([row] * len(colours), colours, none, cameras, observed=True)

    # -- state -----------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        self._rows(None)
        own = {"memory": self.memory.get_state(), "slots": self._slots.get_state()}
        return self._own() | own

    def set_state(self, state: dict[str, Any]) -> None:
        """Resume exactly.

        Raises:
            InvalidOptionError: the state is of another kind or size of world.
        """
        self._check_state(state)
        self.memory.set_state(state["memory"])
        self._slots.set_state(state["slots"])
        self._begun = np.array([track is not None for track in self._slots.tracks])

    def fork(self, from_slot: int, to_slots: Sequence[int]) -> None:
        """Make ``to_slots`` exact, independent copies of ``from_slot``."""
        source, rows = self._rows([from_slot])[0], self._rows(to_slots)
        self.memory.fork(source, rows)
        self._slots.fork(source, rows)
        self._begun[rows] = self._begun[source]

    # -- helpers ---------------------------------------------------------------------------------

    def _frame(self, rows: list[int]) -> Frame:
        poses = torch.stack([self._track(row).poses[-1] for row in rows])  # (n, 5)
        return Frame(
            rgb=np.stack([self._slots.chunks[row][-1] for row in rows]),
            depth=np.zeros((len(rows), *picture_shape(self.image_size)), np.float32),
            pose=from_public(poses).numpy(),
            bumped=np.zeros(len(rows), bool),
            coverage=self._slots.coverage[rows],
        )

    def _track(self, row: int) -> RolloutState:
        track = self._slots.tracks[row]
        assert track is not None, row
        return track
