"""What several processes compute against what one computes; run by torchrun, read by the tests."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch import Tensor

from mgenv.errors import InvalidOptionError
from mgenv.models.matrix_game3.clips import REUSE, ClipConditions, sample_clip
from mgenv.models.matrix_game3.config import TransformerConfig
from mgenv.models.matrix_game3.fast import eight_bit_layers, set_bits
from mgenv.models.matrix_game3.parallel import Shard, torchrun_group
from mgenv.models.matrix_game3.parallel_decoder import ParallelDecoder
from mgenv.models.matrix_game3.streaming import StreamingDecoder
from mgenv.models.matrix_game3.transformer import Transformer, build
from mgenv.models.matrix_game3.vae import VideoVAE
from mgenv.models.matrix_game3.vae_config import VaeConfig
from tests.models.matrix_game3.small_network import (
    SMALL,
    a_clip,
    latents_and_times,
    randomised,
    relative_error,
)

FIXTURES = Path(__file__).parents[2] / "fixtures" / "matrix_game3"
ALONE = Shard()
Result = float | bool | str
Check = Callable[[Shard], dict[str, Result]]


# -- the small network ---------------------------------------------------------------------------


def small(shard: Shard) -> dict[str, Result]:
    """Velocities, clips and what they keep, with random weights and two slots."""
    network, errors = randomised(SMALL), {}
    x, t = latents_and_times(SMALL)
    for memory in (0, 2):
        clip = a_clip(SMALL, memory=memory)

        def velocity(t: Tensor = t, clip: dict = clip) -> Tensor:
            return network(x, t, network.prepare(**clip))

        def each(t: Tensor = t, velocity: Callable = velocity) -> Tensor:
            return velocity(t.repeat_interleave(6, 1))

        errors[f"velocity, {memory} remembered"] = compare(network, shard, velocity)
        errors[f"a time for each token, {memory} remembered"] = compare(network, shard, each)
        for reuse in REUSE:

            def made(reuse: str = reuse, clip: dict = clip) -> Tensor:
                both = ClipConditions(network.prepare(**clip), network.prepare(**clip))
                return sample_clip(network, both, x[:, :, :1], x[:, :, 1:], 3, 5.0, 2.0, reuse)

            errors[f"clip, {memory} remembered, reuse {reuse}"] = compare(network, shard, made)
    return errors


def compare(network: Transformer, shard: Shard, compute: Callable[[], Tensor]) -> float:
    """Relative error of several processes' result."""
    alone = compute()
    network.spread(shard)
    together = compute()
    network.spread(ALONE)
    return relative_error(together, alone)


# -- the golden network --------------------------------------------------------------------------


def golden(shard: Shard) -> dict[str, Result]:
    """The public network's numbers."""
    network, (first, second) = golden_network(), golden_clips()
    network.spread(shard)
    return {
        "golden first clip": relative_error(velocity_of(network, first), first["y"]),
        "golden second clip": relative_error(velocity_of(network, second), second["y"]),
    }


def eight_bits(shard: Shard) -> dict[str, Result]:
    """INT8 layers: a scale a token does not depend on the other tokens."""
    network, second = golden_network(), golden_clips()[1]
    exact = velocity_of(network, second)
    set_bits(network, eight_bit_layers(network), "int8")
    return {
        "int8": compare(network, shard, lambda: velocity_of(network, second)),
        "int8 against float32": relative_error(velocity_of(network, second), exact),
    }


def traced(shard: Shard) -> dict[str, Result]:
    """Blocks are traced whole, exchanges and all: ``fullgraph`` allows no break."""
    network, second = golden_network(), golden_clips()[1]
    alone = velocity_of(network, second)
    network.spread(shard)
    for block in network.blocks:
        block.compile(backend="aot_eager", fullgraph=True)
    return {"traced": relative_error(velocity_of(network, second), alone)}


def golden_network() -> Transformer:
    network = build(TransformerConfig.from_json(FIXTURES / "dit_config.json"), "cpu")
    network.load_state_dict(load_file(FIXTURES / "dit.safetensors"))
    return network


def golden_clips() -> list[dict]:
    """Inputs of the two golden velocities, ``x`` and ``t`` among them, and ``y``."""
    tensors = load_file(FIXTURES / "dit_golden.safetensors")
    tensors = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
    first = {
        "plucker": tensors["plucker.first_clip"],
        "keyboard": tensors["keyboard"][None, :57],
        "mouse": tensors["mouse"][None, :57],
        "predict_latent_idx": (0, 15),
    }
    second = {
        "plucker": tensors["second.plucker"],
        "keyboard": tensors["keyboard"][None, 41:97],
        "mouse": tensors["mouse"][None, 41:97],
        "memory": tensors["second.x_memory"],
        "memory_latent_idx": tensors["second.memory_latent_idx"],
        "predict_latent_idx": tensors["second.predict_latent_idx"],
    }
    return [
        clip | {"text": tensors["text"][None]} | {k: tensors[f"{name}.{k}"] for k in "xty"}
        for name, clip in (("first", first), ("second", second))
    ]


def velocity_of(network: Transformer, clip: dict) -> Tensor:
    conditions = {key: value for key, value in clip.items() if key not in "xty"}
    return network(clip["x"], clip["t"], network.prepare(**conditions))


# -- the decoder ---------------------------------------------------------------------------------


def decoder(shard: Shard) -> dict[str, Result]:
    """Clips of many lengths, one after the other."""
    torch.manual_seed(0)
    config = VaeConfig(encoder_widths=(8, 8, 8, 8, 8), decoder_widths=(16, 16, 16, 8, 8))
    vae = VideoVAE(config).eval().requires_grad_(False)
    alone = StreamingDecoder(vae, folded=True)
    together = ParallelDecoder(vae, shard, partial(StreamingDecoder, segment=3, folded=True))
    most, moved = 0, 0
    for count in (15, 10, 4, 1, 3, 13):
        latent = torch.randn(1, 48, count, 2, 3)
        one, several = alone.decode_to_uint8(latent), together.decode_to_uint8(latent)
        apart = (one.int() - several.int()).abs()
        most, moved = max(most, int(apart.max())), max(moved, float((apart > 0).float().mean()))
    lies = all(kept.shape[2] > 0 for kept in together.past or [])
    return {"decoder, grey levels": most, "decoder, share moved": moved, "past lies here": lies}


# -- what is refused -----------------------------------------------------------------------------


def refused(shard: Shard) -> dict[str, Result]:
    """Errors by name."""
    network = build(TransformerConfig.from_json(FIXTURES / "dit_config.json"), "cpu")
    text, own = torch.zeros(1, 1, 32), torch.tensor([1.0 + shard.rank])
    return {
        "places": told(lambda: network.spread(shard).prepare(text, shape=(1, 1, 2, 2))),
        "other inputs": told(lambda: shard.agree(text=text, seeds=own)),
        "heads": told(lambda: randomised(SMALL).spread(shard)),
    }


def told(work: Callable[[], object]) -> str:
    try:
        work()
    except InvalidOptionError as error:
        return str(error)
    return "nothing"


CHECKS: dict[str, Check] = {
    check.__name__: check for check in (small, golden, eight_bits, traced, decoder, refused)
}


@torch.no_grad()
def main(path: str, names: list[str]) -> None:
    """Write the results of every process, by check."""
    shard = Shard(torchrun_group("cpu"))
    results: dict[str, Result] = {}
    for name in names:
        results |= CHECKS[name](shard)
    every: list = [None] * shard.count
    dist.all_gather_object(every, results)
    if shard.rank == 0:
        Path(path).write_text(json.dumps(every))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
