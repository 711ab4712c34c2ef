"""The files of a network: one transformer, or two experts in folders of their own.

The experts' folders are named as those of Wan2.2-A14B, the network that they were grown from. The
public 28B weights are announced but not published, so that their layout is a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch

from mgenv.errors import CheckpointError, InvalidOptionError
from mgenv.matrix_game3.checkpoint.loader import Weights, check_fit, materialise, open_weights
from mgenv.matrix_game3.network.config import TransformerConfig
from mgenv.matrix_game3.network.mixture import BOUNDARY, Mixture
from mgenv.matrix_game3.network.transformer import FLOAT32, Transformer, build

HIGH, LOW = "high_noise_model", "low_noise_model"
CONFIG = "config.json"


@dataclass(frozen=True)
class Expert:
    """One transformer, of which only headers have been read.

    Attributes:
        config: its sizes.
        weights: its tensors.
        acts: whether it has to take actions; otherwise it must not.
    """

    config: TransformerConfig
    weights: Weights
    acts: bool = True

    @classmethod
    def open(cls, place: Path, acts: bool = True) -> Expert:
        """A folder with ``config.json`` and weights.

        Raises:
            CheckpointError: one of them is missing or damaged.
        """
        if not (place / CONFIG).is_file():
            raise CheckpointError(f"{place}: expected {CONFIG} and weights; got no {CONFIG}.")
        return cls(TransformerConfig.from_json(place / CONFIG), open_weights(place), acts)

    def check(self) -> None:
        """Whether every tensor is there and fits.

        Raises:
            CheckpointError: it names those that do not.
        """
        check_fit(build(self.config), self.weights)
        takes = self.config.action_config is not None and bool(self.config.action_config.blocks)
        if not self.config.use_memory or takes != self.acts:
            wanted = "memory, cameras and actions" if self.acts else "memory and cameras alone"
            raise CheckpointError(f"{self.weights.origin}: expected a network with {wanted}.")

    def read(self, device: torch.device, dtype: torch.dtype) -> Transformer:
        """The network, products in ``dtype``; norms, modulations, time and head in float32."""

        def kind(name: str) -> torch.dtype:
            return torch.float32 if any(part in name for part in FLOAT32) else dtype

        network = build(self.config)
        materialise(network, self.weights, device, kind)
        return network


def is_mixture(root: Path) -> bool:
    """Whether a folder holds experts."""
    return (root / HIGH).is_dir() or (root / LOW).is_dir()


def open_mixture(root: Path) -> tuple[Expert, Expert]:
    """The high-noise expert and the low-noise one.

    Raises:
        CheckpointError: one is missing or damaged.
    """
    return Expert.open(root / HIGH), Expert.open(root / LOW, acts=False)


def check_experts(experts: Sequence[Expert]) -> None:
    """Whether all tensors of all experts are there and fit.

    Raises:
        CheckpointError: it tells of each expert what does not.
    """
    told = []
    for expert in experts:
        try:
            expert.check()
        except CheckpointError as error:
            told.append(str(error))
    channels = {expert.config.in_dim for expert in experts}
    if len(channels) > 1:
        told.append(f"expected experts with the same latent channels, got {sorted(channels)}")
    if told:
        raise CheckpointError("\n".join(told))


def read_experts(
    experts: Sequence[Expert], device: torch.device, dtype: torch.dtype, boundary: float | None
) -> Transformer:
    """The one network, or the mixture, which offers all that a rollout asks of one."""
    first, *others = (expert.read(device, dtype) for expert in experts)
    if not others:
        return first
    mixture = Mixture(first, others[0], BOUNDARY if boundary is None else boundary)
    return cast(Transformer, mixture)


def check_boundary(experts: Sequence[Expert], boundary: float | None) -> None:
    """Whether a noise level to change experts at fits.

    Raises:
        InvalidOptionError: it is out of range, or there are no experts to change.
    """
    if boundary is None:
        return
    if len(experts) == 1 or not 0.0 <= boundary <= 1.0:
        raise InvalidOptionError(
            f"boundary: expected 0 … 1 for two experts, or None for one network, got {boundary} "
            f"for {len(experts)}"
        )
