"""How fast, and how exact, the network is computed.

A :class:`Speed` says it; ``SPEEDS`` names some. ``WITHIN`` names, for each kind of 8 bits, the
products that keep a velocity of the golden network within 2 % of bfloat16 (INT8 1.8 %, FP8 1.5 %;
bfloat16 itself is 1.4 % from float32). ``MOST`` is faster and, there, 3.4 % and 10 % off: queries
and keys are sharp, and FP8 has three bits of mantissa. INT8 is the better one on a Hopper, too,
where our product is as fast as that of FP8. The camera branch, which multiplies every token of
every block, is not meant for FP8: at the true sizes that brings a velocity from 1.3 % to 5.3 % off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mgenv.errors import InvalidOptionError, MissingExtraError, UnknownNameError
from mgenv.matrix_game3.kernels import flash_attention3
from mgenv.matrix_game3.kernels.eight_bit_attention import EightBitAttention, fits
from mgenv.matrix_game3.kernels.hopper import on_hopper
from mgenv.matrix_game3.kernels.quantize import FP8, INT8, QuantizedLinear, stacked
from mgenv.matrix_game3.network.attention import SelfAttention, attend
from mgenv.matrix_game3.network.blocks import Block
from mgenv.matrix_game3.network.mixture import Mixture
from mgenv.matrix_game3.network.transformer import Transformer
from mgenv.matrix_game3.rollout.clips import REUSE
from mgenv.matrix_game3.vae.streaming import StreamingDecoder
from mgenv.matrix_game3.vae.vae import VideoVAE

TOKENS, CAMERA = ("self_attn", "cross_attn", "ffn"), ("cam_",)
ALL = TOKENS + CAMERA
"""Beginnings of the names of a block's layers that may be in 8 bits."""
MOST = {INT8: ALL, FP8: TOKENS}
"""As many of them as a kind of 8 bits is fit for."""
WITHIN = {INT8: ("self_attn.o", "cross_attn", "ffn"), FP8: ("cross_attn",)}
"""Those that keep to the gate, by kind."""

ATTENTIONS = {"flash3": flash_attention3.attend, INT8: EightBitAttention()}
"""By name."""

VARIANTS = 64
"""Programs that may be compiled of one block: with and without actions, a first and a later clip,
the first step, those that reuse it and the last, whose attention is another, the last block, and so
for each size of picture and batch."""


@dataclass(frozen=True)
class Speed:
    """What is given for speed.

    Attributes:
        compiled: blocks go through ``torch.compile``, tokens are bfloat16 between them.
        eight_bits: kind of 8-bit products, ``"int8"``, ``"fp8"`` or "" for none.
        layers: which are, by the beginnings of their names; if none is named, ``MOST`` of the kind.
        attention: of all tokens over all: ``"flash3"`` (exact, from the extra ``fast``), ``"int8"``
            (with 8-bit products), or "" for the fastest exact one that is there.
        reuse: of clean latents' keys and values, one of ``clips.REUSE``.
        draft: all steps of a clip but the last attend in 8 bits, where the GPU can.
        graphed: the decoder is folded, compiled and replayed as CUDA graphs.

    Raises:
        UnknownNameError: no such kind, layers, attention or reuse.
    """

    compiled: bool = False
    eight_bits: str = ""
    layers: tuple[str, ...] = ()
    attention: str = ""
    reuse: str = "none"
    draft: bool = False
    graphed: bool = False

    def __post_init__(self) -> None:
        if self.eight_bits not in ("", INT8, FP8):
            raise UnknownNameError("eight_bits", self.eight_bits, (INT8, FP8))
        for name in self.layers:
            if not name.startswith(ALL):
                raise UnknownNameError("layers", name, ALL)
        if self.attention not in ("", *ATTENTIONS):
            raise UnknownNameError("attention", self.attention, ATTENTIONS)
        if self.reuse not in REUSE:
            raise UnknownNameError("reuse", self.reuse, REUSE)

    @property
    def chosen(self) -> tuple[str, ...]:
        """Beginnings of the names of the layers in 8 bits."""
        return self.layers or MOST.get(self.eight_bits, ())


SPEEDS = {
    "plain": Speed(),
    "compiled": Speed(compiled=True, graphed=True),
    "int8": Speed(compiled=True, eight_bits=INT8, layers=WITHIN[INT8], graphed=True),
    "fast": Speed(compiled=True, eight_bits=INT8, graphed=True),
    "faster": Speed(compiled=True, eight_bits=INT8, reuse="alternate", draft=True, graphed=True),
    "fastest": Speed(compiled=True, eight_bits=INT8, reuse="first_step", draft=True, graphed=True),
}
"""By name, each faster and less exact than the one before. All but ``plain`` need a GPU and take
minutes to compile at the first clips."""


