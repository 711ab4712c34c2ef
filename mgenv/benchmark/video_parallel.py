"""`mgenv bench parallel`: one clip of the public 5B network on one GPU, and on several together."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mgenv.benchmark import video_clip as clips
from mgenv.benchmark.report import Report
from mgenv.benchmark.video import relative_error, told
from mgenv.benchmark.video_clip import CLEAN, MEMORY, NEW, NEW_FRAMES, STEPS, Inputs
from mgenv.models.matrix_game3.attention import attention_kernels
from mgenv.models.matrix_game3.config import PUBLIC_5B, TransformerConfig
from mgenv.models.matrix_game3.fast import (
    SPEEDS,
    Speed,
    compile_blocks,
    eight_bit_layers,
    fast_decoder,
    set_bits,
)
from mgenv.models.matrix_game3.parallel import Shard, torchrun_group
from mgenv.models.matrix_game3.parallel_decoder import ParallelDecoder, decoder_for
from mgenv.models.matrix_game3.prune import narrowed
from mgenv.models.matrix_game3.rollout import Rollout
from mgenv.models.matrix_game3.streaming import StreamingDecoder
from mgenv.models.matrix_game3.transformer import Transformer, build
from mgenv.models.matrix_game3.vae import VideoVAE
from mgenv.models.matrix_game3.vae_config import VaeConfig

Row = dict[str, Any]
PARTS = ("prepare", "steps", "decode", "clip", "behind")
PRUNED = 0.75
PROTOCOL = (
    "A later clip of the public rollout (4 clean, 10 new and 5 memory latents, 40 new frames), "
    "batch 1, random weights at the true sizes (speed does not depend on their values), the "
    "decoder pruned by 75 %; by the same code in one process (each by itself, all at once) and in "
    "all together. *Prepare*, *steps*: the part of the transformer that does not depend on the "
    "noise, and 3 steps of flow UniPC. *Decode*: 10 latents to uint8 frames in every process's "
    "host memory. *Clip*: `Rollout.extend`, from actions to frames on the host; *behind*: the same "
    "where a clip begins before the frames of the one before have arrived; *FPS*: 40 frames over "
    "each. *×*: how often faster than one. Times are of the slowest process. *Error*: of the "
    "latents after 3 steps, ‖out − one GPU's‖/‖one GPU's‖, which is how products of other shapes "
    "round; *moved*: share of values more than one grey level off in frames of equal latents."
)


@dataclass
class Result:
    """What a row is made of: seconds of each part, what was made, and GiB at most."""

    seconds: dict[str, float]
    latents: Tensor
    frames: Tensor
    peak: float


def run(
    config: TransformerConfig = PUBLIC_5B,
    vae: VaeConfig | None = None,
    size: tuple[int, int] = (704, 1280),
    speeds: Sequence[str] = ("fp8", "fastest"),
    device: str = "cuda",
    report: Callable[[str], None] = lambda text: None,
) -> Report:
    """Measure in the processes that ``torchrun`` started; each has the report, all the same.

    Args:
        speeds: names in ``fast.SPEEDS``.

    Raises:
        InvalidOptionError: not started by ``torchrun``, or the processes cannot share the network.
    """
    together = Shard(torchrun_group(device))
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    inputs = clips.make_inputs(config, size, device)
    bench = Bench(build(config, device).mixed(), vae or VaeConfig(), inputs, device, together)
    rows: list[Row] = []
    for name in speeds:
        alone = None
        for shard in (Shard(), together):
            result = bench.measure(SPEEDS[name], shard)
            alone = alone or result
            rows.append({"speed": name} | row_of(shard.count, result, alone))
            report(" ".join(f"{key}: {told(value)}" for key, value in rows[-1].items()))
    note = bench.exchange_note(size)
    report(note)
    title = "Video on several GPUs"
    return Report(title=title, protocol=PROTOCOL, rows=rows, seeds=[0], notes=[note])


def row_of(count: int, result: Result, alone: Result) -> Row:
    """A line of the table."""
    row: Row = {"GPUs": count}
    row |= {f"{part} [ms]": 1e3 * result.seconds[part] for part in PARTS}
    row["FPS"] = NEW_FRAMES / result.seconds["clip"]
    row["FPS behind"] = NEW_FRAMES / result.seconds["behind"]
    row |= {f"{part} ×": alone.seconds[part] / result.seconds[part] for part in PARTS}
    apart = (result.frames.short() - alone.frames.short()).abs()
    row["error"] = relative_error(result.latents, alone.latents)
    row["moved"] = float((apart > 1).float().mean())
    row["memory [GiB]"] = result.peak
    return row


@dataclass
class Bench:
    """What all rows share.

    Attributes:
        network: in bfloat16, the same in every process.
        sizes: of the autoencoder before it is pruned.
        together: all processes.
    """

    network: Transformer
    sizes: VaeConfig
    inputs: Inputs
    device: str
    together: Shard

    def __post_init__(self) -> None:
        self._linears: dict[str, nn.Linear] = eight_bit_layers(self.network)
        if self.device != "cpu":
            compile_blocks(self.network)

    @torch.no_grad()
    def measure(self, speed: Speed, shard: Shard) -> Result:
        """One row."""
        self._start(speed, shard)
        decoder = self._decoder(speed, shard)
        network, inputs, new = self.network, self.inputs, self.inputs.latents[:, :, CLEAN:]
        with attention_kernels():
            prepared = network.prepare(**inputs.conditions)
            latents = clips.roll(network, inputs, prepared, speed.reuse)
            frames = decoder.decode_to_uint8(new).cpu()
            works: dict[str, Callable[[], Any]] = {
                "prepare": lambda: network.prepare(**inputs.conditions),
                "steps": lambda: clips.roll(network, inputs, prepared, speed.reuse),
            }
            seconds = {part: self._slowest(clips.seconds(work, self.device))
                       for part, work in works.items()}  # fmt: skip
            decode = clips.decode_seconds(decoder, new, self.device, pinned=True)
            seconds["decode"] = self._slowest(decode)
        rollout = Rollout(
            network, decoder.vae, inputs.conditions["text"][0], reuse=speed.reuse, decoder=decoder
        )
        for part, ahead in (("clip", False), ("behind", True)):
            spent = clips.clip_seconds(rollout, inputs, self.device, ahead)
            seconds[part] = self._slowest(spent)
        return Result(seconds, latents, frames, self._peak())

    def _start(self, speed: Speed, shard: Shard) -> None:
        """Forget what was compiled and what was allocated; all begin at once."""
        torch.compiler.reset()
        self.network.spread(shard)
        set_bits(self.network, self._linears, "")
        if speed.eight_bits:
            layers = eight_bit_layers(self.network, speed.layers)
            set_bits(self.network, layers, speed.eight_bits)
        self.network.stream_dtype = self.network.dtype if speed.compiled else torch.float32
        gc.collect()
        if self.device != "cpu":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        dist.barrier(group=self.together.group)

    def _decoder(self, speed: Speed, shard: Shard) -> StreamingDecoder | ParallelDecoder:
        on_gpu = self.device != "cpu"
        torch.manual_seed(1)
        with torch.device(self.device):
            vae = VideoVAE(narrowed(self.sizes, PRUNED)).eval().requires_grad_(False)
        vae = vae.to(torch.bfloat16 if on_gpu else torch.float32)
        return decoder_for(vae, shard, partial(fast_decoder, speed=speed if on_gpu else Speed()))

    def _slowest(self, seconds: float) -> float:
        return float(self.together.gather(torch.tensor([[seconds]], device=self.device)).max())

    def _peak(self) -> float:
        return torch.cuda.max_memory_allocated() / 2**30 if self.device != "cpu" else 0.0

    def exchange_note(self, size: tuple[int, int]) -> str:
        """How long a clip's exchanges take by themselves, where nothing is reused."""
        config, shard = self.network.config, self.together
        tokens = (MEMORY + CLEAN + NEW) * size[0] * size[1] // 32**2
        own = (1, tokens // shard.count, config.num_heads, config.dim // config.num_heads)
        heads = torch.randn(3, *own, device=self.device).to(self.network.dtype)

        def exchange() -> None:
            for _ in range(STEPS * config.num_layers):
                shard.to_tokens(shard.to_heads(*heads)[0])

        spent = 1e3 * self._slowest(clips.seconds(exchange, self.device))
        return (
            f"A clip's exchanges by themselves, packing included, nothing reused: {spent:.1f} ms."
        )
