"""Memory outlives episodes: look round, leave, reset, come back, and the same room is there.

python examples/02_leave_and_come_back.py [world]
"""

import sys

import gymnasium as gym
import numpy as np

import mgenv  # noqa: F401 - registers the environments

world = sys.argv[1] if len(sys.argv) > 1 else "nano"
env = gym.make("mgenv/Explore-v0", world=world, memory="fresh", world_ids=[1_000_000])


def turn_once(env: gym.Env) -> list[float]:
    """Turn by 360° in 24 steps; the share of each view that memory knew."""
    return [float(env.step(np.array([0.0, 1.0], np.float32))[4]["coverage"]) for _ in range(24)]


first, info = env.reset(seed=0)
known = turn_once(env)
print(f"first visit: memory knew {np.mean(known):.0%} of what the robot saw")

second, info = env.reset()  # a new episode, the same place
known = turn_once(env)
print(
    f"second visit: memory knew {np.mean(known):.0%}; it began with {info['memory_frames']} frames"
)

difference = np.abs(first["pixels"].astype(int) - second["pixels"].astype(int)).mean()
print(f"the first view differs by {difference:.1f} grey levels of 255")

third, info = env.reset(options={"memory": "clear"})
print(f"after memory='clear': {info['memory_frames']} frame, the one it began with")
env.close()
