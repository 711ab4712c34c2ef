"""What ``gymnasium.make`` and ``gymnasium.make_vec`` know after ``import mgenv``."""

from __future__ import annotations

import gymnasium as gym

IDS = {
    "mgenv/Explore-v0": "explore",
    "mgenv/PointNav-v0": "pointnav",
    "mgenv/ImageNav-v0": "imagenav",
    "mgenv/Recall-v0": "recall",
}
MAX_EPISODE_STEPS = 200


def register_envs() -> None:
    """Register every environment once."""
    for env_id, task in IDS.items():
        if env_id not in gym.registry:
            gym.register(
                env_id,
                entry_point="mgenv.envs.env:Env",
                vector_entry_point="mgenv.envs.vector_env:VectorEnv",
                max_episode_steps=MAX_EPISODE_STEPS,
                kwargs={"task": task},
            )
