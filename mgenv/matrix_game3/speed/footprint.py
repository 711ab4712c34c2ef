"""How much memory a world of the public weights needs on its device, before anything is read.

Counted are what is largest: weights, what a clip fixes for every block, the widest maps of the
decoder, and what the decoder remembers of each slot's video. For one slot at 704×1280 in bfloat16
that is 28.1 GiB with the whole decoder, where 27.3 were measured, and 21.3 with the one pruned by
75 %, where 20.3 were (`mgenv bench video` of commit bc19a17).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch

from mgenv.errors import InvalidOptionError
from mgenv.matrix_game3.checkpoint.experts import Expert, weight_dtype
from mgenv.matrix_game3.checkpoint.loader import Weights
from mgenv.matrix_game3.memory.retrieval import QUERY_OFFSETS
from mgenv.matrix_game3.network.config import TransformerConfig
from mgenv.matrix_game3.rollout.rollout import PAST_LATENTS
from mgenv.matrix_game3.vae.config import VaeConfig
from mgenv.matrix_game3.vae.vae import VideoVAE

GIB = 2**30
SEGMENT = 5
"""Latents that the decoder decodes in one go."""

MAPS = 2
"""Copies of its widest map that the decoder holds at once."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a world is asked to do.

    Attributes:
        image_size: height and width [pixels].
        slots: videos that go on at once.
        batch: of them that go through the network together.
        latents: new ones of a later clip.
        guided: whether the network is also asked without the prompt.
        reuse: whether keys and values of clean latents are kept between steps.
        graphed: whether the decoder is replayed as CUDA graphs.
        dtype: of the matrix products.
    """

    image_size: tuple[int, int]
    slots: int = 1
    batch: int = 1
    latents: int = 10
    guided: bool = False
    reuse: bool = False
    graphed: bool = False
    dtype: torch.dtype = torch.bfloat16

    @property
    def tokens(self) -> int:
        """Of one slot's longest clip, the first of an episode, with memory."""
        latents = 1 + PAST_LATENTS + self.latents + len(QUERY_OFFSETS)
        return latents * prod(side // 32 for side in self.image_size)


@dataclass(frozen=True)
class Footprint:
    """Bytes on the device.

    Attributes:
        weights: of network and autoencoder.
        streams: what the decoder remembers of all slots, and what its graphs hold.
        clip: while the network makes latents.
        decoding: while the decoder makes frames of one slot's.
    """

    weights: int
    streams: int
    clip: int
    decoding: int

    @property
    def total(self) -> int:
        """At the peak [bytes]."""
        return self.weights + self.streams + max(self.clip, self.decoding)

    def require(self, device: torch.device, load: Load, vae: str) -> None:
        """See whether a GPU has that much.

        Args:
            vae: which decoder this is for.

        Raises:
            InvalidOptionError: it has not; the options that need less are named.
        """
        if device.type != "cuda":
            return
        free = _free(device)
        if free >= self.total:
            return
        height, width = load.image_size
        less = [f"a smaller image_size than {height}×{width}"]
        less += ['vae="light_v2"'] if vae != "light_v2" else []
        less += [f"batch=1 instead of {load.batch}"] if load.batch > 1 else []
        less += [f"fewer slots than num_envs={load.slots}"] if load.slots > 1 else []
        raise InvalidOptionError(
            f"device: expected {self.total / GIB:.1f} GiB free on {device} "
            f"({self.weights / GIB:.1f} of them for weights), got {free / GIB:.1f}. "
            f"Less is needed by {', '.join(less)}."
        )


def _free(device: torch.device) -> int:
    """Bytes that the GPU has left, and those that this process holds and does not use."""
    held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + held


def footprint(
    experts: Sequence[Expert], autoencoder: Weights, vae: VaeConfig, load: Load
) -> Footprint:
    """What one network or several experts and an autoencoder need for a load."""
    weights = sum(_weight_bytes(expert.weights, load.dtype) for expert in experts)
    weights += load.dtype.itemsize * sum(map(prod, autoencoder.shapes.values()))
    stream, widest = _decoder_bytes(vae, load)
    clip = sum(_conditions(expert.config, load) for expert in experts)
    clip += max(_activations(expert.config, load) for expert in experts)
    decoding = MAPS * widest + stream
    streams = load.slots * stream
    if load.graphed:  # graphs hold their maps, and what goes in and out, all the time
        streams += decoding + 2 * stream
    return Footprint(weights, streams, load.batch * clip, decoding)


def _weight_bytes(weights: Weights, dtype: torch.dtype) -> int:
    return sum(
        prod(shape) * weight_dtype(name, dtype).itemsize for name, shape in weights.shapes.items()
    )


def _conditions(config: TransformerConfig, load: Load) -> int:
    """Scale and shift by camera, keys and values of the prompt, in every block; of one slot.

    And keys and values of memory and past latents, where they are kept.
    """
    clean = (PAST_LATENTS + len(QUERY_OFFSETS)) * prod(side // 32 for side in load.image_size)
    numbers = 2 * config.dim * (load.tokens + config.text_len + load.reuse * clean)
    return (1 + load.guided) * config.num_layers * numbers * load.dtype.itemsize


def _activations(config: TransformerConfig, load: Load) -> int:
    """Three streams in float32, queries, keys and values, and both sides of the feed-forward."""
    narrow = 3 * config.dim + 2 * config.ffn_dim
    return load.tokens * (3 * config.dim * 4 + narrow * load.dtype.itemsize)


def _decoder_bytes(config: VaeConfig, load: Load) -> tuple[int, int]:
    """What the decoder remembers of a video, and its widest map, the input of the last stage."""
    height, width = (side // config.spatial_stride for side in load.image_size)
    with torch.device("meta"):
        decoder = VideoVAE(config).to(load.dtype)
        latent = torch.empty(1, config.latent_channels, 1, height, width)
        _, past = decoder.decode_step(latent, None)
    frames = SEGMENT * config.temporal_stride
    area = prod(side // config.patch for side in load.image_size)
    widest = config.decoder_widths[-2] * frames * area * load.dtype.itemsize
    return sum(kept.nbytes for kept in past), widest
