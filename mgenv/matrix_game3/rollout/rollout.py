"""The public rollout: each clip continues the last latents of the one before, with memory.

The first clip has 1 clean latent (a picture) and 14 new ones, 57 frames. Later clips have 4 clean
latents (16 frames) and 10 new ones, 40 frames. The network sees these 15 or 14 latents after 5
remembered ones. In general, ``latents_per_clip`` k gives k + 4 new latents, then k.

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
from mgenv.matrix_game3.rollout.clips import REUSE, clip_conditions, sample_clip
from mgenv.matrix_game3.rollout.frames import BackgroundDecoder
from mgenv.matrix_game3.rollout.state import Clip, RolloutState, extended
from mgenv.matrix_game3.vae.parallel_decoder import ParallelDecoder
from mgenv.matrix_game3.vae.streaming import StreamingDecoder
from mgenv.matrix_game3.vae.vae import VideoVAE

PAST_LATENTS = 4
"""Clean latents at the start of a later clip."""

LATENTS_PER_CLIP = 10
"""New latents of a later clip in the public code."""

KEYS, MOUSE = 6, 2


@dataclass
class Rollout:
    """Makes clips with a network and an autoencoder; callers hold the rollout states.

    Args:
        network: the transformer. Processes that share it (``Transformer.spread``) also share
            decoding, and must all make the same calls.
        vae: the autoencoder.
        text: (K, text_dim) embedded prompt.
        steps: network evaluations per clip; 3 for the distilled model.
        guidance: guidance scale of the base model (5 in the public code); 1 for none.
        negative: (K, text_dim) embedded negative prompt.
        shift: shift of the sampler's noise levels.
        latents_per_clip: new latents of later clips.
        reuse: reuse of keys and values over steps, one of
            :data:`mgenv.matrix_game3.rollout.clips.REUSE`.
        decoder: decoder of latents; a plain one by default.
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
        """Read the prompt and, with guidance, the negative prompt."""
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
            InvalidOptionError: sides that are not multiples of 32.
        """
        check_picture(rgb.shape[0], rgb.shape[1])
        video = rgb.to(self.network.device).permute(2, 0, 1)[None, :, None].float() / 127.5 - 1
        return self.network.shard.from_one(self.vae.encode(video)[0, :, 0].float())

    def begin(self, latent: Tensor, pose: Tensor, index: int = 0) -> RolloutState:
        """The state of a rollout that starts with a latent (C, h, w) seen from ``pose`` (5,).

        Args:
            index: index of the latent in the video of its place.
        """
        none = pose.new_zeros(0, KEYS), pose.new_zeros(0, MOUSE)
        return RolloutState(latent[:, None], pose[None], *none, index, index)

    def new_latents(self, state: RolloutState) -> int:
        """Number of new latents of the next clip."""
        return self.latents_per_clip + (PAST_LATENTS if state.first else 0)

    def actions_needed(self, state: RolloutState) -> int:
        """Number of actions of the next clip: 57, then 40."""
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
        """Make the next clip of B rollouts; the states are updated in place.

        Args:
            states: B states, all at their first clip or none, and all with memory or none.
            keyboard: (F, 6) each, W, S, A, D and two unused.
            mouse: (F, 2) each, pitch (down +) and yaw (right +); 15° a unit and frame.
            memory: memory of each rollout, or None.
            generators: CPU generators of the noise; they advance even if the clip fails.

        Raises:
            InvalidActionError: actions of another shape.
            InvalidOptionError: processes that share the network were given different arguments.
        """
        for state, keys, moves in zip(states, keyboard, mouse, strict=True):
            self._check_actions(state, keys, moves)
        windows = [extended(*three) for three in zip(states, keyboard, mouse, strict=True)]
        self._check_processes(windows, generators)
        device, new = self.network.device, self.new_latents(states[0])
        past = torch.stack([state.latents for state in states]).to(device)
        with attention_kernels(), ThreadPoolExecutor(1) as drawing:
            batch, channels, _, *grid = past.shape
            noise = torch.empty(batch, channels, new, *grid, pin_memory=past.is_cuda)
            drawn = drawing.submit(_draw, noise, generators)  # in parallel with the conditions
            found = [
                recall and recall.select(camera_to_world(window.poses), window.index, device)
                for recall, window in zip(memory, windows, strict=True)
            ]
            conditions = clip_conditions(
                self.network, *self._prompts, windows, found,
                (past.shape[3], past.shape[4]), past.shape[2] + new,
            )  # fmt: skip
            drawn.result()
            made = sample_clip(
                self.network, conditions, past, noise.to(past, non_blocking=True),
                self.steps, self.shift, self.guidance, self.reuse,
            )  # (B, C, new, h, w)  # fmt: skip
        return [self._advance(*row) for row in zip(states, windows, made, found, strict=True)]

    def _advance(
        self, state: RolloutState, window: RolloutState, made: Tensor, found: RetrievedMemory | None
    ) -> Clip:
        """Decode new latents (C, n, h, w), and update the state to the last four."""
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


@torch.inference_mode()  # the mode is per thread, and the caller may be in it
def _draw(noise: Tensor, generators: Sequence[torch.Generator]) -> None:
    for row, generator in zip(noise, generators, strict=True):
        torch.randn(row.shape, generator=generator, out=row)


def check_picture(height: int, width: int) -> None:
    """Check the size of pictures.

    Raises:
        InvalidOptionError: sides that are not multiples of 32.
    """
    if height < 32 or width < 32 or height % 32 or width % 32:
        raise InvalidOptionError(
            f"image_size: expected height and width divisible by 32, got {height}×{width}"
        )
