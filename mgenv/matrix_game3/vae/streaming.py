"""Streaming decoder: video in segments, with constant memory.

The state of a stream is the list of tensors that :meth:`VideoVAE.decode_step` takes and gives. A
segment of n latents costs the same at any age of the stream. Segment by segment equals all at
once, whatever the split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mgenv.errors import InvalidOptionError
from mgenv.matrix_game3.vae.blocks import Upsample, channels_innermost
from mgenv.matrix_game3.vae.vae import Past, VideoVAE, to_uint8

Step = Callable[[Tensor, Past | None], tuple[Tensor, Past]]


class GraphedStep:
    """A step as CUDA graphs: one for each shape of segment, captured when it first comes.

    Launching hundreds of small kernels costs more than running them; replaying a graph launches
    once. What a step returns is overwritten by later steps: use it or copy it before the next.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        self._captured: dict[tuple, _Captured] = {}
        self._pool: Any = None  # graphs run one after the other, so they share memory

    def __call__(self, x: Tensor, past: Past | None) -> tuple[Tensor, Past]:
        """Same as the step that was given."""
        key = (tuple(x.shape), x.dtype, past is None)
        if key not in self._captured:
            self._pool = self._pool or torch.cuda.graph_pool_handle()
            self._captured[key] = _Captured(self._step, x, past, self._pool)
        return self._captured[key].replay(x, past)


class _Captured:
    """One step at one shape: fixed tensors in, fixed tensors out."""

    def __init__(self, step: Step, x: Tensor, past: Past | None, pool: Any) -> None:
        self._x = x.clone()
        self._past = None if past is None else [kept.clone() for kept in past]
        self._warm_up(step)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, pool=pool):
            self._out, self._kept = step(self._x, self._past)

    def _warm_up(self, step: Step) -> None:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):
                step(self._x, self._past)
        torch.cuda.current_stream().wait_stream(stream)

    def replay(self, x: Tensor, past: Past | None) -> tuple[Tensor, Past]:
        self._x.copy_(x)
        for fixed, kept in zip(self._past or [], past or [], strict=True):
            fixed.copy_(kept)
        self._graph.replay()
        return self._out, self._kept


def to_channels_last(module: nn.Module) -> nn.Module:
    """Lays the weights of convolutions out as tensor cores read them, in place."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv3d):
            layer.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        elif isinstance(layer, nn.Conv2d):
            layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module


def fold(module: nn.Module) -> nn.Module:
    """Merges enlargements into the convolutions behind them, in place; not for training."""
    for layer in module.modules():
        if isinstance(layer, Upsample):
            layer.fold()
    return module


class StreamingDecoder:
    """Decodes latents as they come.

    Args:
        vae: the autoencoder; `channels_last` and `folded` change its decoder in place.
        segment: latents decoded in one go; bounds the memory and the number of shapes.
        channels_last: lay out weights and activations as tensor cores read them.
        folded: merge enlargements into the convolutions behind them.
        compiled: run the step through `torch.compile`.
        graphed: run the step as CUDA graphs (on a GPU only).

    Example:
        >>> from mgenv.matrix_game3.vae.config import VaeConfig
        >>> config = VaeConfig(encoder_widths=(2, 2, 2, 2, 2), decoder_widths=(4, 4, 4, 4, 4))
        >>> decoder = StreamingDecoder(VideoVAE(config))
        >>> [decoder.decode(torch.zeros(1, 48, n, 2, 3)).shape[2] for n in (1, 2, 1)]
        [1, 8, 4]
    """

    def __init__(
        self,
        vae: VideoVAE,
        *,
        segment: int = 5,
        channels_last: bool = False,
        folded: bool = False,
        compiled: bool = False,
        graphed: bool = False,
    ) -> None:
        if segment < 1:
            raise InvalidOptionError(f"Expected a segment of at least 1 latent, got {segment}.")
        if graphed and not vae.latent_mean.is_cuda:
            raise InvalidOptionError(
                f"Expected a model on a GPU for CUDA graphs, got one on {vae.latent_mean.device}."
            )
        self.vae = vae
        self.segment = segment
        if folded:
            fold(vae.decoder)
        if channels_last:
            to_channels_last(vae.decoder)
            to_channels_last(vae.conv2)
        self._channels_last = channels_last
        step: Step = vae.decode_step
        if compiled:
            step = torch.compile(step, dynamic=False)
        self._step = GraphedStep(step) if graphed else step
        self.past: Past | None = None

    def reset(self) -> None:
        """Starts a new video."""
        self.past = None

    def take(self) -> Past | None:
        """What the stream remembers, which it forgets; no later step writes into it."""
        past, self.past = self.past, None
        if past is None or not isinstance(self._step, GraphedStep):
            return past
        return [kept.clone() for kept in past]

    def get_state(self) -> dict[str, Tensor]:
        """A copy of what the stream remembers, as it can be saved; empty before the first frame."""
        contiguous = torch.contiguous_format
        return {
            f"past.{i:03d}": kept.clone(memory_format=contiguous)
            for i, kept in enumerate(self.past or [])
        }

    def set_state(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from where :meth:`get_state` was called."""
        self.past = [channels_innermost(state[key]) for key in sorted(state)] or None

    def decode(self, latent: Tensor) -> Tensor:
        """Normalised latents (B, C, T, h, w) to video (B, 3, F, H, W); F = 4T, less 3 at first."""
        return torch.cat(list(self._pieces(latent, torch.clone)), dim=2)

    def decode_to_uint8(self, latent: Tensor) -> Tensor:
        """Normalised latents (B, C, T, h, w) to uint8 frames (B, F, H, W, 3)."""
        return torch.cat(list(self.uint8_pieces(latent)), dim=1)

    def uint8_pieces(self, latent: Tensor) -> Iterator[Tensor]:
        """As :meth:`decode_to_uint8`, a segment at a time as it is ready."""
        return self._pieces(latent, to_uint8)

    def _pieces(self, latent: Tensor, finish: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
        for part in self._split(latent):
            yield finish(self._advance(part))

    @torch.no_grad()
    def _advance(self, latent: Tensor) -> Tensor:
        video, self.past = self._step(latent, self.past)
        return video

    def _split(self, latent: Tensor) -> Iterator[Tensor]:
        """The first latent of a video alone, then segments: so few shapes ever come."""
        channels = self.vae.config.latent_channels
        if latent.ndim != 5 or latent.shape[1] != channels or latent.shape[2] < 1:
            raise InvalidOptionError(
                f"Expected latents (B, {channels}, T, h, w), got {tuple(latent.shape)}."
            )
        if self._channels_last:
            latent = latent.contiguous(memory_format=torch.channels_last_3d)
        if self.past is None:
            yield latent[:, :, :1]
            latent = latent[:, :, 1:]
        yield from (part for part in latent.split(self.segment, dim=2) if part.shape[2])
