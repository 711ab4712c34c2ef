import numpy as np
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test

from mgenv.envs.parallel_env import ParallelEnv
from mgenv.errors import ClosedError, InvalidActionError, NotResetError
from tests.fake_world import FakeWorld
from tests.same import assert_same, differs


def make(num_agents: int = 3, **kwargs) -> ParallelEnv:
    world = FakeWorld(num_agents, share_memory=True)
    options = {"scan_frames": 24, "num_worlds": 4, "max_episode_steps": 30} | kwargs
    return ParallelEnv("pointnav", world, num_agents, **options)


def drive(env: ParallelEnv, forward: float = 0.5):
    return env.step({agent: np.array([forward, 0.3]) for agent in env.agents})


def test_pettingzoo_accepts_it(tiny_scan):
    parallel_api_test(make(), num_cycles=100)
    parallel_seed_test(make, num_cycles=60)


def test_agents_share_a_world_and_its_memory(tiny_scan):
    env = make(memory="fresh")
    for _ in range(4):
        _, infos = env.reset()
        assert len({info["world_id"] for info in infos.values()}) == 1
    before = infos["robot_0"]["memory_frames"]
    *_, infos = env.step({f"robot_{index}": np.array([0.5, index / 3]) for index in range(3)})
    counts = {info["memory_frames"] for info in infos.values()}
    assert len(counts) == 1 and counts.pop() >= before + 3


def test_every_agent_starts_where_the_scan_was(tiny_scan):
    env = make()
    _, infos = env.reset(seed=0)
    for info in infos.values():
        assert np.linalg.norm(info["pose"][:2, 3]) > 0.4, "not the source's first frame"


def test_agents_start_and_see_apart(tiny_scan):
    observation, _ = make().reset(seed=0)
    assert differs(observation["robot_0"]["pixels"], observation["robot_1"]["pixels"])


def test_agents_leave_one_by_one(tiny_scan):
    env = make(2, max_episode_steps=None)
    observation, seen = env.reset(seed=0)[0], set()
    for _ in range(200):
        live = list(env.agents)
        actions = {agent: towards_goal(observation[agent]) for agent in live}
        observation, rewards, terminations, _, infos = env.step(actions)
        assert set(observation) == set(rewards) == set(infos) == set(live)
        assert set(env.agents) == {agent for agent in live if not terminations[agent]}
        seen.add(len(env.agents))
        if not env.agents:
            break
    assert seen == {2, 1, 0}


def towards_goal(observation: dict) -> np.ndarray:
    bearing = observation["goal"][1]
    return np.array([abs(bearing) < 0.3, np.clip(bearing / 0.26, -1, 1)])


def test_worlds_change_between_episodes_and_follow_the_seed(tiny_scan):
    env = make()
    worlds = [env.reset()[1]["robot_0"]["world_id"] for _ in range(30)]
    assert set(worlds) == {0, 1, 2, 3}
    assert env.reset(options={"world_id": 9})[1]["robot_2"]["world_id"] == 9
    assert_same(env.reset(seed=5), make().reset(seed=5))


def test_spaces_are_each_agents_own_and_stay_the_same(tiny_scan):
    env = make()
    assert env.action_space("robot_0") is env.action_space("robot_0")
    assert env.action_space("robot_0") is not env.action_space("robot_1")
    assert env.observation_space("robot_0") is env.observation_space("robot_0")


def test_render_shows_all_robots_side_by_side(tiny_scan):
    env = make(render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (16, 48, 3)


@pytest.mark.parametrize(
    "actions",
    [
        {},
        {"robot_0": np.zeros(2)},
        {f"robot_{index}": np.zeros(2) for index in range(4)},
        {f"robot_{index}": np.full(2, np.nan) for index in range(3)},
    ],
)
def test_bad_actions_change_nothing(tiny_scan, actions):
    env = make()
    env.reset(seed=0)
    before = env.vector_env.get_state()
    with pytest.raises(InvalidActionError):
        env.step(actions)
    assert_same(env.vector_env.get_state(), before)


def test_steps_before_reset_after_the_end_and_after_close_are_refused(tiny_scan):
    env = make(max_episode_steps=1)
    with pytest.raises(NotResetError):
        env.step({})
    env.reset(seed=0)
    drive(env)
    with pytest.raises(NotResetError, match="ended"):
        env.step({})
    env.close()
    with pytest.raises(ClosedError):
        env.reset()


@pytest.mark.parametrize("obs_type", ["pixels", "pixels_depth_agent_pos"])
def test_agents_may_see_pixels_alone_or_depth(tiny_scan, obs_type):
    env = ParallelEnv("explore", FakeWorld(2, share_memory=True), 2, obs_type=obs_type)
    parallel_api_test(env, num_cycles=8)
    observations, _ = env.reset(seed=0)
    for agent, observation in observations.items():
        assert observation in env.observation_space(agent)
        assert isinstance(observation, np.ndarray) == (obs_type == "pixels")
