"""Asynchronous decoding of frames and their transfer to the host."""

from __future__ import annotations

import torch
from torch import Tensor

from mgenv.matrix_game3.vae.parallel_decoder import ParallelDecoder
from mgenv.matrix_game3.vae.streaming import StreamingDecoder
from mgenv.matrix_game3.vae.vae import Past


class Frames:
    """Decoded frames that may still be in transfer.

    Args:
        count: number of frames, F.
        size: (H, W).
        stream: CUDA stream of asynchronous copies; None if frames are decoded on the host.
    """

    def __init__(self, count: int, size: tuple[int, int], stream: torch.cuda.Stream | None) -> None:
        pinned = stream is not None
        self._host = torch.empty((count, *size, 3), dtype=torch.uint8, pin_memory=pinned)
        self._stream = stream
        self._arrived: torch.Event | None = None
        self._next = 0

    def put(self, frames: Tensor) -> None:
        """Copy the next frames uint8 (n, H, W, 3), in order with the current stream."""
        place = self._host[self._next : self._next + len(frames)]
        self._next += len(frames)
        if self._stream is None:
            place.copy_(frames)
            return
        self._stream.wait_stream(torch.cuda.current_stream(frames.device))
        frames.record_stream(self._stream)  # callers may free them before the copy
        with torch.cuda.stream(self._stream):
            place.copy_(frames, non_blocking=True)

    def finish(self) -> None:
        """Mark the end, after all frames are put."""
        assert self._next == len(self._host), (self._next, len(self._host))
        if self._stream is not None:
            self._arrived = self._stream.record_event()

    def wait(self) -> Tensor:
        """Wait for the frames: uint8 (F, H, W, 3) on the host."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._host


class BackgroundDecoder:
    """Decodes on a separate CUDA stream, in parallel with the next clip.

    On a CPU, decoding is synchronous. Several processes decode on the stream of the network:
    collectives on two streams could run in a different order on each GPU, and deadlock.

    Args:
        decoder: its state is passed in and out by callers.
        device: device of the latents.
    """

    def __init__(self, decoder: StreamingDecoder | ParallelDecoder, device: torch.device) -> None:
        self.decoder = decoder
        alone, on_gpu = not isinstance(decoder, ParallelDecoder), device.type == "cuda"
        self._stream = torch.cuda.Stream(device) if alone and on_gpu else None
        self._copies = torch.cuda.Stream(device) if on_gpu else None

    @torch.no_grad()
    def decode(self, latents: Tensor, past: Past | None) -> tuple[Frames, Past | None]:
        """Start decoding normalised latents (C, n, h, w).

        Args:
            past: feature cache from the previous call, None at first.

        Returns:
            4 n frames, 3 fewer at first, and the feature cache for the next call.
        """
        if self._stream is None:
            return self._decode(latents, past)
        self._stream.wait_stream(torch.cuda.current_stream(latents.device))
        for given in (latents, *(past or ())):  # callers may free them before they are read
            given.record_stream(self._stream)
        with torch.cuda.stream(self._stream):
            return self._decode(latents, past)

    def _decode(self, latents: Tensor, past: Past | None) -> tuple[Frames, Past | None]:
        count = 4 * latents.shape[1] - (3 if past is None else 0)
        stride = self.decoder.vae.config.spatial_stride
        size = latents.shape[2] * stride, latents.shape[3] * stride
        frames = Frames(count, size, self._copies)
        self.decoder.past = past
        for piece in self.decoder.uint8_pieces(latents[None]):
            frames.put(piece[0])
        frames.finish()
        return frames, self.decoder.take()