def find_speed(speed: str | Speed, device: torch.device, experts: int = 1) -> Speed:
    """A speed by its name, if it can be had.

    Args:
        device: of the network.
        experts: how many networks share the noise levels.

    Raises:
        UnknownNameError: no such name.
        InvalidOptionError: it needs a GPU or one of another kind, or one network alone; or it is
            no speed.
        MissingExtraError: it needs a package that is not there.
    """
    if isinstance(speed, str):
        if speed not in SPEEDS:
            raise UnknownNameError("speed", speed, SPEEDS)
        speed = SPEEDS[speed]
    if not isinstance(speed, Speed):
        raise InvalidOptionError(f"speed: expected a name or a Speed, got {speed!r}")
    if speed.attention == "flash3" and not flash_attention3.installed():
        raise MissingExtraError("fast", "FlashAttention-3's kernels")
    kernels = speed.attention == "flash3" or (speed.attention and device.type == "cuda")
    if kernels and not on_hopper(device):
        raise InvalidOptionError(
            f'speed: expected attention="" on {device}, got "{speed.attention}"; '
            "its kernels are for Hopper GPUs"
        )
    if device.type != "cuda" and (speed.compiled or speed.graphed):
        raise InvalidOptionError(
            f'speed: expected "plain" on {device}; the others are compiled for a GPU'
        )
    if experts > 1 and speed.reuse != "none":
        raise InvalidOptionError(
            f'speed: expected reuse="none" of {experts} experts, got "{speed.reuse}"; '
            "one cannot go on with what another has computed"
        )
    return speed


def accelerate(network: Transformer | Mixture, speed: Speed) -> None:
    """Change ``network`` in place so that it is as fast as ``speed`` says."""
    for expert in network.experts() if isinstance(network, Mixture) else (network,):
        if speed.eight_bits:
            set_bits(expert, eight_bit_layers(expert, speed.chosen), speed.eight_bits)
        set_attention(expert, attention_of(speed, expert.device))
        set_draft(expert, speed.draft)
        if speed.compiled:
            expert.stream_dtype = expert.dtype
            compile_blocks(expert)


def attention_of(speed: Speed, device: torch.device) -> str:
    """Which attention a speed means on ``device``, as :func:`set_attention` takes it."""
    if speed.attention or not speed.compiled:
        return speed.attention
    return "flash3" if flash_attention3.usable(device) else ""


def set_attention(network: Transformer, name: str) -> None:
    """How all tokens attend to all: one of ``ATTENTIONS``, or "" for what the framework has."""
    for block in network.layers():
        block.self_attn.attend = ATTENTIONS[name] if name else attend


def set_draft(network: Transformer, wanted: bool) -> None:
    """Whether steps before the last attend in 8 bits; they do not on a GPU without that kernel."""
    can = fits(network.device, network.config.dim // network.config.num_heads)
    for block in network.layers():
        block.self_attn.draft = ATTENTIONS[INT8] if wanted and can else None


def compile_blocks(network: Transformer, backend: str = "inductor") -> None:
    """Let ``torch.compile`` make one program of each kind of block.

    Args:
        backend: of ``torch.compile``.
    """
    config: Any = torch._dynamo.config
    config.recompile_limit = max(config.recompile_limit, VARIANTS)
    for block in network.layers():
        block.compile(dynamic=False, backend=backend)
        block.self_attn.one_pass = network.device.type == "cuda"
        camera = Block.camera.__get__(block)  # not one that is compiled already
        block.camera = torch.compile(camera, dynamic=False, backend=backend)


def fast_decoder(vae: VideoVAE, speed: Speed, segment: int = 5) -> StreamingDecoder:
    """A decoder of the autoencoder's latents, as ``speed`` says.

    Args:
        segment: latents that go through it at once.
    """
    fast, on_gpu = speed.graphed, vae.latent_mean.is_cuda
    return StreamingDecoder(
        vae, segment=segment, channels_last=on_gpu, folded=fast, compiled=fast, graphed=fast
    )


def eight_bit_layers(network: Transformer, names: tuple[str, ...] = ALL) -> dict[str, nn.Linear]:
    """The linear layers of all blocks that begin with one of ``names``, by their whole name."""
    return {
        name: layer
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear)
        and name.startswith("blocks.")
        and name.split(".", 2)[2].startswith(names)
    }


def set_bits(network: Transformer, layers: dict[str, nn.Linear], kind: str) -> Transformer:
    """Put 8-bit layers in place of ``layers``, or these back where ``kind`` is empty.

    Args:
        layers: of :func:`eight_bit_layers`, from before any was replaced.
        kind: ``"int8"``, ``"fp8"`` or ``""``.

    Raises:
        UnknownNameError: another kind.
    """
    for name, layer in layers.items():
        parent, own = name.rsplit(".", 1)
        new = QuantizedLinear(layer, kind, gelu=own == "0") if kind else layer
        setattr(network.get_submodule(parent), own, new)
    for index, block in enumerate(network.layers()):
        whole = isinstance(block.ffn[0], QuantizedLinear)  # it ends with the GELU
        block.ffn[1] = nn.Identity() if whole else nn.GELU(approximate="tanh")
        _stack(block.self_attn, [layers.get(f"blocks.{index}.self_attn.{x}") for x in "qkv"], kind)
    return network


def _stack(attention: SelfAttention, parts: list[nn.Linear | None], kind: str) -> None:
    """Make one product of queries, keys and values, if all of them change to 8 bits."""
    layers = [layer for layer in parts if layer is not None]
    if len(layers) < len(parts):
        return
    attention.qkv = None
    if kind:
        attention.qkv = QuantizedLinear(stacked(layers), kind)
        attention.q = attention.k = attention.v = nn.Identity()
