import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from mgenv.envs.env import Env
from mgenv.wrappers import BlankPixels, VectorBlankPixels
from tests.fake_world import FakeWorld

PICTURES = {"pixels", "depth", "goal_pixels"}


@pytest.mark.parametrize("mode", ["next_step", "same_step"])
def test_pictures_are_black_and_all_else_is_as_it_was(make_tiny, mode):
    options = {"task": "imagenav", "obs_type": "pixels_depth_agent_pos"}
    options |= {"max_episode_steps": 3, "autoreset_mode": mode}
    plain, black = make_tiny(2, **options), VectorBlankPixels(make_tiny(2, **options))
    pairs = [(plain.reset(seed=0)[0], black.reset(seed=0)[0])]
    for _ in range(4):
        one, other = (envs.step(np.full((2, 2), 0.4)) for envs in (plain, black))
        pairs.append((one[0], other[0]))
        for slot in np.flatnonzero(one[-1].get("_final_obs", [])):
            pairs.append((one[-1]["final_obs"][slot], other[-1]["final_obs"][slot]))
        np.testing.assert_array_equal(one[1], other[1])
    for seen, blank in pairs:
        for name, value in seen.items():
            assert value.any() and blank[name].dtype == value.dtype
            expected = np.zeros_like(value) if name in PICTURES else value
            np.testing.assert_array_equal(blank[name], expected)
    assert len(pairs) == (5 if mode == "next_step" else 7)


def test_pixels_alone_are_black(make_tiny):
    envs = VectorBlankPixels(make_tiny(2, task="explore", obs_type="pixels"))
    observation = envs.reset(seed=0)[0]
    assert observation in envs.observation_space and not observation.any()


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version")
def test_single_environments_are_black_too(tiny_scan):
    env = BlankPixels(Env(world=FakeWorld(1), scan_frames=24, obs_type="pixels_depth"))
    check_env(env, skip_render_check=True)
    observation, _ = env.reset(seed=0)
    assert not observation["pixels"].any() and not observation["depth"].any()
    assert observation["goal"].any()
