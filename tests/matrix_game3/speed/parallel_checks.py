"""What several processes compute against what one computes; run by torchrun, read by the tests."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch import Tensor

import mgenv  # noqa: F401  (its environments are registered)
from mgenv.envs.process_share import process_share
from mgenv.errors import InvalidOptionError
from mgenv.matrix_game3 import world as matrix_game3
from mgenv.matrix_game3.checkpoint.folder import Folder
from mgenv.matrix_game3.memory.memory_query import Recall
from mgenv.matrix_game3.network.config import TransformerConfig
from mgenv.matrix_game3.network.transformer import Transformer, build
from mgenv.matrix_game3.rollout.clips import REUSE, ClipConditions, sample_clip
from mgenv.matrix_game3.rollout.rollout import Rollout
from mgenv.matrix_game3.rollout.state import Clip
from mgenv.matrix_game3.speed.fast import eight_bit_layers, set_bits
from mgenv.matrix_game3.speed.parallel import Shard, torchrun_group
from mgenv.matrix_game3.vae.config import VaeConfig
from mgenv.matrix_game3.vae.parallel_decoder import ParallelDecoder
from mgenv.matrix_game3.vae.streaming import StreamingDecoder
from mgenv.matrix_game3.vae.vae import VideoVAE
from tests.matrix_game3.small_network import (
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
    """Velocities, clips and what they keep, with random weights and two slots.

    The last block can leave out latents that are not new, or has to see all for actions.
    """
    first = replace(SMALL, action_config=replace(SMALL.action_config, blocks=(0,)))
    return small_ones(shard, SMALL, "") | small_ones(shard, first, ", a last block without actions")


def small_ones(shard: Shard, config: TransformerConfig, name: str) -> dict[str, Result]:
    """Of one network, its ``name`` after each."""
    network, errors = randomised(config), {}
    x, t = latents_and_times(config)
    for memory in (0, 2):
        clip = a_clip(config, memory=memory)

        def velocity(t: Tensor = t, clip: dict = clip) -> Tensor:
            return network(x, t, network.prepare(**clip))

        def each(t: Tensor = t, velocity: Callable = velocity) -> Tensor:
            return velocity(t.repeat_interleave(6, 1))

        errors[f"velocity, {memory} remembered{name}"] = compare(network, shard, velocity)
        errors[f"a time for each token, {memory} remembered{name}"] = compare(network, shard, each)
        for reuse in REUSE:

            def made(reuse: str = reuse, clip: dict = clip) -> Tensor:
                both = ClipConditions(network.prepare(**clip), network.prepare(**clip))
                return sample_clip(network, both, x[:, :, :1], x[:, :, 1:], 3, 5.0, 2.0, reuse)

            errors[f"clip, {memory} remembered, reuse {reuse}{name}"] = compare(
                network, shard, made
            )
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
        "golden new latents": relative_error(
            velocity_of(network, second, new=10), second["y"][:, :, -10:]
        ),
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


def velocity_of(network: Transformer, clip: dict, new: int = 0) -> Tensor:
    conditions = {key: value for key, value in clip.items() if key not in "xty"}
    return network.velocity(clip["x"], clip["t"], network.prepare(**conditions), new)


# -- the decoder ---------------------------------------------------------------------------------


def decoder(shard: Shard) -> dict[str, Result]:
    """Clips of many lengths, one after the other."""
    torch.manual_seed(0)
    config = VaeConfig(encoder_widths=(8, 8, 8, 8, 8), decoder_widths=(16, 16, 16, 8, 8))
    vae = VideoVAE(config).eval().requires_grad_(False)
    alone = StreamingDecoder(vae, folded=True)
    together = ParallelDecoder(vae, shard, segment=3, folded=True)
    most, moved, layouts = 0, 0.0, set()
    for count in (1, 14, 10, 4, 1, 3, 13):
        latent = torch.randn(1, 48, count, 2, 3)
        one, several = alone.decode_to_uint8(latent), together.decode_to_uint8(latent)
        layouts.add(str([(kept.shape[2], kept.stride()) for kept in together.past or []]))
        apart = (one.int() - several.int()).abs()
        most, moved = max(most, int(apart.max())), max(moved, float((apart > 0).float().mean()))
    lies = all(kept.shape[2] > 0 for kept in together.past or [])
    return {
        "decoder, grey levels": most,
        "decoder, share moved": moved,
        "past lies here": lies,
        "layouts of the past": len(layouts),
    }


# -- rollouts and environments -------------------------------------------------------------------


def rollout(shard: Shard) -> dict[str, Result]:
    """Three clips, each from the one before and from memory."""
    folder, cpu = Folder.open(FIXTURES, vae="light_v2"), torch.device("cpu")
    results: dict[str, Result] = {}
    for reuse in REUSE:
        network, vae = folder.read(cpu)
        text = folder.text("", cpu)
        alone = clips_of(Rollout(network, vae, text, reuse=reuse))
        several = clips_of(Rollout(network.spread(shard), vae, text, reuse=reuse))
        pairs = list(zip(several, alone, strict=True))
        results |= {
            f"clip {n}, reuse {reuse}": relative_error(one.latents, other.latents)
            for n, (one, other) in enumerate(pairs)
        }
        apart = [(one.frames.int() - other.frames.int()).abs().max() for one, other in pairs]
        results[f"frames, reuse {reuse}"] = int(max(apart))
    return results


def clips_of(rollout: Rollout) -> list[Clip]:
    """Three of them, ahead and to the right."""
    generator = torch.Generator().manual_seed(0)
    picture = torch.randint(0, 256, (64, 96, 3), dtype=torch.uint8, generator=generator)
    track, made = rollout.begin(rollout.encode(picture), torch.zeros(5)), []
    for _ in range(3):
        keyboard, mouse = (torch.zeros(rollout.actions_needed(track), n) for n in (6, 2))
        keyboard[:, 0], mouse[:, 1] = 1.0, 0.1
        recall = None
        if made:
            poses = torch.cat([clip.poses for clip in made])
            latents = torch.cat([clip.latents.movedim(1, 0) for clip in made])
            recall = Recall(latents, poses, torch.arange(1, len(poses) + 1))
            recall = recall.before(track.index, track.origin)
        made += rollout.extend([track], [keyboard], [mouse], [recall], [generator])
    return made


def environment(shard: Shard) -> dict[str, Result]:
    """One environment by all processes; and slots spread over them."""
    whole, apart = walk(3), walk(3, sequence_parallel=True)
    share = process_share(3)
    own = walk(share.num_envs, seed=share.seed(5))
    return {
        "sequence parallel, grey levels": int((whole - apart).abs().max()),
        "data parallel, grey levels": int((whole[:, share.slots] - own).abs().max()),
        "slots": share.num_envs,
        "other seeds": told(lambda: walk(1, seed=shard.rank, sequence_parallel=True)),
    }


def walk(num_envs: int, seed: int = 5, **options: bool) -> Tensor:
    """Frames int16 (2, N, H, W, 3) of two steps."""
    matrix_game3.engine_view = view
    envs = gym.make_vec(
        "mgenv/Explore-v0", num_envs, world="matrix-game-3", weights=str(FIXTURES),
        sampling_steps=1, world_options={"vae": "light_v2", "frames_per_step": 16} | options,
    )  # fmt: skip
    envs.reset(seed=seed)
    steps = [envs.step(np.full((num_envs, 2), 0.3, np.float32)) for _ in range(2)]
    envs.close()
    return torch.from_numpy(np.stack([step[0]["pixels"] for step in steps])).short()


def view(world_id: int, image_size: tuple[int, int], pose: Any = None) -> Any:
    """What the engine would show, from a random picture a world."""
    rgb = np.random.default_rng(world_id).integers(0, 256, (*image_size, 3), np.uint8)
    return rgb, np.ones(image_size, np.float32), np.eye(4, dtype=np.float32)


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
    check.__name__: check
    for check in (small, golden, eight_bits, traced, decoder, rollout, environment, refused)
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
