"""Step four robots through a world and save what they saw.

    python examples/01_step_a_world.py [world]

The world is "nano" (imagined by a network) unless "engine" (the ground truth) is given.
"""

import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
from PIL import Image

import mgenv  # noqa: F401 - registers the environments

world = sys.argv[1] if len(sys.argv) > 1 else "nano"
envs = gym.make_vec("mgenv/Explore-v0", num_envs=4, world=world, num_worlds=4)
observations, infos = envs.reset(seed=0)
envs.action_space.seed(0)
film = [observations["pixels"]]
rewards = np.zeros(4)
for _ in range(40):
    observations, reward, terminations, truncations, infos = envs.step(envs.action_space.sample())
    film.append(observations["pixels"])
    rewards += reward
print("rewards", rewards.round(2))
print("remembered share of the view", infos["coverage"].round(2))
print("frames in memory", infos["memory_frames"])

strip = np.concatenate([np.concatenate(list(frames), axis=0) for frames in film[::8]], axis=1)
Path("runs").mkdir(exist_ok=True)
Image.fromarray(strip).save("runs/step_a_world.png")
print("runs/step_a_world.png: one row per robot, every eighth step")
envs.close()
