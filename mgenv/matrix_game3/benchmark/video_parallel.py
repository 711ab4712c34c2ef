"""`mgenv bench parallel`: one clip of the public 5B network on one GPU, and on several together."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mgenv.benchmark import timing
from mgenv.benchmark.report import Report
from mgenv.matrix_game3.benchmark import video_clip as clips
from mgenv.matrix_game3.benchmark.video import format_value
from mgenv.matrix_game3.benchmark.video_clip import CLEAN, MEMORY, NEW, NEW_FRAMES, STEPS, Inputs
from mgenv.matrix_game3.checkpoint.references import relative_error
from mgenv.matrix_game3.network.attention import attention_kernels
from mgenv.matrix_game3.network.config import PUBLIC_5B, TransformerConfig
from mgenv.matrix_game3.network.transformer import Transformer, build
from mgenv.matrix_game3.rollout.frames import BackgroundDecoder
from mgenv.matrix_game3.rollout.rollout import Rollout
from mgenv.matrix_game3.rollout.state import RolloutState
from mgenv.matrix_game3.speed.fast import (
    SPEEDS,
    Speed,
    attention_of,
    compile_blocks,
    eight_bit_layers,
    set_attention,
    set_bits,
    set_draft,
)
from mgenv.matrix_game3.speed.parallel import Shard, torchrun_group
from mgenv.matrix_game3.vae.config import VaeConfig
from mgenv.matrix_game3.vae.parallel_decoder import ParallelDecoder, decoder_for
from mgenv.matrix_game3.vae.streaming import StreamingDecoder
from mgenv.matrix_game3.vae.vae import Past, VideoVAE
from mgenv.training.pruning.prune import narrowed

Row = dict[str, Any]
PARTS = ("prepare", "steps", "decode", "clip")
PRUNED = 0.75
PROTOCOL = (
    "A later clip of the public rollout (4 clean, 10 new and 5 memory latents, 40 new frames), "
    "batch 1, random weights at the true sizes (speed does not depend on their values), the "
    "decoder pruned by 75 %; by all processes together, and by the same code in one process (each "
    "by itself, all at once), whose decoder is replayed as CUDA graphs besides. *Prepare*, "
    "*steps*: what a clip fixes before any noise, once the prompt is read, and 3 steps of flow "
    "UniPC. *Decode*: 10 latents to uint8 frames in every process's host memory. *Clip*: "
    "`Rollout.extend`, from actions to frames on the host, as a whole; *FPS*: 40 frames over it. "
    "*×*: how often faster than one. Times are of the slowest process. *Error*: of the latents "
    "after 3 steps, ‖out − one GPU's‖/‖one GPU's‖, which is how products of other shapes round; "
    "*moved*: share of values more than one grey level off in frames of equal latents."
)


@dataclass
class Result:
    """What a row is made of: seconds of each part, what was made, and GiB at most."""

    seconds: dict[str, float]
    latents: Tensor
    frames: Tensor
    peak: float


@dataclass
class LaterClipInputs(Inputs):
    """A clip of a video of which ``past`` is what the decoder remembers."""

    past: Past | None = None

    def state(self) -> RolloutState:
        """See :class:`Inputs`."""
        return replace(super().state(), decoder=self.past)


class Log:
    """Tells what was done, and when: so much is compiled that a reader must know it goes on."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report, self._began = report, time.perf_counter()

    def __call__(self, text: str) -> None:
        self._report(f"[{time.perf_counter() - self._began:5.1f} s] {text}")


