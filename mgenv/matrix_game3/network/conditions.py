"""Conditions of a clip that do not depend on the noise, and checks of user input.

Legend: B batch, M memory latents, T current latents, F = M + T, S tokens a frame, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mgenv.errors import InvalidActionError, InvalidOptionError
from mgenv.matrix_game3.network.action import latents_of
from mgenv.matrix_game3.network.attention import KeysValues
from mgenv.matrix_game3.network.blocks import BlockConditions, KVCache
from mgenv.matrix_game3.network.config import TransformerConfig
from mgenv.matrix_game3.network.rope import Rotation

Indices = Tensor | Sequence[int]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as ``Transformer.read`` returns it, for any number of clips.

    Attributes:
        blocks: (1 or B, K, N, H) keys and values, one pair a block.
    """

    blocks: tuple[KeysValues, ...]

    def of(self, batch: int) -> list[KeysValues]:
        """Keys and values of ``batch`` rows, a pair per block.

        Raises:
            InvalidOptionError: the prompt was read for another number of rows.
        """
        rows = len(self.blocks[0].keys) if self.blocks else batch
        if rows not in (1, batch):
            raise InvalidOptionError(f"expected a prompt for 1 or {batch} rows, got {rows}")
        return [
            KeysValues(*(part.expand(batch, -1, -1, -1) for part in pair)) for pair in self.blocks
        ]


