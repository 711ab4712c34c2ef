"""The diffusion transformer: velocity of the flow for a window of video latents.

``prepare`` computes, once a clip, everything that does not depend on the noise: the camera branch,
keys and values of prompt and keyboard, memory tokens and rotary tables. A sampler's step is then
``model(x, t, conditions)``.

Legend: B batch, M memory latents, T current latents, F = M + T, S tokens a frame, L = F·S,
D width, G groups of tokens that share a timestep (F frames or L tokens).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgenv.errors import InvalidOptionError
from mgenv.matrix_game3.network.action import Actions, read_actions
from mgenv.matrix_game3.network.blocks import Block, BlockConditions, KVCache, PassOptions
from mgenv.matrix_game3.network.conditions import (
    Conditions,
    Indices,
    PerBlock,
    Prompt,
    check_actions,
    check_latents,
    check_same,
    frame_times,
    latent_indices,
    padded_text,
)
from mgenv.matrix_game3.network.config import PLUCKER_CHANNELS, TransformerConfig
from mgenv.matrix_game3.network.embeddings import Head, linear32, patches, sinusoids, unpatched
from mgenv.matrix_game3.network.rope import Rotation, head_bases, token_rotation
from mgenv.matrix_game3.speed.parallel import Shard

FLOAT32 = ("time_embedding", "time_projection", "head", "norm", "modulation")
"""Parts of parameter names that stay in float32 when the others are bfloat16."""


class Transformer(nn.Module):
    """The network, with the parameter names of the public checkpoint.

    Attributes:
        stream_dtype: type of the tokens between blocks; float32 as in the public code.
        shard: this process's share of the tokens, see :meth:`spread`.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.stream_dtype = torch.float32
        self.shard = Shard()
        dim, (_, p, q) = config.dim, config.patch_size
        self.patch_embedding = nn.Conv3d(config.in_dim, dim, (1, p, q), (1, p, q))
        if config.use_memory:
            self.patch_embedding_wancamctrl = nn.Linear(PLUCKER_CHANNELS * p * q, dim)
            self.c2ws_hidden_states_layer1 = nn.Linear(dim, dim)
            self.c2ws_hidden_states_layer2 = nn.Linear(dim, dim)
        self.text_embedding = nn.Sequential(
            nn.Linear(config.text_dim, dim), nn.GELU(approximate="tanh"), nn.Linear(dim, dim)
        )
        self.time_embedding = nn.Sequential(
            nn.Linear(config.freq_dim, dim), nn.SiLU(), nn.Linear(dim, dim)
        )
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        self.blocks = nn.ModuleList(Block(config, i) for i in range(config.num_layers))
        self.head = Head(config)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the blocks' matrix products."""
        return self.patch_embedding.weight.dtype

    @property
    def device(self) -> torch.device:
        """Device of the network."""
        return self.patch_embedding.weight.device

    def layers(self) -> list[Block]:
        """Its blocks, in order."""
        return [block for block in self.blocks if isinstance(block, Block)]

    def mixed(self, dtype: torch.dtype = torch.bfloat16) -> Transformer:
        """Cast weights to ``dtype``, in place; norms, modulations, time and head to float32."""
        for name, parameter in self.named_parameters():
            keep = any(part in name for part in FLOAT32)
            parameter.data = parameter.data.to(torch.float32 if keep else dtype)
        return self

    def spread(self, shard: Shard) -> Transformer:
        """Compute one process's share of the tokens; arguments and velocities stay whole.

        Conditions must be prepared again, since they hold a share too.

        Raises:
            InvalidOptionError: the processes cannot share the heads.
        """
        shard.check_heads(self.config.num_heads)
        self.shard = shard
        for block in self.layers():
            block.self_attn.shard = shard
        return self

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        text: Tensor | Sequence[Tensor] | Prompt | Conditions,
        plucker: Tensor | None = None,
        keyboard: Tensor | None = None,
        mouse: Tensor | None = None,
        memory: Tensor | None = None,
        memory_latent_idx: Indices | None = None,
        predict_latent_idx: Indices | None = None,
    ) -> Tensor:
        """Velocity of the current latents.

        Args:
            x: (B, C, T, h, w) current latents, clean past ones first.
            t: timesteps in 0 … 1000: (B,), (B, T) or (B, T·S); 0 for clean frames.
            text: conditions from :meth:`prepare` alone, or the first argument of :meth:`prepare`.
            plucker, keyboard, mouse, memory, memory_latent_idx, predict_latent_idx: as in
                :meth:`prepare`.

        Returns:
            float32 (B, C, T, h, w).
        """
        if not isinstance(text, Conditions):
            text = self.prepare(
                text,
                plucker,
                keyboard,
                mouse,
                memory,
                memory_latent_idx,
                predict_latent_idx,
                shape=(x.shape[0], *x.shape[2:]),
            )
        return self.velocity(x, t, text)

    def read(self, text: Tensor | Sequence[Tensor]) -> Prompt:
        """Compute keys and values of prompts, for any number of clips.

        Args:
            text: embedded prompts without padding: (K, text_dim) for all rows of a batch, or one
                per row, (B, K, text_dim) or a list of (K, text_dim).
        """
        rows = 1 if isinstance(text, Tensor) and text.ndim == 2 else len(text)
        words = padded_text(self.config, text, rows).to(self.device, self.dtype)
        words = self.text_embedding(words)  # (B, text_len, D)
        return Prompt(tuple(block.read(words) for block in self.layers()))

    def prepare(
        self,
        text: Tensor | Sequence[Tensor] | Prompt,
        plucker: Tensor | None = None,
        keyboard: Tensor | None = None,
        mouse: Tensor | None = None,
        memory: Tensor | None = None,
        memory_latent_idx: Indices | None = None,
        predict_latent_idx: Indices | None = None,
        *,
        shape: Sequence[int] | None = None,
    ) -> Conditions:
        """Compute the conditions of a clip that do not depend on the noise.

        Those of a block are computed at first use, with its weights at that time.

        Args:
            text: embedded prompts as in :meth:`read`, or its result.
            plucker: (B, 1536, M + T, h, w) camera rays, memory's first; None for no camera.
            keyboard, mouse: (B, n, 6) and (B, n, 2) of the n = 4 T or 4 T - 3 video frames of the
                current latents; None for no actions.
            memory: (B, C, M, h, w) clean latents, or None.
            memory_latent_idx: index in the video of each, (M,) or (B, M).
            predict_latent_idx: first index of the current latents and the one after the last, or
                (T,) or (B, T) indices.
            shape: B, T, h, w of the current latents; not needed where ``plucker`` is given.

        Raises:
            InvalidOptionError, InvalidActionError: shapes that do not match.
        """
        count = 0 if memory is None else memory.shape[2]
        batch, latents, h, w = self._shape(shape, plucker, count)
        self._check((batch, latents, h, w), plucker, keyboard, mouse, memory)
        indices = latent_indices(memory_latent_idx, predict_latent_idx, count, latents, self.device)
        prompt = text if isinstance(text, Prompt) else self.read(text)
        rays = self._rays(plucker) if plucker is not None else None
        actions = self._actions(keyboard, mouse, count, latents)
        # As in every block of the public network with memory or a mouse.
        onto_normed = self.config.use_memory or mouse is not None
        layers, read = self.layers(), prompt.of(batch)

        def of_block(index: int) -> BlockConditions:
            return layers[index].prepare(read[index], rays, actions, onto_normed)

        return Conditions(
            shape=(batch, latents, h, w),
            memory_frames=count,
            memory=self._embed(memory) if memory is not None else None,
            rotation=self._rotation(indices, h, w),
            blocks=PerBlock(len(layers), of_block),
        )

    def velocity(
        self, x: Tensor, t: Tensor, conditions: Conditions, new: int = 0, draft: bool = False
    ) -> Tensor:
        """One step's velocity, float32 (B, C, new, h, w); arguments as in :meth:`forward`.

        Args:
            new: number of last latents whose velocity is returned; 0 for all T.
            draft: whether attention may be approximate, if the blocks support it.

        Raises:
            InvalidOptionError: the shape of the latents is not that of the conditions, or ``new``
                exceeds T.
        """
        return self._velocity(x, t, conditions, PassOptions(0, new, draft))[0]

    def velocity_keeping(
        self,
        x: Tensor,
        t: Tensor,
        conditions: Conditions,
        clean: int,
        new: int = 0,
        draft: bool = False,
    ) -> tuple[Tensor, Conditions]:
        """As :meth:`velocity`, and conditions for later steps of the same clip.

        These hold keys and values of memory and the first ``clean`` latents from this step, and
        are for the other latents alone.
        """
        keep = conditions.memory_frames + clean
        velocity, kept = self._velocity(x, t, conditions, PassOptions(keep, new, draft))
        return velocity, conditions.rest(clean, kept)

    def causal(self, past: Tensor, conditions: Conditions) -> Conditions:
        """Conditions for the latents after clean ``past`` (B, C, P, h, w) alone.

        Keys and values of memory and past latents are computed once, without later latents.
        """
        clean = past.shape[2]
        first, time = conditions.first(clean), past.new_zeros(past.shape[0], clean)
        options = PassOptions(conditions.memory_frames + clean, clean)
        _, _, kept = self._tokens(past, time, first, options)
        return conditions.rest(clean, kept)

    # -- helpers ---------------------------------------------------------------------------------

    def _velocity(
        self, x: Tensor, t: Tensor, conditions: Conditions, options: PassOptions
    ) -> tuple[Tensor, list[KVCache | None]]:
        _, latents, h, w = conditions.shape
        if not 0 <= options.last <= latents:
            raise InvalidOptionError(f"new: expected 0 … {latents} latents, got {options.last}")
        options = options if options.last else options._replace(last=latents)
        tokens, time, kept = self._tokens(x, t, conditions, options)
        time = time[:, -(time.shape[1] * options.last // latents) :]
        cells = self.shard.gather(self.head(tokens, time))  # (B, last·S, p·q·C)
        return unpatched(cells, self.config.patch_size, h, w), kept

    def _tokens(
        self, x: Tensor, t: Tensor, conditions: Conditions, options: PassOptions
    ) -> tuple[Tensor, Tensor, list[KVCache | None]]:
        """Tokens of the last latents, embedded times (B, G, D), and caches of the first latents.

        The last block computes the last latents alone, unless it has actions.
        """
        batch, latents, h, w = conditions.shape
        if x.shape != (batch, self.config.in_dim, latents, h, w):
            raise InvalidOptionError(
                f"expected latents for conditions of (B, T, h, w) = {conditions.shape}, "
                f"got {tuple(x.shape)}"
            )
        tokens, memory = self._embed(x), conditions.memory
        time, modulation = self._times(t, tokens.shape[1], conditions)
        if memory is not None:
            tokens = torch.cat([memory, tokens], 1)  # (B, L, D)
        tokens = tokens.to(self.stream_dtype)
        frames = conditions.memory_frames + latents
        each, kept, layers = tokens.shape[1] // frames, [], self.layers()
        for block, own in zip(layers, conditions.blocks, strict=True):
            few = block is layers[-1] and own.actions is None and options.last < frames
            now = options if few else options._replace(last=0)
            tokens, past = block(tokens, modulation, conditions.rotation, own, frames, now)
            kept.append(past)
        return tokens[:, -options.last * each :], time, kept

    def _embed(self, x: Tensor) -> Tensor:
        """(B, C, F, h, w) to tokens (B, F·S, D): a convolution whose patches do not overlap."""
        layer = self.patch_embedding
        flat = patches(x.to(self.device, self.dtype), self.config.patch_size)
        return F.linear(self.shard.take(flat), layer.weight.flatten(1), layer.bias)

    def _rays(self, plucker: Tensor) -> Tensor:
        """(B, 1536, F, h, w) to (B, L, D)."""
        flat = patches(plucker.to(self.device, self.dtype), self.config.patch_size)
        rays = self.patch_embedding_wancamctrl(self.shard.take(flat))
        return rays + self.c2ws_hidden_states_layer2(F.silu(self.c2ws_hidden_states_layer1(rays)))

    def _actions(
        self, keyboard: Tensor | None, mouse: Tensor | None, memory_frames: int, latents: int
    ) -> Actions | None:
        config = self.config.action_config
        if config is None or (keyboard is None and mouse is None):
            return None
        return read_actions(config, keyboard, mouse, memory_frames, latents, self.device)

    def _rotation(self, indices: Tensor, h: int, w: int) -> Rotation:
        config = self.config
        if not config.use_memory:  # indices start at the first given latent
            indices = torch.arange(indices.shape[1], device=indices.device)[None]
        _, p, q = config.patch_size
        bases = head_bases(config.num_heads, config.sigma_theta if config.use_memory else 0.0)
        width = config.dim // config.num_heads
        rotation = token_rotation(indices, h // p, w // q, bases, width)
        return Rotation(*(self.shard.take(angles).contiguous() for angles in rotation))

    def _times(self, t: Tensor, tokens: int, conditions: Conditions) -> tuple[Tensor, Tensor]:
        """Embeddings of current timesteps (B, G, D), and modulation with memory (B, G, 6, D)."""
        batch, latents = conditions.shape[:2]
        t = frame_times(t.to(self.device), batch, latents, tokens * self.shard.count)
        t = t if t.shape[1] == latents else self.shard.take(t)
        past = conditions.memory_frames * (t.shape[1] // latents)  # groups, at timestep 0
        t = F.pad(t, (past, 0))
        hidden = linear32(self.time_embedding[0], sinusoids(t, self.config.freq_dim))
        embedded = linear32(self.time_embedding[2], F.silu(hidden))  # (B, G, D)
        modulation = linear32(self.time_projection[1], F.silu(embedded))
        return embedded[:, past:], modulation.unflatten(-1, (6, -1))

    def _shape(
        self, shape: Sequence[int] | None, plucker: Tensor | None, memory_frames: int
    ) -> tuple[int, int, int, int]:
        if shape is None:
            if plucker is None or plucker.ndim != 5:
                raise InvalidOptionError("expected shape=(B, T, h, w), or plucker with 5 axes")
            shape = (plucker.shape[0], plucker.shape[2] - memory_frames, *plucker.shape[3:])
        batch, latents, h, w = shape
        return batch, latents, h, w

    def _check(
        self,
        shape: tuple[int, int, int, int],
        plucker: Tensor | None,
        keyboard: Tensor | None,
        mouse: Tensor | None,
        memory: Tensor | None,
    ) -> None:
        config = self.config
        batch, latents, h, w = shape
        frames = latents
        check_latents(config, (batch, config.in_dim, *shape[1:]), "latents")
        self.shard.check(h // config.patch_size[1] * (w // config.patch_size[2]))
        if memory is not None:
            frames += memory.shape[2]
            check_same("memory", memory, (batch, config.in_dim, memory.shape[2], h, w))
        if plucker is not None:
            if not config.use_memory:
                raise InvalidOptionError("expected no plucker: this network has no camera")
            check_same("plucker", plucker, (batch, PLUCKER_CHANNELS, frames, h, w))
        check_actions(config, keyboard, mouse, batch, latents)


def build(
    config: TransformerConfig,
    device: torch.device | str = "meta",
    dtype: torch.dtype | None = None,
) -> Transformer:
    """A network in evaluation mode with random weights, or without storage on ``meta``.

    Args:
        config: sizes.
        device: device of the weights.
        dtype: type of the matrix products; norms, modulations, time and head stay in float32.
    """
    with torch.device(device):
        network = Transformer(config).eval().requires_grad_(False)
    return network if dtype is None else network.mixed(dtype)
