import gymnasium as gym
import numpy as np
import pytest

from mgenv.errors import InvalidOptionError
from mgenv.wrappers import VectorFrameStack


def stacked(make_tiny, **kwargs):
    plain, stack = make_tiny(2, **kwargs), VectorFrameStack(make_tiny(2, **kwargs), 3)
    assert stack.single_observation_space["pixels"].shape == (16, 16, 9)
    return plain, stack


def test_the_last_frames_lie_behind_one_another(make_tiny):
    plain, stack = stacked(make_tiny, max_episode_steps=None)
    first, _ = plain.reset(seed=0)
    observation, _ = stack.reset(seed=0)
    frames = [first["pixels"]] * 3
    for step in range(5):
        np.testing.assert_array_equal(observation["pixels"], np.concatenate(frames[-3:], -1))
        assert observation in stack.observation_space
        action = np.array([[0.3, step / 5], [0.1, -1.0]])
        frames.append(plain.step(action)[0]["pixels"])
        observation, *_ = stack.step(action)


@pytest.mark.parametrize("mode", ["next_step", "same_step"])
def test_a_new_episode_starts_with_its_first_frame_alone(make_tiny, mode):
    plain, stack = stacked(make_tiny, max_episode_steps=4, autoreset_mode=mode)
    plain.reset(seed=0)
    stack.reset(seed=0)
    begin = 4 if mode == "same_step" else 5
    for step in range(1, begin + 1):
        one, observation = plain.step(np.full((2, 2), 0.4))[0], stack.step(np.full((2, 2), 0.4))[0]
        alone = np.tile(one["pixels"], (1, 1, 1, 3))
        assert np.array_equal(observation["pixels"], alone) == (step == begin)


def test_the_last_observation_of_an_episode_is_stacked_too(make_tiny):
    plain, stack = stacked(make_tiny, max_episode_steps=2, autoreset_mode="same_step")
    frames = [plain.reset(seed=0)[0]["pixels"][1]]
    stack.reset(seed=0)
    frames.append(plain.step(np.full((2, 2), 0.4))[0]["pixels"][1])
    frames.append(plain.step(np.full((2, 2), 0.4))[-1]["final_obs"][1]["pixels"])
    stack.step(np.full((2, 2), 0.4))
    final = stack.step(np.full((2, 2), 0.4))[-1]["final_obs"][1]
    np.testing.assert_array_equal(final["pixels"], np.concatenate(frames, -1))
    assert final in stack.single_observation_space


def test_a_masked_reset_starts_only_those_stacks_anew(make_tiny):
    _, stack = stacked(make_tiny, autoreset_mode="disabled")
    stack.reset(seed=0)
    before = stack.step(np.full((2, 2), 0.4))[0]["pixels"]
    after = stack.reset(options={"reset_mask": np.array([True, False])})[0]["pixels"]
    np.testing.assert_array_equal(after[0], np.tile(after[0, ..., :3], 3))
    np.testing.assert_array_equal(after[1], before[1])


@pytest.mark.parametrize("mode", ["next_step", "same_step"])
def test_pixels_alone_are_stacked_as_among_others(make_tiny, mode):
    options = {"task": "explore", "max_episode_steps": 3, "autoreset_mode": mode}
    among = VectorFrameStack(make_tiny(2, **options), 3)
    alone = VectorFrameStack(make_tiny(2, obs_type="pixels", **options), 3)
    assert alone.single_observation_space == among.single_observation_space["pixels"]
    np.testing.assert_array_equal(alone.reset(seed=0)[0], among.reset(seed=0)[0]["pixels"])
    for _ in range(5):
        one, other = (envs.step(np.full((2, 2), 0.4)) for envs in (alone, among))
        assert one[0] in alone.observation_space
        np.testing.assert_array_equal(one[0], other[0]["pixels"])
        for slot in np.flatnonzero(one[-1].get("_final_obs", [])):
            last = other[-1]["final_obs"][slot]["pixels"]
            np.testing.assert_array_equal(one[-1]["final_obs"][slot], last)


def test_other_observations_are_a_named_error():
    envs = gym.make_vec("CartPole-v1", 2)
    with pytest.raises(InvalidOptionError, match="observations with pixels"):
        VectorFrameStack(envs)


def test_bad_arguments_are_named_errors(make_tiny):
    with pytest.raises(InvalidOptionError, match="num_frames"):
        VectorFrameStack(make_tiny(2), 0)
