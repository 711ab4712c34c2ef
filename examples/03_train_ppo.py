"""Train Stable-Baselines3's PPO inside a world and compare it with random actions.

python examples/03_train_ppo.py [world [steps]]
"""

import sys

from mgenv.agents import (
    EnvConfig,
    LearnedPolicy,
    RandomPolicy,
    TrainConfig,
    evaluate_policy,
    make_envs,
    train_policy,
)

world = sys.argv[1] if len(sys.argv) > 1 else "nano"
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 4096

env = EnvConfig(task="pointnav", world=world, num_envs=16, num_worlds=4, max_episode_steps=100)
config = TrainConfig(env=env, total_steps=steps, output_dir="runs/example")
_, file = train_policy(config, lambda done, *_: print(f"\r{done} of {steps} steps", end=""))
print(f"\n{file}")

for name in ("random", "PPO"):
    envs = make_envs(env)
    random = RandomPolicy(envs.single_action_space, envs.num_envs)
    policy = random if name == "random" else LearnedPolicy.load(file)
    summary = evaluate_policy(policy, envs, episodes=16, seed=1000).summary()
    print(f"{name}: success {summary['success']}, return {summary['return']}")
    envs.close()
