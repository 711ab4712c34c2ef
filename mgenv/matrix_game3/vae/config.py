"""Sizes of the causal video autoencoder, worked out from any of its state dicts.

Encoder and decoder have widths of their own, because the light version keeps the whole encoder
and narrows the decoder only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from mgenv.errors import CheckpointError, InvalidOptionError

PUBLIC_LATENT_MEAN = (
    (-0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174, 0.1838, 0.1557)
    + (-0.1382, 0.0542, 0.2813, 0.0891, 0.1570, -0.0098, 0.0375, -0.1825)
    + (-0.2246, -0.1207, -0.0698, 0.5109, 0.2665, -0.2108, -0.2158, 0.2502)
    + (-0.2055, -0.0322, 0.1109, 0.1567, -0.0729, 0.0899, -0.2799, -0.1230)
    + (-0.0313, -0.1649, 0.0117, 0.0723, -0.2839, -0.2083, -0.0520, 0.3748)
    + (0.0152, 0.1957, 0.1433, -0.2944, 0.3573, -0.0548, -0.1681, -0.0667)
)
"""Mean of each latent channel over the data the public autoencoder was trained on."""

PUBLIC_LATENT_STD = (
    (0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.4990, 0.4818, 0.5013)
    + (0.8158, 1.0344, 0.5894, 1.0901, 0.6885, 0.6165, 0.8454, 0.4978)
    + (0.5759, 0.3523, 0.7135, 0.6804, 0.5833, 1.4146, 0.8986, 0.5659)
    + (0.7069, 0.5338, 0.4889, 0.4917, 0.4069, 0.4999, 0.6866, 0.4093)
    + (0.5709, 0.6065, 0.6415, 0.4944, 0.5726, 1.2042, 0.5458, 1.6887)
    + (0.3971, 1.0600, 0.3943, 0.5537, 0.5444, 0.4089, 0.7468, 0.7744)
)
"""Standard deviation of each latent channel over the same data."""

_Value = TypeVar("_Value")


@dataclass(frozen=True, kw_only=True)
class VaeConfig:
    """Sizes of the autoencoder; the defaults are the public whole one's.

    Attributes:
        latent_channels: channels of a latent cell.
        patch: side of the square of pixels that is folded into channels before the first layer.
        encoder_widths: channels after the first layer, then after each stage. Every stage but the
            last halves the sides.
        decoder_widths: the same, from the latent outwards. Every stage but the last doubles them.
        encoder_blocks, decoder_blocks: residual blocks in a stage.
        encoder_temporal, decoder_temporal: which of the stages that change the sides also halve
            or double the number of frames.
    """

    latent_channels: int = 48
    patch: int = 2
    encoder_widths: tuple[int, ...] = (160, 160, 320, 640, 640)
    decoder_widths: tuple[int, ...] = (1024, 1024, 1024, 512, 256)
    encoder_blocks: int = 2
    decoder_blocks: int = 3
    encoder_temporal: tuple[bool, ...] = (False, True, True)
    decoder_temporal: tuple[bool, ...] = (True, True, False)

    def __post_init__(self) -> None:
        if len(self.encoder_widths) != len(self.decoder_widths):
            raise InvalidOptionError(
                f"Expected as many encoder as decoder stages, got widths {self.encoder_widths} "
                f"and {self.decoder_widths}."
            )
        if sum(self.encoder_temporal) != sum(self.decoder_temporal):
            raise InvalidOptionError(
                "Expected the decoder to undo the encoder's halvings of time, got "
                f"{self.encoder_temporal} and {self.decoder_temporal}."
            )
        _check_shortcuts(self.encoder_widths, self.encoder_temporal, self.encoder_widths)
        inwards = self.decoder_widths[::-1]
        _check_shortcuts(inwards[1:], self.decoder_temporal[::-1], self.decoder_widths)

    @property
    def spatial_stride(self) -> int:
        """Pixels along the side of a latent cell."""
        return self.patch * 2 ** (len(self.encoder_widths) - 2)

    @property
    def temporal_stride(self) -> int:
        """Frames that a latent stands for, the first latent excepted (it stands for one)."""
        return 2 ** sum(self.encoder_temporal)

    @property
    def image_channels(self) -> int:
        """Channels of a frame once patches are folded."""
        return 3 * self.patch**2

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> VaeConfig:
        """Works out every size from the public keys, whatever was pruned.

        Raises:
            CheckpointError: keys that every such file has are missing.
        """
        ends = ("conv1", "conv2", "encoder.conv1", "decoder.conv1")
        firsts = ("encoder.downsamples.0.downsamples.0", "decoder.upsamples.0.upsamples.0")
        names = (*ends, *(f"{block}.residual.6" for block in firsts))
        _require_keys(state, [f"{name}.weight" for name in names])
        encoder = _Half(state, "encoder.downsamples", "downsamples")
        decoder = _Half(state, "decoder.upsamples", "upsamples")
        return cls(
            latent_channels=state["conv2.weight"].shape[0],
            patch=round((state["encoder.conv1.weight"].shape[1] / 3) ** 0.5),
            encoder_widths=(state["encoder.conv1.weight"].shape[0], *encoder.widths()),
            decoder_widths=(state["decoder.conv1.weight"].shape[0], *decoder.widths()),
            encoder_blocks=encoder.blocks,
            decoder_blocks=decoder.blocks,
            encoder_temporal=encoder.temporal(),
            decoder_temporal=decoder.temporal(),
        )


def _check_shortcuts(
    outer: tuple[int, ...], temporal: tuple[bool, ...], widths: tuple[int, ...]
) -> None:
    """Whether blocks of cells of each width fill the channels of the next width inwards."""
    for wide, narrow, halves in zip(outer, outer[1:], temporal, strict=False):
        if wide * (8 if halves else 4) % narrow:
            raise InvalidOptionError(
                f"Expected each width times its cells to be a multiple of the next, got {widths}."
            )


@dataclass(frozen=True)
class _Half:
    """The stages of an encoder or decoder, as the keys of a state dict show them."""

    state: Mapping[str, Tensor]
    prefix: str
    inner: str

    @property
    def stages(self) -> int:
        return _count(self.state, rf"{re.escape(self.prefix)}\.(\d+)\.")

    @property
    def blocks(self) -> int:
        first = re.escape(f"{self.prefix}.0.{self.inner}")
        return _count(self.state, rf"{first}\.(\d+)\.residual\.")

    def widths(self) -> tuple[int, ...]:
        key = f"{self.prefix}.{{}}.{self.inner}.0.residual.6.weight"
        keys = [key.format(i) for i in range(self.stages)]
        _require_keys(self.state, keys)
        return tuple(self.state[key].shape[0] for key in keys)

    def temporal(self) -> tuple[bool, ...]:
        key = f"{self.prefix}.{{}}.{self.inner}.{self.blocks}.time_conv.weight"
        return tuple(key.format(i) in self.state for i in range(self.stages - 1))


def _count(keys: Iterable[str], pattern: str) -> int:
    """One more than the largest number that `pattern` finds at the start of a key."""
    matches = (re.match(pattern, key) for key in keys)
    return max((int(match.group(1)) for match in matches if match), default=-1) + 1


def _require_keys(state: Mapping[str, Tensor], names: Iterable[str]) -> None:
    missing = [name for name in names if name not in state]
    if missing:
        raise CheckpointError(
            "Expected the state dict of a video autoencoder (encoder and decoder); "
            f"it lacks {', '.join(missing)}."
        )


def join_decoder(whole: Mapping[str, _Value], light: Mapping[str, _Value]) -> dict[str, _Value]:
    """The encoder of one state dict with the decoder, and the layer before it, of another.

    A light file may bring an encoder too. It is left aside: the light decoder was trained with
    the whole autoencoder's.
    """
    decoder = ("decoder.", "conv2.")
    joined = {key: value for key, value in whole.items() if not key.startswith(decoder)}
    return joined | {key: value for key, value in light.items() if key.startswith(decoder)}
