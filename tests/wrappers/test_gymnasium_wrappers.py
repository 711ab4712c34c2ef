"""Gymnasium's own wrappers work as they are."""

import gymnasium as gym
import imageio.v3 as iio
import numpy as np
import pytest
import torch
from gymnasium.wrappers import vector as wrappers

from mgenv.envs.env import Env
from tests.fake_world import FakeWorld

ACTIONS = np.full((2, 2), 0.4)


@pytest.mark.parametrize("mode", ["next_step", "same_step"])
def test_statistics_of_episodes(make_tiny, mode):
    envs = make_tiny(2, task="explore", max_episode_steps=4, autoreset_mode=mode)
    envs = wrappers.RecordEpisodeStatistics(envs)
    envs.reset(seed=0)
    total = 0.0
    for _ in range(4):
        _, rewards, _, truncations, infos = envs.step(ACTIONS)
        total += rewards
    assert truncations.all() and infos["_episode"].all()
    np.testing.assert_allclose(infos["episode"]["r"], total)
    assert infos["episode"]["l"].tolist() == [4, 4]


@pytest.mark.filterwarnings("ignore:.*Overwriting existing videos")
@pytest.mark.filterwarnings("ignore:.*same-step")
@pytest.mark.parametrize("mode", ["next_step", "same_step"])
def test_videos_of_vectors(make_tiny, tmp_path, mode):
    envs = make_tiny(2, max_episode_steps=5, autoreset_mode=mode, render_mode="rgb_array")
    envs = wrappers.RecordVideo(envs, str(tmp_path), episode_trigger=lambda episode: episode == 0)
    envs.reset(seed=0)
    for _ in range(7):
        envs.step(ACTIONS)
    envs.close()
    video = iio.imread(next(tmp_path.glob("*.mp4")))
    assert len(video) >= 4 and video.shape[1:] == (16, 32, 3)


@pytest.mark.filterwarnings("ignore:.*Overwriting existing videos")
def test_videos_of_single_environments(tiny_scan, tmp_path):
    env = Env(world=FakeWorld(1), scan_frames=24, max_episode_steps=5, render_mode="rgb_array")
    env = gym.wrappers.RecordVideo(env, str(tmp_path), episode_trigger=lambda episode: True)
    env.reset(seed=0)
    for _ in range(5):
        env.step(ACTIONS[0])
    env.close()
    assert list(tmp_path.glob("*.mp4"))


def test_frames_of_single_environments_are_stacked_by_gymnasium(tiny_scan):
    env = gym.wrappers.FrameStackObservation(Env(world=FakeWorld(1), scan_frames=24), 3)
    observation, _ = env.reset(seed=0)
    assert observation["pixels"].shape == (3, 16, 16, 3) and observation in env.observation_space


def test_infos_as_a_list(make_tiny):
    envs = wrappers.DictInfoToList(make_tiny(2, autoreset_mode="same_step", max_episode_steps=1))
    envs.reset(seed=0)
    infos = envs.step(ACTIONS)[-1]
    assert len(infos) == 2 and infos[0]["pose"].shape == (4, 4)
    assert infos[1]["final_info"]["is_success"] in (True, False)


def test_actions_may_be_tensors(make_tiny):
    envs = make_tiny(2)
    envs.reset(seed=0)
    assert envs.step(torch.full((2, 2), 0.4))[0] in envs.observation_space


def test_observations_are_transformed(make_tiny):
    envs = wrappers.FlattenObservation(make_tiny(2, max_episode_steps=2))
    envs.reset(seed=0)
    for _ in range(4):
        observation, *_ = envs.step(ACTIONS)
    assert observation.shape == (2, 16 * 16 * 3 + 4 + 2)


def test_pixels_alone_go_through_image_wrappers(tiny_scan):
    env = Env("explore", world=FakeWorld(1), scan_frames=24, obs_type="pixels")
    env = gym.wrappers.FrameStackObservation(gym.wrappers.GrayscaleObservation(env), 2)
    assert env.reset(seed=0)[0].shape == (2, 16, 16)
    assert env.step(ACTIONS[0])[0] in env.observation_space


def test_pixels_alone_of_vectors_go_through_image_wrappers(make_tiny):
    envs = make_tiny(2, task="explore", obs_type="pixels", max_episode_steps=2)
    envs = wrappers.GrayscaleObservation(envs)
    envs.reset(seed=0)
    for _ in range(4):
        assert envs.step(ACTIONS)[0].shape == (2, 16, 16)


def test_rewards_are_normalised(make_tiny):
    envs = wrappers.NormalizeReward(make_tiny(2))
    envs.reset(seed=0)
    assert np.isfinite(envs.step(ACTIONS)[1]).all()
