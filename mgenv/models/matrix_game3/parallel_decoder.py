"""One video decoded by several GPUs, exactly as by one.

New latents are dealt out in consecutive pieces, and all processes decode theirs at once. Only
causal convolutions look beyond a piece, at the two frames before it: each layer passes its last
two frames on to the next process. What the last process passes on is what the first one needs to
go on with the next clip. So every layer computes what it would in one process, and nothing is
computed twice.

Legend: B videos, C channels, T latents, h×w cells, F frames of H×W pixels.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from mgenv.models.matrix_game3.parallel import Shard
from mgenv.models.matrix_game3.streaming import StreamingDecoder
from mgenv.models.matrix_game3.vae import Past, VideoVAE
from mgenv.models.matrix_game3.vae_blocks import Tape

LEAST = 2
"""Latents of a piece: the next one looks at the last two frames, which must be in it."""


class RelayTape(Tape):
    """What causal layers remember where the segment before is in the process before.

    Args:
        past: of the clip before, on the first process; frames of no length on others, whose
            past comes from the process before.
        keep: must be true: all processes exchange all tensors.
        shard: the processes that have a piece.
    """

    def __init__(
        self, past: Sequence[Tensor] | None = None, *, keep: bool = True, shard: Shard
    ) -> None:
        assert past is not None and keep, "pieces follow something, and something follows them"
        super().__init__(past, keep=keep)
        self._shard = shard

    def extend(self, x: Tensor, frames: int, *, pad: bool = True) -> Tensor:
        """Puts the ``frames`` before ``x`` (B, C, T, H, W) in front of it."""
        assert x.shape[2] >= frames, (x.shape, frames)
        given, passed_on = next(self._past), self._shard.relay(x[:, :, -frames:])
        first = self._shard.rank == 0
        self.kept.append(passed_on if first else given)
        return torch.cat([given if first else passed_on, x], dim=2)  # (B, C, frames + T, H, W)


class ParallelDecoder:
    """A :class:`StreamingDecoder` on several processes.

    Args:
        vae: the autoencoder, the same on each.
        shard: the processes.
        segment: latents that a process decodes in one go.
        options: of :class:`StreamingDecoder`.

    Attributes:
        past: what the stream remembers, None at its start. It lies with the first process; others
            have tensors without frames.
    """

    def __init__(self, vae: VideoVAE, shard: Shard, *, segment: int = 5, **options: Any) -> None:
        self.vae, self.shard, self.segment = vae, shard, segment
        self.past: Past | None = None
        self._alone = StreamingDecoder(vae, segment=segment, **options)
        self._options = options | {"folded": False}  # the weights are shared, and are by now
        self._relays: dict[int, StreamingDecoder] = {}

    def reset(self) -> None:
        """Starts a new video."""
        self.past = None

    @torch.no_grad()
    def decode_to_uint8(self, latent: Tensor) -> Tensor:
        """Normalised latents (B, C, T, h, w) to uint8 frames (B, F, H, W, 3), on every process."""
        pieces = []
        if self.past is None:
            pieces.append(self._first(latent[:, :, :1]))
            latent = latent[:, :, 1:]
        pieces += [self._together(part) for part in self._rounds(latent)]
        return torch.cat(pieces, 1)

    def _first(self, latent: Tensor) -> Tensor:
        """The first latent of a video, which is one frame: every process decodes it."""
        self._alone.reset()
        frames = self._alone.decode_to_uint8(latent)
        self.past = self._alone.past
        if self.shard.rank and self.past is not None:
            self.past = [kept[:, :, :0].clone() for kept in self.past]
        return frames

    def _rounds(self, latent: Tensor) -> Iterator[Tensor]:
        """Equal parts that the processes can decode in one go."""
        count = latent.shape[2]
        if count:
            yield from latent.tensor_split(-(-count // (self.segment * self.shard.count)), dim=2)

    def _together(self, latent: Tensor) -> Tensor:
        """Frames (B, 4 T, H, W, 3) of latents after the first."""
        busy = max(1, min(self.shard.count, latent.shape[2] // LEAST))
        pieces = latent.tensor_split(busy, dim=2)
        own = None
        if self.shard.rank < busy:
            decoder = self._decoder(busy)
            decoder.past = self.past
            own = decoder.decode_to_uint8(pieces[self.shard.rank])
            self.past = decoder.past
        return torch.cat([self._shown(piece, own, by) for by, piece in enumerate(pieces)], 1)

    def _decoder(self, busy: int) -> StreamingDecoder:
        """That of a piece, one of ``busy``."""
        if busy == 1:
            return self._alone
        if busy not in self._relays:
            vae = copy.copy(self.vae)  # shares all weights
            vae.tape = partial(RelayTape, shard=self.shard.first(busy))
            self._relays[busy] = StreamingDecoder(vae, segment=self.segment, **self._options)
        return self._relays[busy]

    def _shown(self, piece: Tensor, own: Tensor | None, by: int) -> Tensor:
        """The frames of a piece, which process ``by`` has, on every process."""
        if by == self.shard.rank:
            assert own is not None
            frames = own.contiguous()
        else:
            time, side = self.vae.config.temporal_stride, self.vae.config.spatial_stride
            batch, _, latents, h, w = piece.shape
            size = (batch, time * latents, side * h, side * w, 3)
            frames = torch.empty(size, dtype=torch.uint8, device=piece.device)
        dist.broadcast(frames, group=self.shard.group, group_src=by)
        return frames
