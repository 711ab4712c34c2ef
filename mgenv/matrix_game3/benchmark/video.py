"""`mgenv bench video`: the public 5B network at full size, optimisation by optimisation."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend

from mgenv.benchmark import timing
from mgenv.benchmark.report import Report
from mgenv.matrix_game3.benchmark import video_clip as clips
from mgenv.matrix_game3.benchmark import video_profile
from mgenv.matrix_game3.benchmark.video_clip import CLEAN, NEW_FRAMES, Inputs
from mgenv.matrix_game3.checkpoint.references import relative_error
from mgenv.matrix_game3.kernels.quantize import FP8, INT8
from mgenv.matrix_game3.network.attention import KERNELS, attention_kernels
from mgenv.matrix_game3.network.config import PUBLIC_5B, TransformerConfig
from mgenv.matrix_game3.network.transformer import Transformer, build
from mgenv.matrix_game3.rollout.rollout import Rollout
from mgenv.matrix_game3.speed.fast import (
    WITHIN,
    Speed,
    compile_blocks,
    eight_bit_layers,
    fast_decoder,
    set_attention,
    set_bits,
    set_draft,
)
from mgenv.matrix_game3.vae.config import VaeConfig
from mgenv.matrix_game3.vae.streaming import StreamingDecoder
from mgenv.matrix_game3.vae.vae import VideoVAE
from mgenv.training.pruning.prune import narrowed

Row = dict[str, Any]
AS_PUBLISHED = (SDPBackend.FLASH_ATTENTION, SDPBackend.MATH)
PROTOCOL = (
    "A later clip of the public rollout (4 clean, 10 new and 5 memory latents, 40 new frames), "
    "batch 1, random weights at the true sizes (speed does not depend on their values, errors do). "
    "*Retrieve*: choosing 5 of 2,048 remembered frames. *Prepare*, *steps*: the part of the "
    "transformer that does not depend on the noise, and 3 steps of flow UniPC. *Decode*: 10 "
    "latents to uint8 frames on the host, the feature cache kept. *Clip*: `Rollout.extend`, from "
    "actions to frames on the host, as a whole; where the row does not run that way, the sum of "
    "its parts. *FPS*: 40 frames over it. *Velocity*, *rollout*: error ‖out − ref‖/‖ref‖ against "
    "float32 of one velocity and of the latents after 3 steps. Each row adds to the one above but "
    "where it says otherwise."
)


@dataclass(frozen=True)
class BenchVariant:
    """One row of the benchmark: which optimisations the clip is computed with.

    Attributes:
        name: of the row.
        cudnn: attention by cuDNN instead of FlashAttention-2.
        once: what does not depend on the noise once a clip, not once a step.
        pruned: share of the decoder's width that is pruned away.
        pinned: frames come to the host through pinned memory.
        speed: the rest.
        ahead: the decoder works behind the next clip's transformer.
        retrieve_on_cpu: memory is searched on the CPU.
        world: the clip is a step of :class:`mgenv.matrix_game3.world.MatrixGame3World`.
    """

    name: str
    cudnn: bool = False
    once: bool = False
    pruned: float = 0.0
    pinned: bool = False
    speed: Speed = field(default=Speed())
    ahead: bool = False
    retrieve_on_cpu: bool = False
    world: bool = False

    @property
    def products(self) -> tuple[str, tuple[str, ...]]:
        """Kind of 8 bits, and of which layers."""
        return self.speed.eight_bits, self.speed.chosen

    def faster(self, name: str, **changes: Any) -> BenchVariant:
        """With another name and a change of its speed."""
        return replace(self, name=name, speed=replace(self.speed, **changes))


PLAIN = BenchVariant("bfloat16, as published")
CUDNN = replace(PLAIN, name="cuDNN's attention", cudnn=True)
ONCE = replace(CUDNN, name="conditions once a clip", once=True)
LIGHT = replace(ONCE, name="decoder pruned by 75 %", pruned=0.75)
PINNED = replace(LIGHT, name="frames through pinned memory", pinned=True)
COMPILED = PINNED.faster("blocks compiled, bfloat16 between them", compiled=True)
DECODER = COMPILED.faster("decoder folded, compiled, graphed", graphed=True)
GATED = DECODER.faster("INT8 products within the gate", eight_bits=INT8, layers=WITHIN[INT8])
GATED_FLASH3 = GATED.faster("… FlashAttention-3", attention="flash3")
IN_FP8 = DECODER.faster("FP8 products, most (instead)", eight_bits=FP8)
NO_BITS = DECODER.faster("without 8 bits", attention="flash3", reuse="first_step")
NO_LIGHT = replace(NO_BITS, name="… nor the light decoder", pruned=0.0)
NO_RETRIEVAL = replace(NO_LIGHT, name="… nor retrieval on the GPU", retrieve_on_cpu=True)
IN_INT8 = DECODER.faster("INT8 products, most (instead)", eight_bits=INT8)
FLASH3 = IN_INT8.faster("FlashAttention-3", attention="flash3")
ALTERNATE = FLASH3.faster("clean keys of the first step in the second", reuse="alternate")
DRAFT = ALTERNATE.faster("INT8 attention in all steps but the last", draft=True)
DRAFT_WORLD = replace(DRAFT, name="… as the step of an environment", world=True)
FASTEST = DRAFT.faster("clean keys of the first step in all others", reuse="first_step")
WORLD = replace(FASTEST, name="… as the step of an environment, too", world=True)
AHEAD = replace(FASTEST, name="… decoder behind the next clip (instead)", ahead=True)
REUSED = FLASH3.faster("without INT8 attention", reuse="first_step")
CAUSAL = FLASH3.faster("clean keys from a pass of their own (instead)", reuse="causal")
ATTENTION = FLASH3.faster("INT8 attention in all steps, nothing reused", attention=INT8)

ABLATION = (NO_BITS, NO_LIGHT, NO_RETRIEVAL)
"""What `FASTEST` is without, as the paper's ablation; before the rows that have most layers in
INT8, so that their memory is without bfloat16 weights."""

ROWS = (
    PLAIN, CUDNN, ONCE, LIGHT, PINNED, COMPILED, DECODER, GATED, GATED_FLASH3, IN_FP8, *ABLATION,
    IN_INT8, FLASH3, ALTERNATE, DRAFT, DRAFT_WORLD, FASTEST, WORLD, AHEAD, REUSED, CAUSAL,
    ATTENTION,
)  # fmt: skip
"""As they are measured."""


@dataclass(frozen=True)
class Truth:
    """In float32: one velocity, and new latents after all steps."""

    velocity: Tensor
    latents: Tensor


def run(
    config: TransformerConfig = PUBLIC_5B,
    vae: VaeConfig | None = None,
    size: tuple[int, int] = (704, 1280),
    rows: Sequence[BenchVariant] = ROWS,
    device: str = "cuda",
    report: Callable[[str], None] = lambda text: None,
    profile: bool = False,
) -> Report:
    """Measure the clip on one GPU, row by row.

    Args:
        profile: whether the notes tell which kernels each clip spends its time in.
    """
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    inputs = clips.make_inputs(config, size, device)
    network = build(config, device)
    truth = _truth(network, inputs)
    network.mixed()
    bench = Bench(network, vae or VaeConfig(), inputs, truth, device, profile)
    table, failed = [], []
    for n, variant in enumerate(rows):
        try:
            if n and all(later.products == rows[n - 1].products for later in rows[n:]):
                bench.settle()
            table.append(bench.measure(variant))
            report(" ".join(f"{key}: {format_value(value)}" for key, value in table[-1].items()))
        except (RuntimeError, ImportError) as error:
            failed.append(f"{variant.name}: {type(error).__name__}: {str(error).splitlines()[0]}")
            report(failed[-1])
    return Report(
        title="Video", protocol=PROTOCOL, rows=table, seeds=[0], failed=failed, notes=bench.notes
    )


def format_value(value: object) -> str:
    """A figure as it is printed."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@torch.no_grad()
