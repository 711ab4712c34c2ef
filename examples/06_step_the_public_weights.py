"""Step the public Matrix-Game 3.0 weights, an action a frame, and save every frame as a film.

    python examples/06_step_the_public_weights.py [folder [device]]

The folder is the public download, see docs/public_network.md. Without one, the small golden
weights of the tests stand in for it: all runs as with the real ones, but they show noise.
"""

import sys
from pathlib import Path

import gymnasium as gym
import numpy as np

import mgenv  # noqa: F401 - registers the environments
from mgenv.video import write_video

GOLDEN = Path(__file__).parents[1] / "tests" / "fixtures" / "matrix_game3"
folder = sys.argv[1] if len(sys.argv) > 1 else str(GOLDEN)
device = sys.argv[2] if len(sys.argv) > 2 else "cpu"

env = gym.make(
    "mgenv/Explore-v0",
    world="matrix-game-3",
    weights=folder,
    device=device,
    robot="keyboard_mouse",
    action_chunks=True,
    world_options={"vae": "light_v2"},
)
observation, info = env.reset(seed=0)
film, poses = [], [info["pose"]]
for turn in (0.0, 0.1):
    keyboard = np.zeros((40, 4), np.int8)  # W, S, A, D of each frame
    keyboard[:, 0] = 1
    mouse = np.zeros((40, 2), np.float32)  # up and right of each frame, 15° at 1
    mouse[20:, 1] = turn
    observation, reward, terminated, truncated, info = env.step(
        {"keyboard": keyboard, "mouse": mouse}
    )
    film += list(info["frames"])
    poses.append(info["pose"])
    print(f"{len(info['frames'])} frames, memory knew {info['coverage']:.0%} of the views")
way = np.diff([pose[:2, 3] for pose in poses], axis=0)
print("metres a step", np.linalg.norm(way, axis=1).round(2))
write_video("runs/public_weights.mp4", film)
print(f"runs/public_weights.mp4: {len(film)} frames")
env.close()
