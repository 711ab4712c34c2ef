"""`mgenv bench parallel`: one clip of the public 5B network on one GPU, and on several together."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from mgenv.benchmark.report import Report
from mgenv.benchmark.video import CLEAN, MEMORY, NEW, NEW_FRAMES, Clip, make_clip, relative_error
from mgenv.models.matrix_game3.clips import ClipConditions, sample_clip
from mgenv.models.matrix_game3.config import PUBLIC_5B, TransformerConfig
from mgenv.models.matrix_game3.fast import eight_bit_layers, set_bits
from mgenv.models.matrix_game3.parallel import Shard, torchrun_group
from mgenv.models.matrix_game3.parallel_decoder import ParallelDecoder
from mgenv.models.matrix_game3.prune import narrowed
from mgenv.models.matrix_game3.transformer import Transformer, build
from mgenv.models.matrix_game3.vae import VideoVAE
from mgenv.models.matrix_game3.vae_config import VaeConfig
from mgenv.models.quantize import FP8

Row = dict[str, Any]
STEPS, SHIFT = 3, 5.0
PARTS = ("prepare", "steps", "decode", "clip")
PROTOCOL = (
    "A later clip of the public rollout (4 clean, 10 new and 5 memory latents, 40 new frames), "
    "batch 1, random weights at the true sizes (speed does not depend on their values), by the "
    "same code in one process (each by itself, all at once) and in all of them together. "
    "*Prepare*: what does not depend on the noise. *Steps*: 3 of flow UniPC. *Decode*: 10 latents "
    "to uint8 frames in every process's host memory. *Clip*: all three from end to end. Times "
    "are of the slowest process, the best of several clips. *Error*: of the clip's latents, "
    "‖out − one GPU's‖/‖one GPU's‖, which is how products of other shapes round; *moved*: share "
    "of values more than one grey level off in frames of equal latents."
)


@dataclass
class Setting:
    """How clips are computed, alike on one GPU and on several.

    Attributes:
        eight_bits: ``"int8"``, ``"fp8"`` or "" for bfloat16.
        reuse: of keys and values between steps, one of ``clips.REUSE``.
        pruned: share of the decoder's width that is pruned away.
        graphed: the decoder replayed as CUDA graphs, its exchanges among them.
        times: clips that are measured.
    """

    eight_bits: str = FP8
    reuse: str = "none"
    pruned: float = 0.75
    graphed: bool = True
    times: int = 3


@dataclass
class Result:
    """What one row is made of."""

    seconds: dict[str, float]
    latents: Tensor
    frames: Tensor
    peak: float


@dataclass
class Maker:
    """Makes the clip, as one process or as one of several.

    Args:
        network, vae: the same in every process.
        clip: inputs of a velocity; its latents are the clean ones, then noise.
        setting: how it is computed.
        shard: this process's share.
    """

    network: Transformer
    vae: VideoVAE
    clip: Clip
    setting: Setting
    shard: Shard
    decoder: ParallelDecoder = field(init=False)

    def __post_init__(self) -> None:
        self.network.spread(self.shard)
        fast = self.network.device.type == "cuda"
        self.decoder = ParallelDecoder(
            self.vae, self.shard, channels_last=True, folded=fast, compiled=fast,
            graphed=fast and self.setting.graphed,
        )  # fmt: skip
        self.decoder.decode_to_uint8(self.clip.latents[:, :, :1])  # a video begins

    def prepare(self) -> ClipConditions:
        """What does not depend on the noise."""
        return ClipConditions(self.network.prepare(**self.clip.conditions))

    def sample(self, conditions: ClipConditions) -> Tensor:
        """New latents (1, C, 10, h, w)."""
        past, noise = self.clip.latents[:, :, :CLEAN], self.clip.latents[:, :, CLEAN:]
        return sample_clip(
            self.network, conditions, past, noise, STEPS, SHIFT, 1.0, self.setting.reuse
        )

    def decode(self, latents: Tensor) -> Tensor:
        """Frames uint8 (1, 40, H, W, 3) on the host."""
        frames = self.decoder.decode_to_uint8(latents).to("cpu", non_blocking=True)
        wait(self.network.device)
        return frames

    def measure(self, together: Shard) -> Result:
        """Seconds of each part, by the slowest of the processes, and what was made."""
        conditions = self.prepare()
        latents = self.sample(conditions)
        frames = self.decode(self.clip.latents[:, :, CLEAN:])  # the same on one GPU
        works: dict[str, Callable[[], object]] = {
            "prepare": self.prepare,
            "steps": lambda: self.sample(conditions),
            "decode": lambda: self.decode(latents),
            "clip": lambda: self.decode(self.sample(self.prepare())),
        }
        device, times = self.network.device, self.setting.times
        seconds = {part: seconds_of(work, together, device, times) for part, work in works.items()}
        return Result(seconds, latents, frames, peak_memory(device))


def run(
    config: TransformerConfig = PUBLIC_5B,
    vae: VaeConfig | None = None,
    size: tuple[int, int] = (704, 1280),
    setting: Setting | None = None,
    device: str = "cuda",
    report: Callable[[str], None] = lambda text: None,
) -> Report:
    """Measure in the processes that ``torchrun`` started; each has the report, all the same.

    Raises:
        InvalidOptionError: not started by ``torchrun``, or the processes cannot share the network.
    """
    setting, together = setting or Setting(), Shard(torchrun_group(device))
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    clip = make_clip(config, size, device)
    network = fast_network(config, setting, device)
    rows, results = [], []
    with torch.no_grad(), cudnn_attention():
        for shard in (Shard(), together):
            start(network.device)
            autoencoder = decoder_vae(vae or VaeConfig(), setting, device)
            results.append(Maker(network, autoencoder, clip, setting, shard).measure(together))
            rows.append(row_of(shard.count, results[-1], results[0]))
            report(" ".join(f"{key}: {value:.4g}" for key, value in rows[-1].items()))
        note = exchange_note(config, size, together, network)
    report(note)
    title = "Video on several GPUs"
    return Report(title=title, protocol=PROTOCOL, rows=rows, seeds=[0], notes=[note])


def fast_network(config: TransformerConfig, setting: Setting, device: str) -> Transformer:
    """Random weights, the same in every process; products in 8 bits, blocks compiled."""
    network = build(config, device).mixed()
    network.stream_dtype = torch.bfloat16
    if setting.eight_bits:
        set_bits(network, eight_bit_layers(network), setting.eight_bits)
    if network.device.type == "cuda":
        for block in network.blocks:
            block.compile()
            block._camera = torch.compile(type(block)._camera.__get__(block))  # type: ignore
    return network


def decoder_vae(sizes: VaeConfig, setting: Setting, device: str) -> VideoVAE:
    """An autoencoder with random weights, the same each time."""
    torch.manual_seed(1)
    with torch.device(device):
        vae = VideoVAE(narrowed(sizes, setting.pruned)).eval().requires_grad_(False)
    return vae.to(torch.bfloat16 if torch.device(device).type == "cuda" else torch.float32)


@contextlib.contextmanager
def cudnn_attention() -> Iterator[None]:
    """Attention by cuDNN where there is one."""
    kinds = [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]
    with sdpa_kernel(kinds, set_priority=True):
        yield


def row_of(count: int, result: Result, alone: Result) -> Row:
    """A line of the table."""
    row: Row = {"GPUs": count}
    row |= {f"{part} [ms]": 1e3 * result.seconds[part] for part in PARTS}
    row["FPS"] = NEW_FRAMES / result.seconds["clip"]
    row |= {f"{part} ×": alone.seconds[part] / result.seconds[part] for part in PARTS}
    apart = (result.frames.short() - alone.frames.short()).abs()
    row["error"] = relative_error(result.latents, alone.latents)
    row["moved"] = float((apart > 1).float().mean())
    row["memory [GiB]"] = result.peak
    return row


def exchange_note(
    config: TransformerConfig, size: tuple[int, int], shard: Shard, network: Transformer
) -> str:
    """How long the exchanges of a clip take by themselves."""
    frames, places = MEMORY + CLEAN + NEW, size[0] * size[1] // 32**2
    own = (1, frames * places // shard.count, config.num_heads, config.dim // config.num_heads)
    heads = [torch.randn(own, device=network.device, dtype=network.dtype) for _ in range(3)]

    def exchange() -> None:
        for _ in range(config.num_layers):
            shard.to_tokens(shard.to_heads(*heads)[0])

    seconds = STEPS * seconds_of(exchange, shard, network.device, 3)
    return (
        f"All exchanges of a clip's steps by themselves, packing included: {1e3 * seconds:.1f} ms."
    )


def seconds_of(
    work: Callable[[], object], together: Shard, device: torch.device, times: int
) -> float:
    """The fastest of some runs after one that is not counted, each by the slowest process."""
    spent = []
    for _ in range(times + 1):
        wait(device)
        dist.barrier(group=together.group)
        began = time.perf_counter()
        work()
        wait(device)
        own = torch.tensor([[time.perf_counter() - began]], device=device)
        spent.append(float(together.gather(own).max()))
    return min(spent[1:])


def start(device: torch.device) -> None:
    """Forget what was compiled and what was allocated."""
    torch.compiler.reset()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> float:
    """GiB."""
    return torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else 0.0


def wait(device: torch.device) -> None:
    """Until the device has done all."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
