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

import torch
from torch import Tensor

from mgenv.matrix_game3.speed.fast import Speed, fast_decoder
from mgenv.matrix_game3.speed.parallel import Shard
from mgenv.matrix_game3.vae.blocks import FeatureCache, channels_innermost
from mgenv.matrix_game3.vae.streaming import StreamingDecoder
from mgenv.matrix_game3.vae.vae import Past, VideoVAE

LEAST = 2
"""Latents of a piece: the next one looks at the last two frames, which must be in it."""


class RelayFeatureCache(FeatureCache):
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
    """What a :class:`StreamingDecoder` does, by several processes.

    There are no CUDA graphs: recording exchanges is not safe while other threads ask after them.

    Args:
        vae: the autoencoder, the same on each.
        shard: the processes.
        segment: latents that a process decodes in one go.
        channels_last, folded, compiled: as of :class:`StreamingDecoder`.

    Attributes:
        past: what the stream remembers, None at its start. It lies with the first process; others
            have tensors without frames.
    """

    def __init__(
        self,
        vae: VideoVAE,
        shard: Shard,
        *,
        segment: int = 5,
        channels_last: bool = False,
        folded: bool = False,
        compiled: bool = False,
    ) -> None:
        self.vae, self.shard, self.segment = vae, shard, segment
        self.past: Past | None = None
        # For a video's first latent, too rare to be compiled; the weights are shared.
        self._alone = StreamingDecoder(
            vae, segment=segment, channels_last=channels_last, folded=folded
        )
        parts = {count: self.shard.split(count) for count in range(2, shard.count)}
        parts[shard.count] = shard
        self._relays = {
            count: StreamingDecoder(
                self._relayed(part), segment=segment, channels_last=channels_last, compiled=compiled
            )
            for count, part in parts.items()
            if shard.rank < count
        }

    def _relayed(self, shard: Shard) -> VideoVAE:
        """The same autoencoder, of whose video these processes decode a piece each."""
        vae = copy.copy(self.vae)  # shares all weights
        vae.make_cache = partial(RelayFeatureCache, shard=shard)
        return vae

    def reset(self) -> None:
        """Starts a new video."""
        self.past = None

    def take(self) -> Past | None:
        """What the stream remembers, which it forgets; no later step writes into it."""
        past, self.past = self.past, None
        return past

    def decode_to_uint8(self, latent: Tensor) -> Tensor:
        """Normalised latents (B, C, T, h, w) to uint8 frames (B, F, H, W, 3), on every process."""
        return torch.cat(list(self.uint8_pieces(latent)), dim=1)

    @torch.no_grad()
    def uint8_pieces(self, latent: Tensor) -> Iterator[Tensor]:
        """As :meth:`decode_to_uint8`, a piece at a time as it is ready."""
        if self.past is None:
            yield self._by_one(latent[:, :, :1])  # a single frame: every process decodes it
            latent = latent[:, :, 1:]
        for part in self._rounds(latent):
            yield from self._together(part)

    def _by_one(self, latent: Tensor) -> Tensor:
        """Frames of latents, of which this process has all."""
        self._alone.past = self.past
        frames, past = self._alone.decode_to_uint8(latent), self._alone.take()
        self.past = [self._lies_here(kept) for kept in past or ()]
        return frames

    def _lies_here(self, kept: Tensor) -> Tensor:
        """In memory as what comes by relay, so that a compiled step fits both; or no frames."""
        return channels_innermost(kept[:, :, :0] if self.shard.rank else kept)

    def _rounds(self, latent: Tensor) -> Sequence[Tensor]:
        """Equal parts that the processes can decode in one go."""
        rounds = -(-latent.shape[2] // (self.segment * self.shard.count))
        return latent.tensor_split(rounds, dim=2) if rounds else ()

    def _together(self, latent: Tensor) -> Iterator[Tensor]:
        """Frames (B, 4 T, H, W, 3) of latents after the first, piece by piece."""
        busy = max(1, min(self.shard.count, latent.shape[2] // LEAST))
        pieces, own = latent.tensor_split(busy, dim=2), None
        if self.shard.rank < busy:
            own = self._by_one(latent) if busy == 1 else self._relay(pieces)
        for rank, piece in enumerate(pieces):
            yield self._shown(piece, own if rank == self.shard.rank else None, rank)

    def _relay(self, pieces: Sequence[Tensor]) -> Tensor:
        """Frames of this process's piece, while others decode theirs."""
        decoder = self._relays[len(pieces)]
        decoder.past = self.past
        frames = decoder.decode_to_uint8(pieces[self.shard.rank])
        self.past = decoder.take()
        return frames

    def _shown(self, piece: Tensor, frames: Tensor | None, rank: int) -> Tensor:
        """The frames of a piece, which process ``rank`` has, on every process."""
        if frames is None:
            time, side = self.vae.config.temporal_stride, self.vae.config.spatial_stride
            batch, _, latents, h, w = piece.shape
            size = (batch, time * latents, side * h, side * w, 3)
            frames = torch.empty(size, dtype=torch.uint8, device=piece.device)
        return self.shard.from_one(frames, rank)


def decoder_for(vae: VideoVAE, shard: Shard, speed: Speed) -> StreamingDecoder | ParallelDecoder:
    """A decoder as ``speed`` says, of the processes that share the network."""
    if shard.count == 1:
        return fast_decoder(vae, speed)
    on_gpu, fast = vae.latent_mean.is_cuda, speed.graphed
    return ParallelDecoder(vae, shard, channels_last=on_gpu, folded=fast, compiled=fast)
