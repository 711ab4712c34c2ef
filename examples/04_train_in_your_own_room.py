"""Scan a room, train in it: a recording becomes a memory file, the file becomes a place.

    python examples/04_train_in_your_own_room.py [world [recording.npz]]

A recording holds rgb uint8 (T, H, W, 3), pose float32 (T, 4, 4; camera to world, x right, y down,
z forward, the world's z up, metres) and, if it was measured, depth float32 (T, H, W) in metres.
Without one, the engine's walk through a world stands in for it.
"""

import sys

import gymnasium as gym
import numpy as np

import mgenv
from mgenv.camera import picture_shape
from mgenv.engine.motion import navigation

MY_ROOM = 42  # any number; it names the place from now on (in the engine, its world of that number)
name = sys.argv[1] if len(sys.argv) > 1 else "nano"
world = mgenv.load_world(name, num_envs=1)
if len(sys.argv) > 2:
    recording = dict(np.load(sys.argv[2], allow_pickle=False))
else:
    walk = navigation.scan(MY_ROOM, num_frames=64, image_size=max(picture_shape(world.image_size)))
    recording = {"rgb": walk.rgb, "pose": walk.pose, "depth": walk.depth}

world.enter([0], [MY_ROOM], memory="clear")
depth = recording["depth"][None] if "depth" in recording else None
world.remember([0], recording["rgb"][None], recording["pose"][None], depth)
world.memory.save("runs/my_room.safetensors")
print(f"runs/my_room.safetensors: {world.memory.count([0])[0]} frames")
world.close()

envs = gym.make_vec("mgenv/PointNav-v0", num_envs=4, world=name, memory="runs/my_room.safetensors")
observations, infos = envs.reset(seed=0)
print("starting in", infos["world_id"], "with goals", observations["goal"][:, 0].round(1), "m away")
envs.action_space.seed(0)
for _ in range(20):
    observations, rewards, terminations, truncations, infos = envs.step(envs.action_space.sample())
print("remembered share of the view", infos["coverage"].round(2))
envs.close()
