"""`mgenv bench accuracy`: what each fast path of the public network costs, on golden tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mgenv.benchmark.report import Report
from mgenv.errors import CheckpointError
from mgenv.matrix_game3.checkpoint.loader import materialise, open_weights
from mgenv.matrix_game3.checkpoint.network_references import (
    CONFIG,
    NETWORK,
    second_clip,
    second_velocity,
)
from mgenv.matrix_game3.checkpoint.references import Case, relative_error
from mgenv.matrix_game3.checkpoint.verify import GOLDEN, require_device
from mgenv.matrix_game3.kernels.quantize import FP8, INT8
from mgenv.matrix_game3.network.config import TransformerConfig
from mgenv.matrix_game3.network.transformer import Transformer, build
from mgenv.matrix_game3.rollout.clips import REUSE, ClipConditions, sample_clip
from mgenv.matrix_game3.speed.fast import (
    CAMERA,
    MOST,
    TOKENS,
    WITHIN,
    eight_bit_layers,
    set_attention,
    set_bits,
    set_draft,
)

Row = dict[str, Any]
STEPS, SHIFT, CLEAN = 3, 5.0, 4
PROTOCOL = (
    "The second clip of a folder of golden tensors, on its network. *Velocity*: error of one, "
    "‖out − ref‖/‖ref‖ against the same network in bfloat16. The other columns: of the new latents "
    "after 3 steps of flow UniPC, by what steps reuse of clean latents' keys and values, against "
    "bfloat16 that reuses nothing; the mean over several noises."
)


@dataclass(frozen=True)
class Variant:
    """A way to compute the network.

    Attributes:
        name: of the row.
        kind: of 8-bit products, "" for none.
        layers: which, by the beginnings of their names; if none is named, most of the kind.
        attention: of ``fast.ATTENTIONS``, "" for the plain one.
        mixed: products in bfloat16, else all in float32.
        draft: steps before the last attend in 8 bits.
    """

    name: str
    kind: str = ""
    layers: tuple[str, ...] = ()
    attention: str = ""
    mixed: bool = True
    draft: bool = False


PLAIN = Variant("bfloat16")
VARIANTS = (
    PLAIN,
    Variant("float32", mixed=False),
    Variant("INT8 within the gate", INT8, WITHIN[INT8]),
    Variant("INT8, most", INT8),
    Variant("INT8, most but the camera branch", INT8, TOKENS),
    Variant("INT8, most, and attention but in the last step", INT8, draft=True),
    Variant("INT8, most, and attention", INT8, attention=INT8),
    Variant("INT8 attention alone", attention=INT8),
    Variant("INT8 camera branch alone", INT8, CAMERA),
    Variant("FP8 within the gate", FP8, WITHIN[FP8]),
    Variant("FP8, most", FP8),
)


@torch.no_grad()
def run(
    folder: str | Path,
    variants: Sequence[Variant] = VARIANTS,
    noises: int = 5,
    device: str = "cpu",
    report: Callable[[str], None] = lambda text: None,
) -> Report:
    """Measure every variant.

    Args:
        folder: as ``mgenv weights verify`` takes it.
        noises: that the 3 steps begin with.

    Raises:
        CheckpointError: the folder lacks the network or its second clip.
        InvalidOptionError: there is no such device.
    """
    require_device(device)
    case, seeds = _case(Path(folder).expanduser(), device), range(noises)
    plain = _network(case, PLAIN)
    velocity = second_velocity(case, plain)
    latents = [_latents(case, plain, "none", seed) for seed in seeds]
    rows: list[Row] = []
    for variant in variants:
        network = _network(case, variant)
        row: Row = {"variant": variant.name}
        row["velocity"] = relative_error(second_velocity(case, network), velocity)
        for reuse in REUSE:
            made = [_latents(case, network, reuse, seed) for seed in seeds]
            errors = map(relative_error, made, latents)
            row[f"reuse {reuse}"] = sum(errors) / noises
        rows.append(row)
        report(" ".join(f"{key}: {_told(value)}" for key, value in row.items()))
    return Report(title="Accuracy of fast paths", protocol=PROTOCOL, rows=rows, seeds=seeds)


def _told(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _case(root: Path, device: str) -> Case:
    missing = [name for name in (CONFIG, NETWORK, GOLDEN) if not (root / name).is_file()]
    if missing:
        raise CheckpointError(f"{root}: expected {', '.join(missing)}; got none.")
    golden = {key: value.to(device) for key, value in open_weights(root / GOLDEN).read()}
    case = Case(root, golden, torch.device(device))
    if not case.has("second.x", "second.t", "second.predict_latent_idx", "text"):
        raise CheckpointError(f"{root / GOLDEN}: expected a second clip; got none.")
    return case


def _network(case: Case, variant: Variant) -> Transformer:
    network = build(TransformerConfig.from_json(case.root / CONFIG))
    materialise(network, open_weights(case.root / NETWORK), case.device)
    if variant.mixed:
        network.mixed()
    if variant.kind:
        layers = eight_bit_layers(network, variant.layers or MOST[variant.kind])
        set_bits(network, layers, variant.kind)
    set_attention(network, variant.attention)
    set_draft(network, variant.draft)
    return network


def _latents(case: Case, network: Transformer, reuse: str, seed: int) -> Tensor:
    """New latents after all steps from noise."""
    x = case.float("second.x")
    past, new = x[:, :, :CLEAN], x[:, :, CLEAN:]
    noise = torch.randn(new.shape, generator=torch.Generator().manual_seed(seed)).to(new)
    conditions = ClipConditions(network.prepare(**second_clip(case)))
    return sample_clip(network, conditions, past, noise, STEPS, SHIFT, 1.0, reuse)
