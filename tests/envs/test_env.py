import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit

from mgenv.envs.env import Env
from mgenv.errors import ClosedError, InvalidActionError, InvalidOptionError, NotResetError
from tests.fake_world import FakeWorld
from tests.same import assert_same

TASKS = ["explore", "pointnav", "imagenav", "recall"]


def single(task: str = "pointnav", **kwargs) -> Env:
    return Env(task, world=FakeWorld(1), scan_frames=24, num_worlds=3, **kwargs)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("task", TASKS)
def test_gymnasium_accepts_it(tiny_scan, task):
    check_env(single(task), skip_render_check=True)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("obs_type", ["pixels", "pixels_depth", "pixels_depth_agent_pos"])
def test_gymnasium_accepts_every_kind_of_observation(tiny_scan, task, obs_type):
    env = single(task, obs_type=obs_type)
    check_env(env, skip_render_check=True)
    alone = task == "explore" and obs_type == "pixels"
    assert isinstance(env.observation_space, spaces.Box if alone else spaces.Dict)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("obs_type", ["pixels", "pixels_depth"])
def test_other_observations_of_a_vector_equal_single_ones(make_tiny, obs_type, mode):
    options = {"obs_type": obs_type}
    vector = make_tiny(2, task="explore", max_episode_steps=3, autoreset_mode=mode, **options)
    singles = SyncVectorEnv(
        [lambda: TimeLimit(single("explore", **options), 3)] * 2, autoreset_mode=mode
    )
    assert vector.observation_space == singles.observation_space
    assert_same(vector.reset(seed=11), singles.reset(seed=11))
    for _ in range(5):
        actions = np.full((2, 2), 0.4, np.float32)
        assert_same(vector.step(actions), singles.step(actions))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_a_vector_equals_single_environments_step_for_step(make_tiny, task, mode):
    vector = make_tiny(3, task=task, autoreset_mode=mode)
    singles = SyncVectorEnv([lambda: TimeLimit(single(task), 12)] * 3, autoreset_mode=mode)
    assert_same(vector.reset(seed=11), singles.reset(seed=11))
    rng = np.random.default_rng(0)
    for _ in range(40):
        actions = rng.uniform(-1, 1, (3, 2)).astype(np.float32)
        actions[:, 0] = np.abs(actions[:, 0])
        assert_same(vector.step(actions), singles.step(actions))
    assert vector.call("task_description") == singles.call("task_description")


def test_reset_masks_equal_those_of_single_environments(make_tiny):
    vector = make_tiny(3, task="imagenav", autoreset_mode="disabled")
    singles = SyncVectorEnv(
        [lambda: TimeLimit(single("imagenav"), 12)] * 3, autoreset_mode=AutoresetMode.DISABLED
    )
    assert_same(vector.reset(seed=4), singles.reset(seed=4))
    mask = np.array([False, True, True])
    ours = vector.reset(options={"reset_mask": mask})
    assert_same(ours, singles.reset(options={"reset_mask": mask}))


def test_infos_are_plain_values(tiny_scan):
    env = single()
    env.reset(seed=0)
    *_, info = env.step(np.zeros(2, np.float32))
    assert type(info["bumped"]) is bool and type(info["world_id"]) is int
    assert type(info["reward_progress"]) is float and info["pose"].shape == (4, 4)


def test_it_has_a_limit_of_its_own_without_gymnasiums(tiny_scan):
    env = single("explore", max_episode_steps=2)
    env.reset(seed=0)
    assert [env.step(np.zeros(2))[3] for _ in range(2)] == [False, True]


def test_state_resumes_exactly(tiny_scan):
    env = single("imagenav")
    env.reset(seed=0)
    state = env.get_state()
    first = env.step(np.ones(2))
    env.set_state(state)
    assert_same(first, env.step(np.ones(2)))


def test_bad_use_is_a_named_error(tiny_scan):
    env = single()
    with pytest.raises(NotResetError):
        env.step(np.zeros(2))
    env.reset(seed=0)
    with pytest.raises(InvalidActionError, match=r"shape \(2,\), got \(3,\)"):
        env.step(np.zeros(3))
    env.close()
    with pytest.raises(ClosedError):
        env.reset()


def turns_until_truncated(env) -> int:
    for turns in range(1, 1000):
        *_, terminated, truncated, _ = env.step(np.array([0, 1], np.float32))
        assert not terminated
        if truncated:
            return turns
    raise AssertionError("never truncated")


@pytest.mark.parametrize("limit", [7, 400, None])
def test_a_restored_episode_has_the_steps_left_that_it_had(limit):
    options = {} if limit is None else {"max_episode_steps": limit}
    env = gym.make("mgenv/Explore-v0", world="engine", image_size=16, scan_frames=4, **options)
    env.reset(seed=3)
    for _ in range(4):
        env.step(np.array([0, 1], np.float32))
    state = env.unwrapped.get_state()
    left = (limit or 200) - 4
    assert turns_until_truncated(env) == left
    env.unwrapped.set_state(state)
    assert turns_until_truncated(env) == left
    env.reset()
    assert turns_until_truncated(env) == left + 4


def test_a_fork_is_exact_and_independent():
    env = gym.make(
        "mgenv/PointNav-v0", world="engine", image_size=16, scan_frames=24, max_episode_steps=9
    )
    with pytest.raises(NotResetError):
        env.unwrapped.fork()
    env.reset(seed=3)
    env.step(np.array([1, 0.5], np.float32))
    copy = env.unwrapped.fork()
    for _ in range(3):
        env.step(np.array([-1, 0], np.float32))  # the copy does not notice
    again = env.unwrapped.fork()
    for action in ([1, 0], [0.5, -1], [0, 1]):
        actions = np.array(action, np.float32)
        assert_same(env.step(actions), again.step(actions))
    assert_same(copy.reset(), again.reset())  # generators are where they were
    assert turns_until_truncated(copy) == 9
    for one in (env, copy, again):
        one.close()


def test_a_world_that_was_given_cannot_be_forked(tiny_scan):
    env = single()
    env.reset(seed=0)
    with pytest.raises(InvalidOptionError, match="given by name or path"):
        env.fork()