def run(
    config: TransformerConfig = PUBLIC_5B,
    vae: VaeConfig | None = None,
    size: tuple[int, int] = (704, 1280),
    speeds: Sequence[str] = ("int8",),
    device: str = "cuda",
    report: Callable[[str], None] = lambda text: None,
) -> Report:
    """Measure in the processes that ``torchrun`` started; each has the report, all the same.

    Args:
        speeds: names in ``fast.SPEEDS``.

    Raises:
        InvalidOptionError: not started by ``torchrun``, or the processes cannot share the network.
    """
    log, together = Log(report), Shard(torchrun_group(device))
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    inputs = clips.make_inputs(config, size, device)
    network = build(config, device).mixed()
    bench = Bench(network, vae or VaeConfig(), inputs, device, together, log)
    log("network made")
    note, rows = bench.exchange_note(size), []
    log(note)
    for name in speeds:
        results = [bench.measure(SPEEDS[name], shard) for shard in (together, Shard())]
        for count, result in zip((1, together.count), reversed(results), strict=True):
            rows.append({"speed": name} | row_of(count, result, results[-1]))
            report(" ".join(f"{key}: {format_value(value)}" for key, value in rows[-1].items()))
    title = "Video on several GPUs"
    return Report(title=title, protocol=PROTOCOL, rows=rows, seeds=[0], notes=[note])


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


@dataclass
class Bench:
    """What all rows share.

    Attributes:
        network: in bfloat16, the same in every process.
        sizes: of the autoencoder before it is pruned.
        together: all processes.
        log: of what was done.
    """

    network: Transformer
    sizes: VaeConfig
    inputs: Inputs
    device: str
    together: Shard
    log: Log

    def __post_init__(self) -> None:
        self._linears: dict[str, nn.Linear] = eight_bit_layers(self.network)

    @torch.no_grad()
    def measure(self, speed: Speed, shard: Shard) -> Result:
        """What one row is made of, the transformer first."""
        self._start(speed, shard)
        network, inputs, reuse, seconds = self.network, self.inputs, speed.reuse, {}

        def timed(part: str, work: Callable[[], object]) -> None:
            seconds[part] = self._slowest(timing.seconds(work, self.device))
            self.log(f"{shard.count}: {part} {1e3 * seconds[part]:.1f} ms")

        with attention_kernels():
            given: dict[str, Any] = inputs.conditions | {
                "text": network.read(inputs.conditions["text"])
            }
            timed("prepare", lambda: tuple(network.prepare(**given).blocks))
            prepared = network.prepare(**given)
            latents = clips.roll(network, inputs, prepared, reuse)
            self.log(f"{shard.count}: blocks compiled")
            timed("steps", lambda: clips.roll(network, inputs, prepared, reuse))
        decoder, new = self._decoder(speed, shard), inputs.latents[:, :, CLEAN:]
        background = BackgroundDecoder(decoder, new.device)
        past = background.decode(new[0, :, :1], None)[1]
        frames, past = background.decode(new[0], past)
        shown = frames.wait().clone()
        self.log(f"{shard.count}: decoder compiled")
        before = clips.compiled()
        timed("decode", lambda: background.decode(new[0], past)[0].wait())
        later, text = LaterClipInputs(**vars(inputs), past=past), inputs.conditions["text"][0]
        rollout = Rollout(network, decoder.vae, text, reuse=reuse, decoder=decoder)
        spent = clips.clip_seconds(rollout, later, self.device, ahead=False)
        seconds["clip"] = self._slowest(spent)
        again = clips.compiled() - before
        self.log(f"{shard.count}: clip {1e3 * seconds['clip']:.1f} ms, {again} compiled meanwhile")
        return Result(seconds, latents, shown, self._peak())

    def _start(self, speed: Speed, shard: Shard) -> None:
        """Forget what was compiled and what was allocated; all begin at once."""
        torch.compiler.reset()
        self.network.spread(shard)
        set_bits(self.network, self._linears, "")
        if speed.eight_bits:
            layers = eight_bit_layers(self.network, speed.chosen)
            set_bits(self.network, layers, speed.eight_bits)
        set_attention(self.network, attention_of(speed, self.network.device))
        set_draft(self.network, speed.draft)
        self.network.stream_dtype = self.network.dtype if speed.compiled else torch.float32
        if speed.compiled and self.device != "cpu":
            compile_blocks(self.network)
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
        return decoder_for(vae, shard, speed if on_gpu else Speed())

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

        spent = 1e3 * self._slowest(timing.seconds(exchange, self.device))
        return (
            f"A clip's exchanges by themselves, packing included, nothing reused: {spent:.1f} ms."
        )