def _truth(network: Transformer, inputs: Inputs) -> Truth:
    prepared = network.prepare(**inputs.conditions)
    velocity = network(inputs.latents, inputs.timesteps, prepared)
    return Truth(velocity, clips.roll(network, inputs, prepared))


@dataclass
class Bench:
    """What all rows share.

    Attributes:
        network: in bfloat16; blocks stay compiled from the first row on that compiles them.
        sizes: of the autoencoder before it is pruned.
        profile: whether kernels are timed.
        notes: what was noticed.
    """

    network: Transformer
    sizes: VaeConfig
    inputs: Inputs
    truth: Truth
    device: str
    profile: bool = False
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._linears = eight_bit_layers(self.network)
        self._products: tuple[str, tuple[str, ...]] = ("", ())
        self._compiled = False

    def settle(self) -> None:
        """Forget the bfloat16 weights that 8-bit ones stand for; all later rows have these."""
        self._linears.clear()

    def measure(self, variant: BenchVariant) -> Row:
        """One row."""
        self._set(variant)
        decoder = self._decoder(variant)
        kernels = KERNELS if variant.cudnn else AS_PUBLISHED
        with attention_kernels(kernels), torch.no_grad():
            errors = self._errors(variant)
            parts = self._parts(variant, decoder)
            whole = variant.once and variant.pinned and not variant.retrieve_on_cpu
            clip = self._clip(variant, decoder) if whole else sum(parts.values())
            if self.profile:
                self._note_kernels(variant, decoder)
        return {
            "variant": variant.name,
            **{f"{name} [ms]": 1e3 * spent for name, spent in parts.items()},
            "clip [ms]": 1e3 * clip,
            "FPS": NEW_FRAMES / clip,
            "memory [GiB]": self._peak(),
            **errors,
        }

    def _set(self, variant: BenchVariant) -> None:
        speed, network = variant.speed, self.network
        if variant.products != self._products:
            set_bits(network, self._linears, "")
            chosen = eight_bit_layers(network, speed.chosen) if speed.eight_bits else {}
            set_bits(network, chosen, speed.eight_bits)
            self._products = variant.products
        set_attention(network, speed.attention if self.device != "cpu" else "")
        set_draft(network, speed.draft)
        network.stream_dtype = network.dtype if speed.compiled else torch.float32
        if speed.compiled and not self._compiled and self.device != "cpu":
            compile_blocks(network)
            self._compiled = True

    def _decoder(self, variant: BenchVariant) -> StreamingDecoder:
        on_gpu = self.device != "cpu"
        with torch.device(self.device):
            vae = VideoVAE(narrowed(self.sizes, variant.pruned)).eval().requires_grad_(False)
        vae = vae.to(torch.bfloat16 if on_gpu else torch.float32)
        gc.collect()
        if on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
        speed = variant.speed if on_gpu else Speed()
        return fast_decoder(vae, speed, segment=5 if variant.pruned else 2)

    def _errors(self, variant: BenchVariant) -> dict[str, float]:
        prepared = self.network.prepare(**self.inputs.conditions) if variant.once else None
        latents = clips.roll(self.network, self.inputs, prepared, variant.speed.reuse)
        velocity = clips.velocity(self.network, self.inputs, variant.once)
        return {
            "velocity": relative_error(velocity, self.truth.velocity),
            "rollout": relative_error(latents, self.truth.latents),
        }

    def _parts(self, variant: BenchVariant, decoder: StreamingDecoder) -> dict[str, float]:
        network, inputs, device = self.network, self.inputs, self.device
        prepared, prepare = None, 0.0
        if variant.once:
            known = self._read()
            prepare = timing.seconds(lambda: tuple(network.prepare(**known).blocks), device)
            prepared = network.prepare(**known)
        reuse, new = variant.speed.reuse, inputs.latents[:, :, CLEAN:]
        searcher = "cpu" if variant.retrieve_on_cpu else device
        return {
            "retrieve": clips.retrieve_seconds(inputs, searcher),
            "prepare": prepare,
            "3 steps": timing.seconds(lambda: clips.roll(network, inputs, prepared, reuse), device),
            "decode": clips.decode_seconds(decoder, new, device, variant.pinned),
        }

    def _clip(self, variant: BenchVariant, decoder: StreamingDecoder) -> float:
        text = self.inputs.conditions["text"][0]
        rollout = Rollout(
            self.network, decoder.vae, text, reuse=variant.speed.reuse, decoder=decoder
        )
        if not variant.world:
            return clips.clip_seconds(rollout, self.inputs, self.device, variant.ahead)
        height, width = (16 * side for side in self.inputs.latents.shape[3:])
        spent, again = clips.world_seconds(rollout, (height, width), self.device)
        self.notes.append(f"{variant.name}: programs compiled after the third clip: {again}.")
        return spent

    def _read(self) -> dict[str, Any]:
        """Arguments of ``prepare``, the prompt read."""
        conditions = self.inputs.conditions
        return conditions | {"text": self.network.read(conditions["text"])}

    def _note_kernels(self, variant: BenchVariant, decoder: StreamingDecoder) -> None:
        latents = self.inputs.latents[:, :, CLEAN:]
        known = self._read()
        prepared = self.network.prepare(**known)
        tuple(prepared.blocks)  # so that they are not computed in a step
        works: dict[str, Callable[[], Any]] = {
            "prepare": lambda: tuple(self.network.prepare(**known).blocks),
            "steps": lambda: clips.roll(
                self.network, self.inputs, prepared if variant.once else None, variant.speed.reuse
            ),
            "decode": lambda: decoder.decode_to_uint8(latents),
        }
        for name, work in works.items():
            kernels = video_profile.kernel_seconds(work, self.device)
            self.notes.append(f"{variant.name}, {name}: {video_profile.format_kernels(kernels)}")

    def _peak(self) -> float:
        on_gpu = self.device != "cpu"
        return torch.cuda.max_memory_allocated(self.device) / 2**30 if on_gpu else float("nan")
