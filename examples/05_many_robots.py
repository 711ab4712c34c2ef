"""Three robots in one world that share one memory: what one has seen, the others remember.

python examples/05_many_robots.py [world]
"""

import sys

import mgenv

world = sys.argv[1] if len(sys.argv) > 1 else "nano"
env = mgenv.parallel_env(task="explore", world=world, num_agents=3, max_episode_steps=30)
observations, infos = env.reset(seed=0)
for index, agent in enumerate(env.possible_agents):
    env.action_space(agent).seed(index)
returns = dict.fromkeys(env.possible_agents, 0.0)
while env.agents:
    actions = {agent: env.action_space(agent).sample() for agent in env.agents}
    observations, rewards, terminations, truncations, infos = env.step(actions)
    for agent, reward in rewards.items():
        returns[agent] += reward
for agent, total in returns.items():
    print(f"{agent}: return {total:.2f}, {infos[agent]['memory_frames']} frames in shared memory")
env.close()
