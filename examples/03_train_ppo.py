"""Train Stable-Baselines3's PPO inside a world, then judge it in the engine, the ground truth.

python examples/03_train_ppo.py [world [steps]]
"""

import sys
from dataclasses import replace

from mgenv.agents import (
    EnvConfig,
    LearnedPolicy,
    PPOConfig,
    RandomPolicy,
    TrainConfig,
    evaluate_policy,
    make_envs,
    train_policy,
)

world = sys.argv[1] if len(sys.argv) > 1 else "nano"
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 2048

env = EnvConfig(task="pointnav", world=world, num_envs=16, num_worlds=4, max_episode_steps=64)
ppo = PPOConfig(rollout_steps=16, batch_size=64, epochs=6)  # many small updates: a short run
config = TrainConfig(env=env, ppo=ppo, total_steps=steps, output_dir="runs/example")
_, file = train_policy(config, lambda done, *_: print(f"\r{done} of {steps} steps", end=""))
print(f"\n{file}")

for name in ("random", "PPO"):
    envs = make_envs(replace(env, world="engine"))
    random = RandomPolicy(envs.single_action_space, envs.num_envs)
    policy = random if name == "random" else LearnedPolicy.load(file)
    summary = evaluate_policy(policy, envs, episodes=32, seed=1000).summary()
    print(f"{name}: success {summary['success']}, return {summary['return']}")
    envs.close()
