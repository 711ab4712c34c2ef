"""Prompts as the network reads them: UMT5-XXL, once, and a file of what it said.

The encoder is 11 GB and the prompts of a run are few, so their embeddings are kept in a
safetensors file; with all of them there neither the encoder nor ``transformers`` is needed.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mgenv.errors import CheckpointError, MissingExtraError
from mgenv.matrix_game3.checkpoint.loader import Weights, locate, materialise, open_weights
from mgenv.matrix_game3.checkpoint.renaming import text_encoder_key
from mgenv.output import open_safetensors, write_safetensors

TEXT_LENGTH = 512
"""Tokens that a prompt is cut to."""

ENCODER_FILE = "models_t5_umt5-xxl-enc-bf16"
TOKENIZER_FOLDER = "google/umt5-xxl"


class Encoder(Protocol):
    """What turns prompts into embeddings."""

    def __call__(self, prompts: Sequence[str]) -> list[Tensor]:
        """Embeddings (K, D) of each prompt, K its own number of tokens."""
        ...


def cleaned(prompt: str) -> str:
    """Without the marks of web pages, broken encodings and superfluous space.

    Raises:
        MissingExtraError: ``ftfy`` is not installed.
    """
    try:
        import ftfy  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        raise MissingExtraError("text", "Prompts that are not in the cache") from error
    return " ".join(html.unescape(html.unescape(ftfy.fix_text(prompt))).split())


class TextEncoder:
    """UMT5 with the public weights.

    Args:
        model: ``transformers``' encoder.
        tokenizer: ``transformers``' tokenizer.
        length: tokens that a prompt is cut to.
    """

    def __init__(self, model: nn.Module, tokenizer: Any, length: int = TEXT_LENGTH) -> None:
        self.model, self.tokenizer, self.length = model, tokenizer, length

    @classmethod
    def from_folder(
        cls,
        folder: str | Path,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.bfloat16,
    ) -> TextEncoder:
        """Read the public download's encoder and tokenizer; nothing is fetched.

        Raises:
            MissingExtraError: ``transformers`` is not installed.
            CheckpointError: weights or tokenizer are missing or do not fit.
        """
        transformers = _transformers()
        weights = open_weights(locate(folder, ENCODER_FILE), text_encoder_key)
        model = materialise(empty_encoder(weights), weights, device, dtype)
        place = Path(folder) / TOKENIZER_FOLDER
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(place, local_files_only=True)
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{place}: expected a tokenizer; got {error}.") from error
        return cls(model, tokenizer)

    @torch.inference_mode()
    def __call__(self, prompts: Sequence[str]) -> list[Tensor]:
        """Embeddings (K, D) of each prompt, without padding."""
        device = next(self.model.parameters()).device
        tokens = self.tokenizer(
            [cleaned(prompt) for prompt in prompts],
            padding=True,
            truncation=True,
            max_length=self.length,
            return_tensors="pt",
        )
        ids, mask = tokens["input_ids"].to(device), tokens["attention_mask"].to(device)  # (P, K)
        states = self.model(input_ids=ids, attention_mask=mask).last_hidden_state  # (P, K, D)
        return [state[: int(own.sum())] for state, own in zip(states, mask, strict=True)]


def empty_encoder(weights: Weights) -> nn.Module:
    """An encoder on ``meta``, its sizes worked out from the weights.

    Raises:
        MissingExtraError: ``transformers`` is not installed.
        CheckpointError: these are not an encoder's weights.
    """
    transformers, shapes = _transformers(), weights.shapes
    first, layers = "encoder.block.0.layer.", 0
    while f"encoder.block.{layers}.layer.0.layer_norm.weight" in shapes:
        layers += 1
    try:
        vocabulary, width = shapes["shared.weight"]
        buckets, heads = shapes[f"{first}0.SelfAttention.relative_attention_bias.weight"]
        inner, _ = shapes[f"{first}0.SelfAttention.q.weight"]
        hidden, _ = shapes[f"{first}1.DenseReluDense.wi_0.weight"]
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{weights.origin}: expected UMT5's weights; no {error}.") from error
    config = transformers.UMT5Config(
        vocab_size=vocabulary,
        d_model=width,
        d_kv=inner // heads,
        d_ff=hidden,
        num_layers=layers,
        num_heads=heads,
        relative_attention_num_buckets=buckets,
        feed_forward_proj="gated-gelu",
    )
    with torch.device("meta"):
        model = transformers.UMT5EncoderModel(config)
    model.set_input_embeddings(model.get_input_embeddings())  # one table under both its names
    return model


def _transformers() -> Any:
    try:
        import transformers  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        raise MissingExtraError("text", "Prompts that are not in the cache") from error
    return transformers


class TextCache:
    """Embeddings by prompt, in a safetensors file that any machine can read.

    Args:
        path: of the file; it need not exist yet.

    Raises:
        CheckpointError: the file is damaged or something else.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        self._known: dict[str, Tensor] = {}
        self._prompts: dict[str, str] = {}
        if self.path.exists():
            self._read()

    def _read(self) -> None:
        with open_safetensors(self.path, "cached texts") as file:
            self._prompts = dict(file.metadata() or {})
            self._known = {key: file.get_tensor(key) for key in file.keys()}
        strange = sorted(key for key in self._known if _key(self._prompts.get(key, "")) != key)
        if strange:
            raise CheckpointError(f"{self.path}: expected cached texts; got {', '.join(strange)}.")

    def __contains__(self, prompt: str) -> bool:
        return _key(prompt) in self._known

    def __len__(self) -> int:
        return len(self._known)

    def embed(self, prompts: Sequence[str], encoder: Encoder | None = None) -> list[Tensor]:
        """Embeddings of prompts, from the file or else from the encoder, and then kept.

        Args:
            prompts: in any number; equal ones are encoded once.
            encoder: an encoder, or None. :func:`lazily` makes one that loads when first needed.

        Returns:
            (K, D) for each prompt, K its own number of tokens, on the CPU.

        Raises:
            CheckpointError: a prompt is not in the file and there is no encoder.
            OutputError: the file cannot be written.
        """
        missing = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self]
        if missing and encoder is None:
            raise CheckpointError(
                f"{self.path}: expected the texts {missing!r} to be cached; there is no encoder."
            )
        if missing and encoder is not None:
            for prompt, embedded in zip(missing, encoder(missing), strict=True):
                self._known[_key(prompt)] = embedded.detach().cpu().clone()
                self._prompts[_key(prompt)] = prompt
            write_safetensors(self.path, self._known, self._prompts)
        return [self._known[_key(prompt)] for prompt in prompts]


def lazily(load: Callable[[], Encoder]) -> Encoder:
    """An encoder that is loaded when its first prompt comes."""
    loaded: list[Encoder] = []

    def encode(prompts: Sequence[str]) -> list[Tensor]:
        if not loaded:
            loaded.append(load())
        return loaded[0](prompts)

    return encode


def _key(prompt: str) -> str:
    return hashlib.sha256(prompt.encode()).hexdigest()
