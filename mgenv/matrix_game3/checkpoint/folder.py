"""A folder of weights: what lies where, whether it is whole, and the networks read from it.

Three layouts are known. The public download has ``base_distilled_model/`` and ``base_model/`` with
``config.json`` and shards, ``Wan2.2_VAE``, ``MG-LightVAE`` and ``MG-LightVAE_v2`` (``.pth``, or
what ``mgenv weights convert`` makes of them) and the text encoder. A mixture has
``high_noise_model/`` and ``low_noise_model/`` instead of these two, distilled or not. A folder of
golden tensors has ``dit_config.json``, ``dit.safetensors`` and ``vae_00``, ``vae_50``, ``vae_75``
(safetensors).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mgenv.errors import CheckpointError, UnknownNameError
from mgenv.matrix_game3.checkpoint.experts import (
    CONFIG,
    Expert,
    check_experts,
    read_experts,
)
from mgenv.matrix_game3.checkpoint.loader import Weights, check_fit, locate, open_weights
from mgenv.matrix_game3.checkpoint.renaming import light_vae_key
from mgenv.matrix_game3.checkpoint.text import ENCODER_FILE, TextCache, TextEncoder, lazily
from mgenv.matrix_game3.network.config import TransformerConfig
from mgenv.matrix_game3.network.transformer import Transformer
from mgenv.matrix_game3.speed.footprint import Footprint, Load, footprint
from mgenv.matrix_game3.vae.config import VaeConfig, join_decoder
from mgenv.matrix_game3.vae.vae import VideoVAE

DISTILLED, BASE = "base_distilled_model", "base_model"
HIGH, LOW = "high_noise_model", "low_noise_model"
"""Folders of the two experts, as in Wan2.2-A14B; the public 28B weights are not published yet."""
GOLDEN_CONFIG, GOLDEN_NETWORK, GOLDEN_TENSORS = (
    "dit_config.json",
    "dit.safetensors",
    "dit_golden.safetensors",
)
WHOLE_VAE = "Wan2.2_VAE"
LIGHT_VAES = {"light": "MG-LightVAE", "light_v2": "MG-LightVAE_v2"}
GOLDEN_VAES = {"whole": "vae_00", "light": "vae_50", "light_v2": "vae_75"}
TEXT_CACHE = "text_cache.safetensors"

PUBLIC_SIZE = (704, 1280)
"""Height and width that the public weights were trained at."""


@dataclass(frozen=True)
class Folder:
    """What a folder of weights holds; nothing but headers has been read.

    Attributes:
        root: the folder.
        experts: the network, or the high-noise and the low-noise one of a mixture.
        autoencoder: weights of the autoencoder, its decoder maybe a light one.
        image_size: height and width that its networks are for.
    """

    root: Path
    experts: tuple[Expert, ...]
    autoencoder: Weights
    image_size: tuple[int, int]

    @classmethod
    def open(cls, folder: str | Path, vae: str = "whole", base: bool = False) -> Folder:
        """Find everything and see whether it fits.

        Args:
            vae: ``"whole"``, ``"light"`` or ``"light_v2"``, whose decoders are faster.
            base: the base model, which needs many steps and guidance, not the distilled one.

        Raises:
            CheckpointError: no such folder, something missing in it, or another network.
            UnknownNameError: no such autoencoder.
        """
        if vae not in GOLDEN_VAES:
            raise UnknownNameError("vae", vae, GOLDEN_VAES)
        root = Path(folder).expanduser()
        if not root.is_dir():
            raise CheckpointError(f"weights: expected a folder, got {root}.")
        golden = (root / GOLDEN_CONFIG).is_file()
        made = cls._golden(root, vae) if golden else cls._public(root, vae, base)
        made.check()
        return made

    @classmethod
    def _golden(cls, root: Path, vae: str) -> Folder:
        config = TransformerConfig.from_json(root / GOLDEN_CONFIG)
        expert = Expert(config, open_weights(root / GOLDEN_NETWORK))
        autoencoder = open_weights(locate(root, GOLDEN_VAES[vae]))
        return cls(root, (expert,), autoencoder, _golden_size(root))

    @classmethod
    def _public(cls, root: Path, vae: str, base: bool) -> Folder:
        place = root / (BASE if base else DISTILLED)
        if (root / HIGH).is_dir() or (root / LOW).is_dir():
            experts = (Expert.open(root / HIGH), Expert.open(root / LOW, acts=False))
        elif (place / CONFIG).is_file():
            experts = (Expert.open(place),)
        else:
            raise CheckpointError(
                f"weights: expected {place.name}/{CONFIG} (the public download), {HIGH} and {LOW} "
                f"(two experts) or {GOLDEN_CONFIG} in {root}; got none of them."
            )
        autoencoder = open_weights(locate(root, WHOLE_VAE))
        if vae in LIGHT_VAES:
            light = open_weights(locate(root, LIGHT_VAES[vae]), light_vae_key)
            autoencoder = _joined(root, autoencoder, light)
        return cls(root, experts, autoencoder, PUBLIC_SIZE)

    @property
    def config(self) -> TransformerConfig:
        """Of the network that takes actions."""
        return self.experts[0].config

    @property
    def vae(self) -> VaeConfig:
        """Sizes of the autoencoder."""
        return VaeConfig.from_state_dict(self.autoencoder.meta())

    def check(self) -> None:
        """Whether every tensor is there and fits.

        Raises:
            CheckpointError: it names those that do not.
        """
        check_experts(self.experts)
        vae = self.vae
        if vae.latent_channels != self.config.in_dim:
            raise CheckpointError(
                f"{self.autoencoder.origin}: expected {self.config.in_dim} latent channels, "
                f"got {vae.latent_channels}."
            )
        with torch.device("meta"):
            check_fit(VideoVAE(vae), self.autoencoder)

    def footprint(self, load: Load) -> Footprint:
        """What its networks need to do something."""
        return footprint(self.experts, self.autoencoder, self.vae, load)

    # -- reading ---------------------------------------------------------------------------------

    def read(
        self, device: torch.device, boundary: float | None = None
    ) -> tuple[Transformer, VideoVAE]:
        """The networks on ``device``, in its :func:`precision`.

        Args:
            boundary: noise level in [0, 1] at which experts change; the mixture's own where None.
        """
        dtype = precision(device)
        network = read_experts(self.experts, device, dtype, boundary)
        state = dict(self.autoencoder.read())
        return network, VideoVAE.from_state_dict(state, dtype=dtype, device=device)

    def text(self, prompt: str, device: torch.device) -> Tensor:
        """(K, text_dim) of a prompt: from the cache, else from the encoder, else zeros for "".

        Raises:
            CheckpointError: neither knows the prompt.
            MissingExtraError: the encoder is there but ``transformers`` is not.
        """
        cache = TextCache(self.root / TEXT_CACHE)
        encoder = None
        try:
            locate(self.root, ENCODER_FILE)
            encoder = lazily(lambda: TextEncoder.from_folder(self.root, device))
        except CheckpointError:
            if not prompt and prompt not in cache:
                return torch.zeros(1, self.config.text_dim)
        embedded = cache.embed([prompt], encoder)[0].float()
        if embedded.ndim != 2 or embedded.shape[1] != self.config.text_dim:
            raise CheckpointError(
                f"{cache.path}: expected prompts (K, {self.config.text_dim}), "
                f"got {tuple(embedded.shape)}."
            )
        return embedded


def precision(device: torch.device) -> torch.dtype:
    """Of matrix products: bfloat16 on a GPU, float32 elsewhere."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def _joined(root: Path, whole: Weights, light: Weights) -> Weights:
    shapes, places = (
        join_decoder(whole.shapes, light.shapes),
        join_decoder(whole.places, light.places),
    )
    return Weights(root, shapes, places)


def _golden_size(root: Path) -> tuple[int, int]:
    """Of the pictures that a folder's references are of, the public size if it has none."""
    if not (root / GOLDEN_TENSORS).is_file():
        return PUBLIC_SIZE
    shape = open_weights(root / GOLDEN_TENSORS).shapes.get("first.x", ())
    return (shape[3] * 16, shape[4] * 16) if len(shape) == 5 else PUBLIC_SIZE
