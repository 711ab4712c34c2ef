"""From the names that public files use to those of the networks here."""

from __future__ import annotations

import re
from collections.abc import Collection

_LAYERS = {
    "norm1": "residual.0",
    "conv1": "residual.2",
    "norm2": "residual.3",
    "conv2": "residual.6",
    "conv_shortcut": "shortcut",
}
_ENDS = {"conv_in": "conv1", "norm_out": "head.0", "conv_out": "head.2"}
_TRAINING_ONLY = "dynamic_feature_projection_heads."

_STAGE = re.compile(r"(encoder|decoder)\.(down|up)_blocks\.(\d+)\.")
_RESIDUAL = re.compile(r"resnets\.(\d+)\.")
_SAMPLER = re.compile(r"(?:down|up)sampler\.")
_MIDDLE = re.compile(r"(encoder|decoder)\.mid_block\.(resnets|attentions)\.(\d+)\.")
_RESIDUALS_OF_STAGE = {"down": 2, "up": 3}
"""Residual blocks before a stage's sampler."""


def light_vae_key(key: str) -> str | None:
    """The whole autoencoder's name for a tensor of ``MG-LightVAE.pth`` or ``MG-LightVAE_v2.pth``.

    Names that are the whole autoencoder's already stay as they are.

    Example:
        >>> light_vae_key("decoder.up_blocks.1.resnets.0.conv1.weight")
        'decoder.upsamples.1.upsamples.0.residual.2.weight'
    """
    if key.startswith(_TRAINING_ONLY):
        return None
    if key.startswith(("quant_conv.", "post_quant_conv.")):
        return key.replace("post_quant_conv.", "conv2.").replace("quant_conv.", "conv1.")
    if found := _STAGE.match(key):
        half, way, stage = found.groups()
        inside = _inside_stage(key[found.end() :], _RESIDUALS_OF_STAGE[way])
        return f"{half}.{way}samples.{stage}.{way}samples.{inside}"
    if found := _MIDDLE.match(key):
        half, kind, index = found.groups()
        place = 1 if kind == "attentions" else 2 * int(index)
        return f"{half}.middle.{place}.{_layer(key[found.end() :])}"
    half, _, rest = key.partition(".")
    end, _, leaf = rest.partition(".")
    return f"{half}.{_ENDS[end]}.{leaf}" if end in _ENDS else key


def _inside_stage(rest: str, sampler: int) -> str:
    if found := _RESIDUAL.match(rest):
        return f"{found[1]}.{_layer(rest[found.end() :])}"
    return _SAMPLER.sub(f"{sampler}.", rest, count=1)


def _layer(rest: str) -> str:
    name, _, leaf = rest.partition(".")
    return f"{_LAYERS.get(name, name)}.{leaf}"


def is_light_vae(keys: Collection[str]) -> bool:
    """Whether a file uses the light autoencoders' names."""
    return "decoder.conv_in.weight" in keys


_TEXT_LAYERS = {
    "attn.q": "layer.0.SelfAttention.q",
    "attn.k": "layer.0.SelfAttention.k",
    "attn.v": "layer.0.SelfAttention.v",
    "attn.o": "layer.0.SelfAttention.o",
    "pos_embedding.embedding": "layer.0.SelfAttention.relative_attention_bias",
    "norm1": "layer.0.layer_norm",
    "ffn.gate.0": "layer.1.DenseReluDense.wi_0",
    "ffn.fc1": "layer.1.DenseReluDense.wi_1",
    "ffn.fc2": "layer.1.DenseReluDense.wo",
    "norm2": "layer.1.layer_norm",
}
_TEXT_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)\.weight")
_TEXT_ENDS = {
    "token_embedding.weight": "shared.weight",
    "norm.weight": "encoder.final_layer_norm.weight",
}


def text_encoder_key(key: str) -> str:
    """The ``transformers`` name for a tensor of ``models_t5_umt5-xxl-enc-bf16.pth``.

    Example:
        >>> text_encoder_key("blocks.3.ffn.gate.0.weight")
        'encoder.block.3.layer.1.DenseReluDense.wi_0.weight'
    """
    found = _TEXT_BLOCK.fullmatch(key)
    if found and found[2] in _TEXT_LAYERS:
        return f"encoder.block.{found[1]}.{_TEXT_LAYERS[found[2]]}.weight"
    return _TEXT_ENDS.get(key, key)
