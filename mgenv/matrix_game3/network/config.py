"""Sizes of the diffusion transformer, under the names that the public ``config.json`` uses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from os import PathLike
from typing import Any

from mgenv.errors import CheckpointError

PLUCKER_CHANNELS = 6 * 16 * 16
"""Ray origins and directions of the 16 × 16 pixels of a latent cell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ActionConfig:
    """Sizes of the action modules.

    Attributes:
        blocks: indices of the blocks with an action module.
        windows_size: window of actions in latents, including the current one.
        vae_time_compression_ratio: video frames per latent.
        mouse_qk_dim_list, rope_dim_list: rotary channels of a head for time, row and column.
            Attention is over time alone, so only the first are used.
    """

    blocks: tuple[int, ...] = ()
    mouse_dim_in: int = 2
    keyboard_dim_in: int = 6
    hidden_size: int = 128
    img_hidden_size: int = 1536
    keyboard_hidden_dim: int = 1024
    mouse_hidden_dim: int = 1024
    vae_time_compression_ratio: int = 4
    windows_size: int = 3
    heads_num: int = 16
    patch_size: tuple[int, ...] = (1, 2, 2)
    qk_norm: bool = True
    qkv_bias: bool = False
    rope_dim_list: tuple[int, ...] = (8, 28, 28)
    rope_theta: float = 256
    mouse_qk_dim_list: tuple[int, ...] = (8, 28, 28)
    enable_mouse: bool = True
    enable_keyboard: bool = True
    local_attn_size: int = 6

    def check(self) -> None:
        """Raise :class:`CheckpointError` for sizes that do not fit each other."""
        for enabled, name, turning in (
            (self.enable_mouse, "mouse_hidden_dim", self.mouse_qk_dim_list),
            (self.enable_keyboard, "keyboard_hidden_dim", self.rope_dim_list),
        ):
            width = getattr(self, name)
            if enabled and width != sum(turning) * self.heads_num:
                raise CheckpointError(
                    f"expected action_config's {name} to be heads_num ({self.heads_num}) × the "
                    f"sum of {turning}, got {width}"
                )


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformerConfig:
    """Sizes of the network, with the defaults of the public constructor.

    Attributes:
        dim, num_layers, num_heads, ffn_dim: sizes of the transformer.
        in_dim, out_dim: latent channels.
        text_len, text_dim: tokens and width of a padded prompt.
        freq_dim: width of a timestep's sinusoids.
        sigma_theta: spread of the rotary base over heads, 0 for none.
        use_memory: whether the network takes memory and cameras.
        action_config: sizes of the action modules, or None.
    """

    model_type: str = "t2v"
    patch_size: tuple[int, ...] = (1, 2, 2)
    text_len: int = 512
    in_dim: int = 16
    dim: int = 2048
    ffn_dim: int = 8192
    freq_dim: int = 256
    text_dim: int = 4096
    out_dim: int = 16
    num_heads: int = 16
    num_layers: int = 32
    window_size: tuple[int, ...] = (-1, -1)
    qk_norm: bool = True
    cross_attn_norm: bool = True
    eps: float = 1e-6
    action_config: ActionConfig | None = None
    use_memory: bool = True
    sigma_theta: float = 0.0
    use_text_crossattn: bool = True

    def __post_init__(self) -> None:
        """Raise :class:`CheckpointError` for a network that is not of this family."""
        _require(self.model_type != "i2v", "model_type other than 'i2v'", self.model_type)
        _require(
            len(self.patch_size) == 3 and self.patch_size[0] == 1,
            "patch_size 1, p, q",
            self.patch_size,
        )
        _require(tuple(self.window_size) == (-1, -1), "window_size -1, -1", self.window_size)
        even = f"dim to be a multiple of {2 * self.num_heads}, twice num_heads"
        _require(self.dim % (2 * self.num_heads) == 0, even, self.dim)
        _require(self.freq_dim % 2 == 0, "an even freq_dim", self.freq_dim)
        if self.action_config is not None and self.action_config.blocks:
            self.action_config.check()
            width = self.action_config.img_hidden_size
            _require(width == self.dim, f"action_config's img_hidden_size {self.dim}", width)

    def actions_of(self, block: int) -> ActionConfig | None:
        """Sizes of the action module of ``block``, or None."""
        config = self.action_config
        return config if config is not None and block in config.blocks else None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TransformerConfig:
        """Read the public names; keys that start with an underscore are ignored.

        Raises:
            CheckpointError: unknown keys.
        """
        values = _known(cls, values, "the transformer's config")
        actions = values.get("action_config")
        if isinstance(actions, Mapping):
            known = _known(ActionConfig, actions, "action_config")
            values["action_config"] = ActionConfig(**known) if known else None
        return cls(**values)

    @classmethod
    def from_json(cls, path: str | PathLike[str]) -> TransformerConfig:
        """Read a file like the public ``config.json``.

        Raises:
            CheckpointError: not a JSON object, or unknown keys.
        """
        with open(path, encoding="utf-8") as file:
            try:
                values = json.load(file)
            except ValueError as error:
                raise CheckpointError(f"expected JSON in {path}: {error}") from error
        if not isinstance(values, dict):
            raise CheckpointError(f"expected a JSON object in {path}, got {type(values).__name__}")
        return cls.from_dict(values)


def _known(cls: type, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    names = {field.name for field in fields(cls)}
    values = {key: value for key, value in values.items() if not key.startswith("_")}
    unknown = sorted(set(values) - names)
    if unknown:
        raise CheckpointError(f"unknown keys in {where}: {', '.join(unknown)}")
    return {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}


def _require(holds: bool, expected: str, got: object) -> None:
    if not holds:
        raise CheckpointError(f"expected {expected}, got {got}")


PUBLIC_5B = TransformerConfig(
    model_type="ti2v",
    in_dim=48,
    out_dim=48,
    dim=3072,
    ffn_dim=14336,
    num_heads=24,
    num_layers=30,
    sigma_theta=0.8,
    action_config=ActionConfig(blocks=tuple(range(15)), img_hidden_size=3072),
)
"""Sizes of the public weights."""

PUBLIC_14B_PLAIN = replace(
    PUBLIC_5B, dim=5120, ffn_dim=13824, num_heads=40, num_layers=40, action_config=None
)
"""The low-noise expert of the 28B: Wan2.2-A14B's sizes, with the latents of the 5B."""

PUBLIC_14B_EXPERT = replace(
    PUBLIC_14B_PLAIN,
    action_config=ActionConfig(blocks=tuple(range(20)), img_hidden_size=5120),
)
"""The high-noise expert of the 28B. Which blocks see actions is not public: the first half."""
