"""One later clip of the public rollout, with random inputs, and how long its parts take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mgenv.benchmark.timing import seconds
from mgenv.matrix_game3.memory.camera import camera_to_world, poses_of_actions
from mgenv.matrix_game3.memory.memory_query import Recall
from mgenv.matrix_game3.network.config import TransformerConfig
from mgenv.matrix_game3.network.transformer import Transformer
from mgenv.matrix_game3.rollout.clips import ClipConditions, sample_clip
from mgenv.matrix_game3.rollout.frames import BackgroundDecoder
from mgenv.matrix_game3.rollout.rollout import Rollout
from mgenv.matrix_game3.rollout.sampler import FlowUniPC
from mgenv.matrix_game3.rollout.state import Clip, RolloutState
from mgenv.matrix_game3.vae.streaming import StreamingDecoder
from mgenv.matrix_game3.world import MatrixGame3World
from mgenv.robots import FORWARD, STEP_LENGTH

NEW_FRAMES, CLEAN, NEW, MEMORY = 40, 4, 10, 5
"""Frames of a later clip; its clean past and new latents; its memory latents."""

REMEMBERED = 512
"""Latents in memory, four frames each: as many frames as are scored at most."""

STEPS, SHIFT = 3, 5.0


@dataclass
class Inputs:
    """What one clip is made from.

    Attributes:
        latents: (1, C, 14, h, w), clean ones first.
        timesteps: (1, 14).
        conditions: arguments of ``Transformer.prepare``.
        memory: what the rollout remembers.
    """

    latents: Tensor
    timesteps: Tensor
    conditions: dict[str, Any]
    memory: Recall

    def state(self) -> RolloutState:
        """A rollout that has gone on for a while and walks ahead, turning."""
        keyboard, mouse = actions(4 * CLEAN)
        poses = poses_of_actions(keyboard, mouse)
        past = self.latents[0, :, :CLEAN].clone()
        return RolloutState(past, poses, keyboard, mouse, REMEMBERED, 0)


def actions(frames: int) -> tuple[Tensor, Tensor]:
    """Ahead, turning a little to the right: keyboard (F, 6) and mouse (F, 2)."""
    keyboard, mouse = torch.zeros(frames, 6), torch.zeros(frames, 2)
    keyboard[:, 0], mouse[:, 1] = 1.0, 0.05
    return keyboard, mouse


def make_inputs(config: TransformerConfig, size: tuple[int, int], device: str) -> Inputs:
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
    return Inputs(latents, t, conditions, _memory(config.in_dim, height, width))


def _memory(channels: int, height: int, width: int) -> Recall:
    poses = 200.0 * torch.randn(REMEMBERED, 4, 5)  # units and degrees
    poses[..., 3] = 0.0
    latents = torch.randn(MEMORY, channels, height, width)
    rows = torch.arange(REMEMBERED) % MEMORY  # a few latents stand for all, to save memory
    return Recall(latents, poses, torch.arange(REMEMBERED), 0, 4 * REMEMBERED, rows)


@torch.no_grad()
def velocity(network: Transformer, inputs: Inputs, once: bool) -> Tensor:
    """One step's velocity; ``once``: by what is prepared."""
    if once:
        return network(inputs.latents, inputs.timesteps, network.prepare(**inputs.conditions))
    return network(inputs.latents, inputs.timesteps, **inputs.conditions)


@torch.no_grad()
def roll(network: Transformer, inputs: Inputs, prepared: Any, reuse: str = "none") -> Tensor:
    """New latents after all steps; without ``prepared`` conditions are computed at each."""
    past, noise = inputs.latents[:, :, :CLEAN], inputs.latents[:, :, CLEAN:]
    if prepared is not None:
        return sample_clip(network, ClipConditions(prepared), past, noise, STEPS, SHIFT, 1.0, reuse)
    sampler, state = FlowUniPC(STEPS, SHIFT), noise
    for n, level in enumerate(sampler.timesteps.tolist()):
        t = torch.where(inputs.timesteps > 0, level, 0.0)
        made = network(torch.cat([past, state], 2), t, **inputs.conditions)
        state = sampler.step(made[:, :, CLEAN:], n, state)
    return state


def retrieve_seconds(inputs: Inputs, device: str) -> float:
    """Choosing what a clip remembers, and bringing it to the device of the network."""
    window = camera_to_world(poses_of_actions(*actions(4 * (CLEAN + NEW))))
    return seconds(lambda: inputs.memory.select(window, REMEMBERED, device), device)


@torch.no_grad()
def decode_seconds(decoder: StreamingDecoder, latents: Tensor, device: str, pinned: bool) -> float:
    """From latents to uint8 frames on the host; the first segment of a video is not counted."""
    decoder.reset()
    decoder.decode_to_uint8(latents[:, :, : 1 + NEW // 2])
    if not pinned:
        return seconds(lambda: decoder.decode_to_uint8(latents).cpu(), device)
    background, past = BackgroundDecoder(decoder, latents.device), decoder.take()
    return seconds(lambda: background.decode(latents[0], past)[0].wait(), device)


def clip_seconds(rollout: Rollout, inputs: Inputs, device: str, ahead: bool) -> float:
    """A clip of a rollout, from actions to frames on the host.

    Args:
        ahead: whether a clip begins before the frames of the one before it have arrived.
    """
    state, generator, frames = inputs.state(), torch.Generator().manual_seed(0), actions(NEW_FRAMES)

    def clip() -> Clip:
        keyboard, mouse = frames
        return rollout.extend([state], [keyboard], [mouse], [inputs.memory], [generator])[0]

    if not ahead:
        return seconds(lambda: clip().frames, device)
    clip().frames  # noqa: B018  (programs and graphs are made)
    clip().frames  # noqa: B018

    def four() -> None:
        before = clip()
        for _ in range(3):
            now = clip()
            assert before.frames.dtype == torch.uint8
            before = now
        assert before.frames.dtype == torch.uint8

    return seconds(four, device, times=2) / 4


def world_seconds(rollout: Rollout, size: tuple[int, int], device: str) -> tuple[float, int]:
    """A step of the world, and how many programs were compiled after its third clip."""
    world = MatrixGame3World(rollout, 1, size)
    world.enter([0], [0])
    black, pose = np.zeros((1, 1, *size, 3), np.uint8), np.eye(4, dtype=np.float32)
    world.remember([0], black, pose[None, None])
    world.begin([0], [0])
    motion = np.zeros((1, 5), np.float32)
    motion[0, FORWARD] = STEP_LENGTH
    for _ in range(3):  # the first clip has another shape
        world.step(motion)
    before = compiled()
    spent = seconds(lambda: world.step(motion), device)
    return spent, compiled() - before


def compiled() -> int:
    """Programs that ``torch.compile`` has made so far."""
    counters: Any = torch._dynamo.utils.counters
    return counters["stats"]["unique_graphs"]
