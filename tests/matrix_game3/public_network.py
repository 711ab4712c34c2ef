"""The public model's world on a tiny network, and folders of its weights."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import gymnasium as gym
import numpy as np
from safetensors.torch import save_file

import mgenv  # noqa: F401
from mgenv.matrix_game3 import TransformerConfig
from mgenv.worlds import load_world
from tests.matrix_game3.small_network import randomised

ROOT = Path(__file__).parents[1] / "fixtures" / "matrix_game3"
AHEAD = [0.25, 0.0, 0.0, 0.02, 0.0]
POSE = np.array([[0, 0, 1, 1], [-1, 0, 0, 2], [0, -1, 0, 1], [0, 0, 0, 1]], np.float32)


def make(num_envs=1, weights=ROOT, **options):
    options = {"vae": "light_v2", "frames_per_step": 16, "sampling_steps": 1} | options
    return load_world("matrix-game-3", num_envs=num_envs, weights=weights, **options)


def walk(world, steps, slots=None, motion=AHEAD):
    count = world.num_envs if slots is None else len(slots)
    return [world.step([motion] * count, slots=slots) for _ in range(steps)]


def env(task="Explore", num_envs=1, **options):
    small = {"vae": "light_v2", "frames_per_step": 16} | options.pop("world_options", {})
    options = {"weights": str(ROOT), "num_worlds": 1, "sampling_steps": 1} | options
    return gym.make_vec(
        f"mgenv/{task}-v0", num_envs, world="matrix-game-3", world_options=small, **options
    )


def public_folder(root):
    """The golden weights, laid out like the public download."""
    place = root / "base_distilled_model"
    place.mkdir()
    shutil.copy(ROOT / "dit_config.json", place / "config.json")
    shutil.copy(ROOT / "dit.safetensors", place / "diffusion_pytorch_model.safetensors")
    shutil.copy(ROOT / "vae_00.safetensors", root / "Wan2.2_VAE.safetensors")
    shutil.copy(ROOT / "vae_75.safetensors", root / "MG-LightVAE_v2.safetensors")
    return root


def mixture_folder(root):
    """Two experts with random weights, of which the second takes no actions."""
    config = TransformerConfig.from_json(ROOT / "dit_config.json")
    low = replace(config, action_config=None, num_layers=1)
    for seed, (name, own) in enumerate((("high_noise_model", config), ("low_noise_model", low))):
        place = root / name
        place.mkdir()
        (place / "config.json").write_text(json.dumps(asdict(own)))
        save_file(randomised(own, seed).state_dict(), place / "model.safetensors")
    shutil.copy(ROOT / "vae_00.safetensors", root / "Wan2.2_VAE.safetensors")
    return root
