"""The transformers of a checkpoint: one network, or the two experts of a mixture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import torch

from mgenv.errors import CheckpointError, InvalidOptionError
from mgenv.matrix_game3.checkpoint.loader import Weights, check_fit, materialise, open_weights
from mgenv.matrix_game3.network.config import TransformerConfig
from mgenv.matrix_game3.network.mixture import BOUNDARY, Mixture
from mgenv.matrix_game3.network.transformer import FLOAT32, Transformer, build

CONFIG = "config.json"


@dataclass(frozen=True)
class Expert:
    """One transformer, with only its headers read.

    Attributes:
        config: its sizes.
        weights: its tensors.
        acts: whether it must take actions; otherwise it must not.
    """

    config: TransformerConfig
    weights: Weights
    acts: bool = True

    @classmethod
    def open(cls, place: Path, acts: bool = True) -> Expert:
        """Open a folder with ``config.json`` and weights.

        Raises:
            CheckpointError: one of them is missing or damaged.
        """
        if not (place / CONFIG).is_file():
            raise CheckpointError(f"{place}: expected {CONFIG} and weights; got no {CONFIG}.")
        return cls(TransformerConfig.from_json(place / CONFIG), open_weights(place), acts)

    def check(self) -> None:
        """Check that every tensor is there and fits.

        Raises:
            CheckpointError: names the tensors that do not.
        """
        check_fit(build(self.config), self.weights)
        takes = self.config.action_config is not None and bool(self.config.action_config.blocks)
        if not self.config.use_memory or takes != self.acts:
            wanted = "memory, cameras and actions" if self.acts else "memory and cameras alone"
            raise CheckpointError(f"{self.weights.origin}: expected a network with {wanted}.")

    def read(self, device: torch.device, dtype: torch.dtype) -> Transformer:
        """The network, its weights as :func:`weight_dtype` gives them."""
        network = build(self.config)
        materialise(network, self.weights, device, partial(weight_dtype, dtype=dtype))
        return network


def weight_dtype(name: str, dtype: torch.dtype) -> torch.dtype:
    """float32 for norms, modulations, time and head; ``dtype`` for all other weights."""
    return torch.float32 if any(part in name for part in FLOAT32) else dtype


def check_experts(experts: Sequence[Expert]) -> None:
    """Check that all tensors of all experts are there and fit.

    Raises:
        CheckpointError: names what does not fit in each expert.
    """
    wrong = []
    for expert in experts:
        try:
            expert.check()
        except CheckpointError as error:
            wrong.append(str(error))
    channels = {expert.config.in_dim for expert in experts}
    if len(channels) > 1:
        wrong.append(f"expected experts with the same latent channels, got {sorted(channels)}")
    if wrong:
        raise CheckpointError("\n".join(wrong))


def read_experts(
    experts: Sequence[Expert], device: torch.device, dtype: torch.dtype, boundary: float | None
) -> Transformer:
    """The network, or the mixture, which has the same interface for a rollout."""
    first, *others = (expert.read(device, dtype) for expert in experts)
    if not others:
        return first
    mixture = Mixture(first, others[0], BOUNDARY if boundary is None else boundary)
    return cast(Transformer, mixture)


def check_boundary(experts: Sequence[Expert], boundary: float | None) -> None:
    """Check the noise level at which experts change.

    Raises:
        InvalidOptionError: it is out of range, or there is only one network.
    """
    if boundary is None:
        return
    if len(experts) == 1 or not 0.0 <= boundary <= 1.0:
        raise InvalidOptionError(
            f"boundary: expected 0 … 1 for two experts, or None for one network, got {boundary} "
            f"for {len(experts)}"
        )
