"""The public rollout: clips in sequence, each from the clean end of the last and from memory.

The first clip continues a picture: 1 clean latent and 14 new ones, 57 frames. Later clips
continue 4 clean latents (16 frames) by 10 new ones, 40 frames. A network call then sees 15 or 14
latents, and 5 remembered ones in front of them. With another ``latents_per_clip`` k the first clip
makes k + 4 new latents and later ones k.

Legend: B slots, C latent channels, P past latents, T latents of a clip, F its frames, M memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from mgenv.errors import InvalidActionError, InvalidOptionError, UnknownNameError
from mgenv.matrix_game3.memory.camera import FRAMES_PER_LATENT, camera_to_world
from mgenv.matrix_game3.memory.memory_query import Recall, RetrievedMemory
from mgenv.matrix_game3.network.attention import attention_kernels
from mgenv.matrix_game3.network.conditions import Prompt
from mgenv.matrix_game3.network.mixture import Mixture
from mgenv.matrix_game3.network.transformer import Transformer
from mgenv.matrix_game3.rollout.clips import (
    REUSE,
    ClipConditions,
    clip_conditions,
    sample_clip,
)
from mgenv.matrix_game3.rollout.frames import BackgroundDecoder
from mgenv.matrix_game3.rollout.state import Clip, RolloutState, extended
from mgenv.matrix_game3.vae.parallel_decoder import ParallelDecoder
from mgenv.matrix_game3.vae.streaming import StreamingDecoder
from mgenv.matrix_game3.vae.vae import VideoVAE

PAST_LATENTS = 4
"""Clean latents that a later clip continues."""

LATENTS_PER_CLIP = 10
"""New ones that the public code makes of them."""

KEYS, MOUSE = 6, 2


@dataclass
class Rollout:
    """Makes clips with a network and an autoencoder; the rollout states are the caller's.

    Args:
        network: the transformer; sampled without guidance if it is distilled. Where several
            processes share it (``Transformer.spread``), they share the decoding as well, and
            each must make the same calls.
        vae: the autoencoder.
        text: (K, text_dim) the embedded prompt.
        steps: evaluations of the network a clip; 3 for the distilled one.
        guidance: of the base model (5 in the public code); 1 for none.
        negative: (K, text_dim) the embedded prompt to stay away from.
        shift: of the sampler's noise levels.
        latents_per_clip: new latents of later clips.
        reuse: what later steps take from earlier ones, one of ``REUSE``; see
            :mod:`mgenv.matrix_game3.rollout.clips`.
        decoder: of the autoencoder's latents; a plain one by default.
    """

    network: Transformer
    vae: VideoVAE
    text: Tensor
    steps: int = 3
    guidance: float = 1.0
    negative: Tensor | None = None
    shift: float = 5.0
    latents_per_clip: int = LATENTS_PER_CLIP
    reuse: str = "none"
    decoder: StreamingDecoder | ParallelDecoder | None = None
    _background: BackgroundDecoder = field(init=False, repr=False)
    _prompts: tuple[Prompt, Prompt | None] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.latents_per_clip < PAST_LATENTS:
            raise InvalidOptionError(
                f"latents_per_clip: expected at least {PAST_LATENTS}, got {self.latents_per_clip}"
            )
        if self.reuse not in REUSE:
            raise UnknownNameError("reuse", self.reuse, REUSE)
        if self.reuse != "none" and isinstance(self.network, Mixture):
            raise InvalidOptionError(f'reuse: expected "none" of a mixture, got "{self.reuse}"')
        shard = self.network.shard
        plain = StreamingDecoder if shard.count == 1 else partial(ParallelDecoder, shard=shard)
        decoder = self.decoder or plain(self.vae)
        self._background = BackgroundDecoder(decoder, self.network.device)
        self._prompts = self._read()

    @torch.no_grad()
    def _read(self) -> tuple[Prompt, Prompt | None]:
        """The prompt, and with guidance the other one."""
        text = self.network.read(self.text)
        if self.guidance == 1.0:
            return text, None
        negative = torch.zeros_like(self.text[:1]) if self.negative is None else self.negative
        return text, self.network.read(negative)

    # -- beginning -------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, rgb: Tensor) -> Tensor:
        """Latent (C, h, w) of a picture uint8 (H, W, 3).

        Raises:
            InvalidOptionError: sides that 32 does not divide.
        """
        check_picture(rgb.shape[0], rgb.shape[1])
        video = rgb.to(self.network.device).permute(2, 0, 1)[None, :, None].float() / 127.5 - 1
        return self.network.shard.from_one(self.vae.encode(video)[0, :, 0].float())

    def begin(self, latent: Tensor, pose: Tensor, index: int = 0) -> RolloutState:
        """The state of a rollout that starts with a latent (C, h, w) seen from ``pose`` (5,).

        Args:
            index: of the latent in the video of its place.
        """
        none = pose.new_zeros(0, KEYS), pose.new_zeros(0, MOUSE)
        return RolloutState(latent[:, None], pose[None], *none, index, index)

    def new_latents(self, state: RolloutState) -> int:
        """How many latents the next clip of a rollout adds."""
        return self.latents_per_clip + (PAST_LATENTS if state.first else 0)

    def actions_needed(self, state: RolloutState) -> int:
        """Frames that the next clip takes an action for: 57, then 40."""
        return FRAMES_PER_LATENT * self.new_latents(state) + state.first

    # -- a clip ----------------------------------------------------------------------------------

    @torch.no_grad()
    def extend(
        self,
        states: Sequence[RolloutState],
        keyboard: Sequence[Tensor],
        mouse: Sequence[Tensor],
        memory: Sequence[Recall | None],
        generators: Sequence[torch.Generator],
    ) -> list[Clip]:
        """Make the next clip of rollouts that are equally long; the states are updated in place.

        Args:
            states: B of them, all at their first clip or none, and all with memory or none.
            keyboard: (F, 6) each, W, S, A, D and two unused.
            mouse: (F, 2) each, pitch (down +) and yaw (right +); 15° a unit and frame.
            memory: what each remembers, see :mod:`mgenv.matrix_game3.memory.memory_query`.
            generators: of the noise, on the CPU; they go on even if the clip fails.

        Raises:
            InvalidActionError: actions of another shape.
            InvalidOptionError: processes that share the network were given different ones.
        """
        for state, keys, moves in zip(states, keyboard, mouse, strict=True):
            self._check_actions(state, keys, moves)
        windows = [extended(*three) for three in zip(states, keyboard, mouse, strict=True)]
        self._check_processes(windows, generators)
        device, new = self.network.device, self.new_latents(states[0])
        past = torch.stack([state.latents for state in states]).to(device)
        with attention_kernels(), ThreadPoolExecutor(1) as drawing:
            noise = self._noise(past, new)
            drawn = drawing.submit(_draw, noise, generators)  # behind what comes before its use
            found = [
                recall and recall.select(camera_to_world(window.poses), window.index, device)
                for recall, window in zip(memory, windows, strict=True)
            ]
            conditions = self._conditions(windows, found, past, new)
            drawn.result()
            made = sample_clip(
                self.network, conditions, past, noise.to(past, non_blocking=True),
                self.steps, self.shift, self.guidance, self.reuse,
            )  # (B, C, new, h, w)  # fmt: skip
        return [self._advance(*row) for row in zip(states, windows, made, found, strict=True)]

    def _noise(self, past: Tensor, new: int) -> Tensor:
        """Memory on the host for that of ``new`` latents, (B, C, new, h, w)."""
        batch, channels, _, *grid = past.shape
        return torch.empty(batch, channels, new, *grid, pin_memory=past.is_cuda)

    def _conditions(
        self,
        windows: Sequence[RolloutState],
        found: Sequence[RetrievedMemory | None],
        past: Tensor,
        new: int,
    ) -> ClipConditions:
        grid = (past.shape[3], past.shape[4])
        count = past.shape[2] + new
        return clip_conditions(self.network, *self._prompts, windows, found, grid, count)

    def _advance(
        self, state: RolloutState, window: RolloutState, made: Tensor, found: RetrievedMemory | None
    ) -> Clip:
        """Decode new latents (C, n, h, w) and keep the last four."""
        new, index = made.shape[1], state.index + state.latents.shape[1]
        shown = torch.cat([state.latents.to(made), made], 1) if state.first else made
        frames, state.decoder = self._background.decode(shown, state.decoder)
        kept = FRAMES_PER_LATENT * PAST_LATENTS
        state.latents = made[:, -PAST_LATENTS:].clone()
        state.poses, state.keyboard = window.poses[-kept:], window.keyboard[-kept:]
        state.mouse, state.index = window.mouse[-kept:], index + new - PAST_LATENTS
        poses = window.poses[-FRAMES_PER_LATENT * new :].unflatten(0, (new, FRAMES_PER_LATENT))
        return Clip(frames, made, poses, index, 0.0 if found is None else found.coverage)

    def _check_processes(
        self, windows: Sequence[RolloutState], generators: Sequence[torch.Generator]
    ) -> None:
        self.network.shard.agree(
            seeds=torch.stack([generator.get_state() for generator in generators]),
            poses=torch.stack([window.poses for window in windows]),
            keyboard=torch.stack([window.keyboard for window in windows]),
            mouse=torch.stack([window.mouse for window in windows]),
        )

    def _check_actions(self, state: RolloutState, keyboard: Tensor, mouse: Tensor) -> None:
        frames = self.actions_needed(state)
        for name, given, width in (("keyboard", keyboard, KEYS), ("mouse", mouse, MOUSE)):
            finite = bool(torch.isfinite(given).all())
            if given.shape != (frames, width) or not finite:
                raise InvalidActionError(
                    f"{name}: expected finite ({frames}, {width}) for the clip, "
                    f"got {tuple(given.shape)}{'' if finite else ' with NaN or inf'}"
                )


@torch.inference_mode()  # not known to this thread, and needed where the caller is in it
def _draw(noise: Tensor, generators: Sequence[torch.Generator]) -> None:
    for row, generator in zip(noise, generators, strict=True):
        torch.randn(row.shape, generator=generator, out=row)


def check_picture(height: int, width: int) -> None:
    """Whether the network can make pictures of that size.

    Raises:
        InvalidOptionError: sides that 32 does not divide.
    """
    if height < 32 or width < 32 or height % 32 or width % 32:
        raise InvalidOptionError(
            f"image_size: expected height and width divisible by 32, got {height}×{width}"
        )
