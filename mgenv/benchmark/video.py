"""`mgenv bench video`: the public 5B network at full size, lever by lever."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from mgenv.benchmark.report import Report
from mgenv.models.matrix_game3.config import PUBLIC_5B, TransformerConfig
from mgenv.models.matrix_game3.sampler import FlowUniPC
from mgenv.models.matrix_game3.transformer import Transformer, build
from mgenv.models.matrix_game3.vae import VideoVAE
from mgenv.models.matrix_game3.vae_config import VaeConfig
from mgenv.models.quantize import FP8, INT8, quantize

Row = dict[str, Any]
NEW_FRAMES, CLEAN, NEW, MEMORY = 40, 4, 10, 5
"""Frames of a later clip; its clean past and new latents; its memory latents."""
EIGHT_BITS = ("self_attn", "cross_attn", "ffn")
"""Parts of the names of layers whose products may be in 8 bits."""
PROTOCOL = (
    "A later clip of the public rollout (4 clean, 10 new and 5 memory latents, 40 new frames), batch 1, random weights at "
    "the true sizes (speed does not depend on their values). *Prepare*, *steps*: the transformer's "
    "part that does not depend on the noise, and 3 steps of flow UniPC. *Decode*: 10 latents to uint8 "
    "frames on the host, the feature cache kept. *FPS*: 40 frames over their sum, one after the "
    "other. *Error*: of one velocity, ‖out − ref‖/‖ref‖ against float32. Each row adds to the one above."
)


@dataclass(frozen=True)
class Levers:
    """How the clip is computed.

    Attributes:
        name: of the row.
        cudnn: attention by cuDNN instead of FlashAttention-2.
        once: what does not depend on the noise once a clip, not once a step.
        stream: the type of tokens between blocks.
        compiled: blocks and decoder by torch.compile.
        eight_bits: ``"int8"``, ``"fp8"`` or "" for bfloat16.
        pruned: share of the decoder's width that is pruned away.
    """

    name: str
    cudnn: bool = False
    once: bool = False
    stream: torch.dtype = torch.float32
    compiled: bool = False
    eight_bits: str = ""
    pruned: float = 0.0


PLAIN = Levers("bfloat16, as published")
CUDNN = replace(PLAIN, name="cuDNN's attention", cudnn=True)
ONCE = replace(CUDNN, name="conditions once a clip", once=True)
LIGHT = replace(ONCE, name="decoder pruned by 75 %", pruned=0.75)
COMPILED = replace(LIGHT, name="compiled", compiled=True)
NARROW = replace(COMPILED, name="bfloat16 between blocks", stream=torch.bfloat16)
IN_FP8 = replace(NARROW, name="FP8 products", eight_bits=FP8)
IN_INT8 = replace(NARROW, name="INT8 products instead", eight_bits=INT8)
LADDER = (PLAIN, CUDNN, ONCE, LIGHT, COMPILED, NARROW, IN_FP8, IN_INT8)
