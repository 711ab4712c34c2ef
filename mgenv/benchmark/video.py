"""`mgenv bench video`: the public 5B network at full size, lever by lever."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from mgenv.benchmark.report import Report
from mgenv.models.matrix_game3.config import PUBLIC_5B, TransformerConfig
from mgenv.models.matrix_game3.fast import eight_bit_layers, set_bits
from mgenv.models.matrix_game3.prune import narrowed
from mgenv.models.matrix_game3.sampler import FlowUniPC
from mgenv.models.matrix_game3.streaming import StreamingDecoder
from mgenv.models.matrix_game3.transformer import Transformer, build
from mgenv.models.matrix_game3.vae import VideoVAE
from mgenv.models.matrix_game3.vae_config import VaeConfig
from mgenv.models.quantize import FP8, INT8

Row = dict[str, Any]
NEW_FRAMES, CLEAN, NEW, MEMORY = 40, 4, 10, 5
"""Frames of a later clip; its clean past and new latents; its memory latents."""
PROTOCOL = (
    "A later clip of the public rollout (4 clean, 10 new and 5 memory latents, 40 new frames), "
    "batch 1, random weights at the true sizes (speed does not depend on their values). *Prepare*, "
    "*steps*: the part of the transformer that does not depend on the noise, and 3 steps of flow "
    "UniPC. *Decode*: 10 latents to uint8 frames on the host, the feature cache kept. *FPS*: 40 "
    "frames over their sum, one after the other. *Error*: of one velocity, ‖out − ref‖/‖ref‖ "
    "against float32. Each row adds to the one above; INT8 takes the place of FP8."
)


@dataclass(frozen=True)
class Levers:
    """How the clip is computed.

    Attributes:
        name: of the row.
        cudnn: attention by cuDNN instead of FlashAttention-2.
        once: what does not depend on the noise once a clip, not once a step.
        stream: the type of tokens between blocks.
        compiled: blocks by torch.compile.
        decoder_graphed: the decoder folded, compiled and replayed as CUDA graphs.
        eight_bits: ``"int8"``, ``"fp8"`` or "" for bfloat16.
        pruned: share of the decoder's width that is pruned away.
    """

    name: str
    cudnn: bool = False
    once: bool = False
    stream: torch.dtype = torch.float32
    compiled: bool = False
    decoder_graphed: bool = False
    eight_bits: str = ""
    pruned: float = 0.0


PLAIN = Levers("bfloat16, as published")
CUDNN = replace(PLAIN, name="cuDNN's attention", cudnn=True)
ONCE = replace(CUDNN, name="conditions once a clip", once=True)
NARROW = replace(ONCE, name="bfloat16 between blocks", stream=torch.bfloat16)
LIGHT = replace(NARROW, name="decoder pruned by 75 %", pruned=0.75)
COMPILED = replace(LIGHT, name="blocks compiled", compiled=True)
IN_INT8 = replace(COMPILED, name="INT8 products", eight_bits=INT8)
IN_FP8 = replace(COMPILED, name="FP8 products", eight_bits=FP8)
DECODER = replace(IN_FP8, name="decoder folded, compiled, graphed", decoder_graphed=True)
LADDER = (PLAIN, CUDNN, ONCE, NARROW, LIGHT, COMPILED, IN_INT8, IN_FP8, DECODER)


@dataclass
class Clip:
    """The inputs of one clip."""

    latents: Tensor
    timesteps: Tensor
    conditions: dict[str, Any]


def run(
    config: TransformerConfig = PUBLIC_5B,
    vae: VaeConfig | None = None,
    size: tuple[int, int] = (704, 1280),
    ladder: Sequence[Levers] = LADDER,
    device: str = "cuda",
    report: Callable[[str], None] = lambda text: None,
) -> Report:
    """Measure the clip on one GPU, rung by rung."""
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    clip = make_clip(config, size, device)
    network = build(config, device)
    truth = velocity(network, clip, once=False) if config.num_layers else None
    linears = eight_bit_layers(network.mixed())
    rows, failed = [], []
    for levers in ladder:
        try:
            set_bits(network, linears, levers.eight_bits)
            rows.append(measure(network, vae or VaeConfig(), clip, levers, truth, device))
            report(" ".join(f"{key}: {told(value)}" for key, value in rows[-1].items()))
        except (RuntimeError, ImportError) as error:
            failed.append(f"{levers.name}: {type(error).__name__}: {str(error).splitlines()[0]}")
            report(failed[-1])
    return Report(title="Video", protocol=PROTOCOL, rows=rows, seeds=[0], failed=failed)


def told(value: object) -> str:
    """A figure as it is printed."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def make_clip(config: TransformerConfig, size: tuple[int, int], device: str) -> Clip:
    """Random inputs of the shapes that a later clip has."""
    height, width = size[0] // 16, size[1] // 16
    count = CLEAN + NEW
    place: dict[str, Any] = {"device": device}
    t = torch.full((1, count), 500.0, **place)
    t[:, :CLEAN] = 0.0
    conditions = {
        "text": torch.randn((1, min(config.text_len, 128), config.text_dim), **place),
        "plucker": torch.randn((1, 1536, MEMORY + count, height, width), **place),
        "keyboard": torch.zeros((1, 4 * count, 6), **place),
        "mouse": torch.zeros((1, 4 * count, 2), **place),
        "memory": torch.randn((1, config.in_dim, MEMORY, height, width), **place),
        "memory_latent_idx": [0, 3, 6, 9, 12],
        "predict_latent_idx": [20, 20 + count],
    }
    latents = torch.randn((1, config.in_dim, count, height, width), **place)
    return Clip(latents, t, conditions)


