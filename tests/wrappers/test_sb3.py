"""The adapter against Gymnasium's own vector environment, whose conventions ours shares."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor

from mgenv.agents.features import NavigationExtractor
from mgenv.errors import InvalidOptionError, NotResetError
from mgenv.wrappers import VectorBlankPixels, VectorDiscreteActions, VectorFrameStack
from mgenv.wrappers.sb3 import SB3VecEnv, slot_info, slot_infos


class Counter(gym.Env):
    """Counts its steps; its episode ends after ``length``, an odd one by truncation."""

    observation_space = gym.spaces.Dict(
        pixels=gym.spaces.Box(0, 255, (36, 36, 3), np.uint8),
        count=gym.spaces.Box(0, np.inf, (1,), np.float32),
    )
    action_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    render_mode = "rgb_array"
    metadata = {"render_modes": ["rgb_array"]}

    def __init__(self, length: int) -> None:
        self.length, self.count, self.options = length, 0, None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count, self.options = 0, options
        return self._look(), {"count": 0, "first": True, "asked": str(options)}

    def step(self, action):
        self.count += 1
        over, odd = self.count == self.length, self.length % 2 == 1
        info = {"count": self.count, "is_success": over and not odd}
        return self._look(), float(self.count), over and not odd, over and odd, info

    def render(self):
        return self._look()["pixels"]

    def _look(self):
        pixels = np.full((36, 36, 3), self.count, np.uint8)
        return {"pixels": pixels, "count": np.array([self.count], np.float32)}


def make(*lengths: int, mode: AutoresetMode = AutoresetMode.SAME_STEP) -> SyncVectorEnv:
    makers = [lambda length=length: Counter(length) for length in lengths]
    return SyncVectorEnv(makers, autoreset_mode=mode)


@pytest.fixture
def envs():
    envs = SB3VecEnv(make(2, 3))
    yield envs
    envs.close()


def step(envs: SB3VecEnv) -> Any:
    return envs.step(np.zeros((envs.num_envs, 2), np.float32))


def test_observations_and_rewards_pass_through(envs):
    first: Any = envs.reset()
    observations, rewards, dones, infos = step(envs)
    assert first["pixels"].max() == 0 and observations["pixels"].min() == 1
    assert rewards.dtype == np.float32 and rewards.tolist() == [1.0, 1.0]
    assert not dones.any()
    assert [info["count"] for info in infos] == [1, 1]


def test_the_end_of_an_episode_is_told_in_sb3s_words(envs):
    envs.reset()
    step(envs)
    observations, _, dones, infos = step(envs)
    assert dones.tolist() == [True, False]
    assert observations["count"][0] == 0, "the observation is the next episode's"
    assert infos[0]["terminal_observation"]["count"] == 2
    assert infos[0]["TimeLimit.truncated"] is False
    assert infos[0]["is_success"] is True and infos[0]["count"] == 2
    assert envs.reset_infos[0] == {"count": 0, "first": True, "asked": "None"}
    assert "terminal_observation" not in infos[1]


def test_truncation_is_told_apart_from_termination(envs):
    envs.reset()
    for _ in range(2):
        step(envs)
    *_, dones, infos = step(envs)
    assert dones.tolist() == [False, True]
    assert infos[1]["TimeLimit.truncated"] is True
    assert infos[1]["terminal_observation"]["count"] == 3


def test_the_last_observation_does_not_change_afterwards(envs):
    envs.reset()
    before = step(envs)[0]["count"].copy()
    kept = step(envs)[0]
    copied = {name: value.copy() for name, value in kept.items()}
    step(envs)
    assert before[1] == 1
    for name in kept:
        np.testing.assert_array_equal(kept[name], copied[name])


def test_seeds_and_options_reach_the_next_reset_only(envs):
    envs.seed(5)
    envs.set_options({"memory": "clear"})
    envs.reset()
    assert [info["asked"] for info in envs.reset_infos] == ["{'memory': 'clear'}"] * 2
    assert [env.unwrapped.np_random_seed for env in envs.envs.envs] == [5, 6]
    envs.reset()
    assert envs.reset_infos[0]["asked"] == "None"


def test_options_that_differ_between_slots_are_refused(envs):
    envs.set_options([{"memory": "clear"}, {}])
    with pytest.raises(InvalidOptionError, match="same reset options"):
        envs.reset()


def test_only_same_step_autoreset_is_accepted():
    envs = make(2, mode=AutoresetMode.NEXT_STEP)
    with pytest.raises(InvalidOptionError, match="NextStep|next"):
        SB3VecEnv(envs)
    envs.close()


def test_step_wait_needs_actions(envs):
    envs.reset()
    with pytest.raises(NotResetError, match="step_async"):
        envs.step_wait()


def test_attributes_methods_and_images_are_given_a_slot(envs):
    envs.reset()
    assert envs.get_attr("num_envs") == [2, 2]
    assert envs.get_attr("num_envs", indices=1) == [2]
    assert not envs.has_attr("no_such_thing")
    assert len(envs.get_images()) == 2
    assert envs.render_mode == "rgb_array"
    assert envs.env_method("render", indices=[1])[0].shape == (36, 36, 3)
    assert envs.env_is_wrapped(gym.Wrapper) == [False, False]


def test_attributes_hold_for_all_slots_or_none(envs):
    envs.set_attr("label", "x")
    assert envs.get_attr("label") == ["x", "x"]
    with pytest.raises(InvalidOptionError, match="all 2 slots"):
        envs.set_attr("label", "y", indices=[0])


def test_vector_wrappers_are_found():
    envs = SB3VecEnv(gym.wrappers.vector.RecordEpisodeStatistics(make(2)))
    assert envs.env_is_wrapped(gym.wrappers.vector.RecordEpisodeStatistics) == [True]
    envs.close()


def test_sb3s_monitor_counts_episodes(envs):
    monitored = VecMonitor(envs)
    monitored.reset()
    ends = []
    for _ in range(6):
        infos = monitored.step(np.zeros((2, 2), np.float32))[3]
        ends += [info["episode"]["l"] for info in infos if "episode" in info]
    assert sorted(ends) == [2, 2, 2, 3, 3]


def test_only_asked_infos_are_handed_on_before_an_episode_ends():
    envs = SB3VecEnv(make(2, 3), info_keys=("count",))
    envs.reset()
    assert step(envs)[3] == [{"count": 1}] * 2
    infos = step(envs)[3]
    assert infos[0]["is_success"] is True and infos[1] == {"count": 2}
    assert envs.reset_infos[0]["first"] is True
    envs.close()


def test_infos_of_all_slots_are_those_of_each():
    envs = gym.wrappers.vector.RecordEpisodeStatistics(make(2, 3, 2))
    envs.reset()
    for _ in range(4):
        infos = envs.step(np.zeros((3, 2), np.float32))[-1]
        told = slot_infos(infos, 3)
        assert told == [slot_info(infos, slot) for slot in range(3)]
        assert all(type(info["count"]) is int for info in told)
    envs.close()


@pytest.mark.parametrize(
    "wrapper", [lambda e: e, VectorFrameStack, VectorBlankPixels, VectorDiscreteActions]
)
def test_a_vector_environment_handed_to_sb3_is_told_what_to_do(make_tiny, wrapper):
    envs = wrapper(make_tiny(2))
    with pytest.raises(ValueError, match='wrappers.SB3VecEnv.*autoreset_mode="same_step"'):
        PPO("MultiInputPolicy", envs)
    assert repr(type(envs)).endswith("'>"), "only what is printed has the advice"


def test_a_single_environment_is_no_vector():
    with pytest.raises(InvalidOptionError, match="make_vec"):
        SB3VecEnv(Counter(2))


def test_cnn_policy_takes_pixels_alone(make_tiny):
    envs = make_tiny(2, task="explore", obs_type="pixels", autoreset_mode="same_step")
    kwargs = {"features_extractor_class": NavigationExtractor}  # SB3's own needs 36 pixels
    model = PPO("CnnPolicy", SB3VecEnv(envs), n_steps=8, batch_size=8, policy_kwargs=kwargs)
    assert model.learn(16).num_timesteps == 16


def test_slot_info_leaves_out_what_the_mask_hides():
    infos = {"a": np.array([1, 2]), "_a": np.array([True, False]), "b": np.array([1.5, 2.5]),
             "_b": np.array([True, True])}  # fmt: skip
    assert slot_info(infos, 1) == {"b": 2.5}


def test_our_environments_speak_to_sb3(make_tiny):
    options = {"task": "pointnav", "autoreset_mode": "same_step", "max_episode_steps": 6}
    ours, plain = SB3VecEnv(make_tiny(3, **options)), make_tiny(3, **options)
    ours.seed(4)
    first: Any = ours.reset()
    expected, _ = plain.reset(seed=4)
    for name, value in expected.items():
        np.testing.assert_array_equal(first[name], value)
    plain.action_space.seed(0)
    for _ in range(14):
        actions = plain.action_space.sample()
        observations, rewards, dones, infos = ours.step(actions)
        wanted, reward, terminations, truncations, told = plain.step(actions)
        np.testing.assert_array_equal(rewards, reward.astype(np.float32))
        np.testing.assert_array_equal(dones, terminations | truncations)
        np.testing.assert_array_equal(observations["pixels"], wanted["pixels"])
        for slot in np.flatnonzero(dones):
            last: Any = infos[slot]["terminal_observation"]
            np.testing.assert_array_equal(last["goal"], told["final_obs"][slot]["goal"])
            assert infos[slot]["is_success"] == terminations[slot]
            assert infos[slot]["TimeLimit.truncated"] == (truncations & ~terminations)[slot]
            assert "spl" in infos[slot] and "reward_progress" in infos[slot]
