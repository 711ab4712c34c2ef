"""Which products of the network may be in 8 bits.

``WITHIN`` names, for each kind, those that keep a velocity of the golden network within 2 % of
bfloat16 (INT8 1.9 %, FP8 1.5 %; bfloat16 itself is 1.4 % from float32). ``ALL`` is faster and,
there, 3.6 % and 10 % off: queries and keys are sharp, and FP8 has three bits of mantissa. The
camera branch stays in bfloat16: it multiplies every token of every block.
"""

from __future__ import annotations

from torch import nn

from mgenv.models.matrix_game3.transformer import Transformer
from mgenv.models.quantize import FP8, INT8, QuantizedLinear

ALL = ("self_attn", "cross_attn", "ffn")
"""Beginnings of the names of a block's layers that may be in 8 bits where speed counts most."""
WITHIN = {INT8: ("self_attn.o", "cross_attn", "ffn"), FP8: ("cross_attn",)}
"""Those that keep to the gate, by kind."""


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
        parent, _, own = name.rpartition(".")
        new = QuantizedLinear(layer, kind) if kind else layer
        setattr(network.get_submodule(parent), own, new)
    return network