@torch.no_grad()
def velocity(network: Transformer, clip: Clip, once: bool) -> Tensor:
    """One step's velocity; ``once``: by what is prepared."""
    if once:
        return network(clip.latents, clip.timesteps, network.prepare(**clip.conditions))
    return network(clip.latents, clip.timesteps, **clip.conditions)


@torch.no_grad()
def measure(
    network: Transformer, sizes: VaeConfig, clip: Clip, levers: Levers, truth: Tensor | None,
    device: str,
) -> Row:  # fmt: skip
    """One rung. Blocks stay compiled: rungs come in the ladder's order."""
    network.stream_dtype = levers.stream
    if levers.compiled and device != "cpu":
        for block in network.blocks:
            block.compile()
            block._camera = torch.compile(type(block)._camera.__get__(block))  # type: ignore
    decoder = _decoder(sizes, levers, device)
    _start(device)
    with _attention(levers.cudnn):
        error = relative_error(velocity(network, clip, levers.once), truth)
        prepare, steps = _steps_seconds(network, clip, levers.once, device)
    decode = _decode_seconds(decoder, clip.latents[:, :, CLEAN:], device)
    row = {
        "levers": levers.name,
        "prepare [ms]": 1e3 * prepare,
        "3 steps [ms]": 1e3 * steps,
        "decode [ms]": 1e3 * decode,
        "FPS": NEW_FRAMES / (prepare + steps + decode),
        "memory [GiB]": _peak(device),
        "error": error,
    }
    return row


def relative_error(out: Tensor, truth: Tensor | None) -> float:
    """‖out − truth‖ / ‖truth‖."""
    if truth is None:
        return float("nan")
    return float((out.double() - truth.double()).norm() / truth.double().norm())


def _decoder(sizes: VaeConfig, levers: Levers, device: str) -> StreamingDecoder:
    with torch.device(device):
        vae = VideoVAE(narrowed(sizes, levers.pruned)).eval().requires_grad_(False)
    fast = levers.decoder_graphed and device != "cpu"
    vae = vae.to(torch.bfloat16 if device != "cpu" else torch.float32)
    return StreamingDecoder(
        vae, segment=5 if levers.pruned else 2, channels_last=True, folded=fast, compiled=fast,
        graphed=fast,
    )  # fmt: skip


@contextlib.contextmanager
def _attention(cudnn: bool) -> Iterator[None]:
    kinds = [SDPBackend.CUDNN_ATTENTION] if cudnn else []
    with sdpa_kernel([*kinds, SDPBackend.FLASH_ATTENTION, SDPBackend.MATH], set_priority=True):
        yield


def _steps_seconds(
    network: Transformer, clip: Clip, once: bool, device: str
) -> tuple[float, float]:
    def roll(prepared: Any) -> Tensor:
        sampler, x = FlowUniPC(3, 5.0), clip.latents
        for n in range(3):
            now = prepared if once else network.prepare(**clip.conditions)
            x = sampler.step(network.velocity(x, clip.timesteps, now), n, x)
        return x

    prepare = _seconds(lambda: network.prepare(**clip.conditions), device) if once else 0.0
    prepared = network.prepare(**clip.conditions)
    return prepare, _seconds(lambda: roll(prepared), device)


def _decode_seconds(decoder: StreamingDecoder, latents: Tensor, device: str) -> float:
    decoder.decode_to_uint8(latents[:, :, : 1 + NEW // 2])
    return _seconds(lambda: decoder.decode_to_uint8(latents).cpu(), device)


def _seconds(work: Callable[[], Any], device: str, times: int = 3) -> float:
    """The fastest of some runs, after one that is not counted."""
    spent = []
    for _ in range(times + 1):
        _wait(device)
        began = time.perf_counter()
        work()
        _wait(device)
        spent.append(time.perf_counter() - began)
    return min(spent[1:])


def _start(device: str) -> None:
    gc.collect()
    if device != "cpu":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: str) -> float:
    return torch.cuda.max_memory_allocated(device) / 2**30 if device != "cpu" else float("nan")


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)