class PerBlock(Sequence[BlockConditions]):
    """Conditions of each block, computed at first access.

    Computing them takes hundreds of small kernels, which a host launches more slowly than a GPU
    runs them. Lazily, they are launched while the GPU still computes the previous block.

    Args:
        count: number of blocks.
        make: computes the conditions of one block.
    """

    def __init__(self, count: int, make: Callable[[int], BlockConditions]) -> None:
        self._make: Callable[[int], BlockConditions] | None = make
        self._made: list[BlockConditions | None] = [None] * count
        self._missing = count

    def __len__(self) -> int:
        return len(self._made)

    def __getitem__(self, index: Any) -> Any:
        """Conditions of block ``index``, or a list for a slice."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        made = self._made[index]
        if made is None:
            assert self._make is not None
            made = self._made[index] = self._make(index)
            self._missing -= 1
            if not self._missing:
                self._make = None  # frees what it captures
        return made


@dataclass(frozen=True, slots=True)
class Conditions:
    """Conditions of a clip, computed once by ``Transformer.prepare`` for all steps.

    Attributes:
        shape: B, T, h, w of the current latents.
        memory_frames: number of memory latents, M.
        memory: (B, M·S, D) embedded memory latents, or None.
        rotation: rotation of the F·S tokens.
        blocks: conditions of each block.
    """

    shape: tuple[int, int, int, int]
    memory_frames: int
    memory: Tensor | None
    rotation: Rotation
    blocks: Sequence[BlockConditions]

    def first(self, latents: int) -> Conditions:
        """Conditions of memory and the first ``latents`` current latents."""
        end = self.memory_frames + latents
        return self._of(slice(0, end), latents, (None,) * len(self.blocks))

    def rest(self, latents: int, kept: Sequence[KVCache | None]) -> Conditions:
        """Conditions of the later latents, given kept keys and values of memory and the first."""
        batch, count, h, w = self.shape
        made = self._of(slice(self.memory_frames + latents, None), count - latents, kept)
        return replace(made, memory_frames=0, memory=None)

    def _of(self, frames: slice, latents: int, kept: Sequence[KVCache | None]) -> Conditions:
        batch, count, h, w = self.shape
        each = self.rotation.cos.shape[1] // (self.memory_frames + count)  # tokens a frame
        end = None if frames.stop is None else frames.stop * each
        tokens = slice(frames.start * each, end)
        blocks = zip(self.blocks, kept, strict=True)
        return replace(
            self,
            shape=(batch, latents, h, w),
            rotation=self.rotation.of(tokens),
            blocks=tuple(block.of(frames, tokens, past) for block, past in blocks),
        )


def latent_indices(
    memory: Indices | None,
    current: Indices | None,
    memory_frames: int,
    latents: int,
    device: torch.device,
) -> Tensor:
    """Index of every latent in the video, (B or 1, F).

    Args:
        memory: M indices, (M,) or (B, M); 0 … M - 1 if None.
        current: first index and the one after the last, or T indices, or (B, T); 0 … T - 1 if None.

    Raises:
        InvalidOptionError: the number of indices is not that of latents.
    """
    past = torch.as_tensor(range(memory_frames) if memory is None else memory)
    now = torch.as_tensor(range(latents) if current is None else current)
    if now.shape == (2,) and int(now[1] - now[0]) == latents:
        now = torch.arange(int(now[0]), int(now[1]))
    for name, indices, count in (("memory", past, memory_frames), ("predict", now, latents)):
        if indices.ndim not in (1, 2) or indices.shape[-1] != count:
            raise InvalidOptionError(
                f"expected {count} indices in {name}_latent_idx, got {indices.tolist()}"
            )
    parts = [(part if part.ndim == 2 else part[None]).to(device) for part in (past, now)]
    batch = max(len(part) for part in parts)
    return torch.cat([part.expand(batch, -1).long() for part in parts], 1)  # (B or 1, F)


def check_latents(config: TransformerConfig, shape: Sequence[int], name: str) -> None:
    """Check that latents are (B, C, T, h, w), with h and w multiples of the patch."""
    _, rows, columns = config.patch_size
    if len(shape) != 5 or shape[1] != config.in_dim or shape[3] % rows or shape[4] % columns:
        raise InvalidOptionError(
            f"expected {name} of shape (B, {config.in_dim}, T, h, w), h a multiple of {rows} "
            f"and w of {columns}, got {tuple(shape)}"
        )


def check_same(name: str, given: Tensor, expected: tuple[int, ...]) -> None:
    """Check a shape."""
    if tuple(given.shape) != expected:
        raise InvalidOptionError(f"expected {name} of shape {expected}, got {tuple(given.shape)}")


def check_actions(
    config: TransformerConfig, keyboard: Tensor | None, mouse: Tensor | None, batch: int, count: int
) -> None:
    """Check that actions are (B, n, C) for the n video frames of ``count`` latents."""
    actions = config.action_config
    if actions is None or not actions.blocks:
        return
    ratio = actions.vae_time_compression_ratio
    for name, given, width in (
        ("keyboard", keyboard, actions.keyboard_dim_in),
        ("mouse", mouse, actions.mouse_dim_in),
    ):
        if given is None:
            continue
        fits = given.ndim == 3 and given.shape[0] == batch and given.shape[2] == width
        if not fits or latents_of(given.shape[1], ratio) != count:
            frames = f"{ratio * count} or {ratio * (count - 1) + 1}"
            raise InvalidActionError(
                f"expected {name} of shape ({batch}, {frames}, {width}) for {count} latents, "
                f"got {tuple(given.shape)}"
            )


def padded_text(config: TransformerConfig, text: Tensor | Sequence[Tensor], batch: int) -> Tensor:
    """Embedded prompts, padded with zeros: (B, text_len, text_dim).

    Args:
        text: (B, L, text_dim), (L, text_dim) or a list of (L, text_dim).
    """
    prompts = [text] if isinstance(text, Tensor) and text.ndim == 2 else list(text)
    for prompt in prompts:
        fits = prompt.ndim == 2 and prompt.shape[1] == config.text_dim
        if not fits or len(prompt) > config.text_len or len(prompts) != batch:
            raise InvalidOptionError(
                f"expected {batch} prompts of at most {config.text_len} tokens of "
                f"{config.text_dim} numbers, got {[tuple(prompt.shape) for prompt in prompts]}"
            )
    out = prompts[0].new_zeros(batch, config.text_len, config.text_dim)
    for row, prompt in zip(out, prompts, strict=True):
        row[: len(prompt)] = prompt
    return out


def frame_times(t: Tensor, batch: int, latents: int, tokens: int) -> Tensor:
    """Timesteps (B, T) per frame or (B, T·S) per token.

    Args:
        t: a number, (B,), (B, T) or (B, T·S).
        latents, tokens: T and T·S.
    """
    if t.numel() == 1 or t.shape == (batch,):
        return t.reshape(-1, 1).expand(batch, latents)
    if t.ndim != 2 or t.shape[0] != batch or t.shape[1] not in (latents, tokens):
        raise InvalidOptionError(
            f"expected timesteps of shape ({batch},), ({batch}, {latents}) or "
            f"({batch}, {tokens}), got {tuple(t.shape)}"
        )
    return t
