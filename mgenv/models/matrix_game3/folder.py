"""A folder of weights: what lies where, whether it is whole, and the networks read from it.

Two layouts are known. The public download has ``base_distilled_model/`` and ``base_model/`` with
``config.json`` and shards, ``Wan2.2_VAE``, ``MG-LightVAE`` and ``MG-LightVAE_v2`` (``.pth``, or
what ``mgenv weights convert`` makes of them) and the text encoder. A folder of golden tensors has
``dit_config.json``, ``dit.safetensors`` and ``vae_00``, ``vae_50``, ``vae_75`` (safetensors).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mgenv.errors import CheckpointError, InvalidOptionError, UnknownNameError
from mgenv.models.matrix_game3.config import TransformerConfig
from mgenv.models.matrix_game3.loader import (
    Weights,
    check_fit,
    locate,
    materialise,
    open_weights,
)
from mgenv.models.matrix_game3.renaming import light_vae_key
from mgenv.models.matrix_game3.text import ENCODER_FILE, TextCache, TextEncoder, lazily
from mgenv.models.matrix_game3.transformer import FLOAT32, Transformer, build
from mgenv.models.matrix_game3.vae import VideoVAE
from mgenv.models.matrix_game3.vae_config import VaeConfig, join_decoder

DISTILLED, BASE = "base_distilled_model", "base_model"
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

WORKSPACE_BYTES = 6 * 2**30
"""What a clip needs beside the weights at 704×1280, roughly."""


@dataclass(frozen=True)
class Folder:
    """What a folder of weights holds; nothing but headers has been read.

    Attributes:
        root: the folder.
        config: of the transformer.
        network: its weights.
        autoencoder: weights of the autoencoder, or of its encoder if there is a light one.
        light: weights of a light decoder, or None.
        image_size: height and width that its networks are for.
    """

    root: Path
    config: TransformerConfig
    network: Weights
    autoencoder: Weights
    light: Weights | None
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
        network = open_weights(root / GOLDEN_NETWORK)
        autoencoder = open_weights(locate(root, GOLDEN_VAES[vae]))
        return cls(root, config, network, autoencoder, None, _golden_size(root))

    @classmethod
    def _public(cls, root: Path, vae: str, base: bool) -> Folder:
        place = root / (BASE if base else DISTILLED)
        config = place / "config.json"
        if not config.is_file():
            raise CheckpointError(
                f"weights: expected {place.name}/config.json (the public download) or "
                f"{GOLDEN_CONFIG} in {root}; got neither."
            )
        network, light = open_weights(place), None
        if vae in LIGHT_VAES:
            light = open_weights(locate(root, LIGHT_VAES[vae]), light_vae_key)
        whole = open_weights(locate(root, WHOLE_VAE))
        return cls(root, TransformerConfig.from_json(config), network, whole, light, PUBLIC_SIZE)

    def check(self) -> None:
        """Whether every tensor is there and fits.

        Raises:
            CheckpointError: it names those that do not.
        """
        check_fit(build(self.config), self.network)
        if not self.config.use_memory or self.config.action_config is None:
            raise CheckpointError(
                f"{self.network.origin}: expected a network with memory, cameras and actions."
            )
        vae = VaeConfig.from_state_dict(self._joined())
        if vae.latent_channels != self.config.in_dim:
            raise CheckpointError(
                f"{self.autoencoder.origin}: expected {self.config.in_dim} latent channels, "
                f"got {vae.latent_channels}."
            )
        if self.light is None:
            with torch.device("meta"):
                check_fit(VideoVAE(vae), self.autoencoder)

    def _joined(self) -> dict[str, Tensor]:
        whole = self.autoencoder.meta()
        return whole if self.light is None else join_decoder(whole, self.light.meta())

    # -- reading ---------------------------------------------------------------------------------

    def read(self, device: torch.device) -> tuple[Transformer, VideoVAE]:
        """The networks on ``device``: bfloat16 on a GPU, float32 elsewhere.

        Raises:
            InvalidOptionError: the GPU has too little memory.
        """
        small = torch.bfloat16 if device.type == "cuda" else torch.float32
        self._require_memory(device)

        def kind(name: str) -> torch.dtype:
            return torch.float32 if any(part in name for part in FLOAT32) else small

        network = build(self.config)
        materialise(network, self.network, device, kind)
        state = dict(self.autoencoder.read())
        if self.light is not None:
            state = join_decoder(state, dict(self.light.read()))
        return network, VideoVAE.from_state_dict(state, dtype=small, device=device)

    def _require_memory(self, device: torch.device) -> None:
        if device.type != "cuda":
            return
        free, _ = torch.cuda.mem_get_info(device)
        shapes = [*self.network.shapes.values(), *self.autoencoder.shapes.values()]
        needed = 2 * sum(shape.numel() for shape in shapes) + WORKSPACE_BYTES
        if self.image_size == PUBLIC_SIZE and free < needed:
            raise InvalidOptionError(
                f"device: expected {needed / 2**30:.0f} GiB free on {device}, got "
                f'{free / 2**30:.0f}; vae="light_v2" and a smaller image_size need less.'
            )

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


def _golden_size(root: Path) -> tuple[int, int]:
    """Of the pictures that a folder's references are of, the public size if it has none."""
    if not (root / GOLDEN_TENSORS).is_file():
        return PUBLIC_SIZE
    shape = open_weights(root / GOLDEN_TENSORS).shapes.get("first.x", ())
    return (shape[3] * 16, shape[4] * 16) if len(shape) == 5 else PUBLIC_SIZE
