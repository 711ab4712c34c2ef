from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

from mgenv.agents import LearnedPolicy, PPOConfig, make_envs
from mgenv.agents.features import NavigationExtractor, channels_first, encode
from mgenv.agents.sb3 import build_policy
from mgenv.agents.train import TrainConfig
from mgenv.errors import UnknownNameError
from tests.agents.untrained import untrained_policy

PIXELS = spaces.Box(0, 255, (64, 64, 3), np.uint8)
DEPTH = spaces.Box(0, 20, (64, 64, 1), np.float32)


def extractor(**parts: spaces.Space) -> NavigationExtractor:
    return NavigationExtractor(channels_first(spaces.Dict(parts)), 8)


def test_depth_and_goal_pictures_are_channels_of_one_image():
    features = extractor(pixels=PIXELS, depth=DEPTH, goal_pixels=PIXELS)
    convolution = next(m for m in features.modules() if isinstance(m, torch.nn.Conv2d))
    assert convolution.in_channels == 7 and features.features_dim == 8


def test_depth_changes_what_the_policy_decides():
    features = extractor(pixels=PIXELS, depth=DEPTH)
    parts = {"pixels": torch.rand(2, 3, 64, 64), "depth": torch.full((2, 64, 64, 1), 5.0)}
    near = parts | {"depth": torch.full((2, 64, 64, 1), 0.2)}
    assert not torch.allclose(features(parts), features(near), atol=1e-3)


def test_near_depth_counts_for_more():
    depth = torch.tensor([0.0, 0.5, 1.0, 10.0, 20.0]).reshape(1, 1, 5, 1)
    encoded = encode("depth", depth)
    assert encoded.shape == (1, 1, 1, 5) and encoded.max() == 1.0
    assert encoded[0, 0, 0, 0] - encoded[0, 0, 0, 1] > encoded[0, 0, 0, 3] - encoded[0, 0, 0, 4]


def test_vectors_alone_need_no_convolution():
    features = extractor(goal=spaces.Box(0, 9, (2,), np.float32))
    assert not hasattr(features, "look")
    assert features({"goal": torch.ones(3, 2)}).shape == (3, 4)


def test_pixels_alone_are_looked_at():
    features = NavigationExtractor(channels_first(PIXELS), 8, "strong")
    assert features(torch.rand(2, 3, 64, 64)).shape == (2, 8)


@pytest.mark.parametrize("form", ["conv", "recurrent"])
def test_the_largest_policy_on_offer_fits_a_megabyte(form, tmp_path):
    config = PPOConfig(form=form, convolution="strong", image_features=64)
    space = spaces.Dict(pixels=PIXELS, depth=DEPTH, agent_pos=spaces.Box(-1, 1, (4,), np.float32),
                        goal=spaces.Box(0, 9, (2,), np.float32))  # fmt: skip
    network = build_policy(space, spaces.Box(-1, 1, (2,), np.float32), config.network())
    assert 4 * sum(weights.numel() for weights in network.parameters()) < 1e6


def test_an_unknown_convolution_is_told_with_the_nearest(env_config):
    envs = make_envs(env_config)
    with pytest.raises(UnknownNameError, match="'strong'"):
        untrained_policy(TrainConfig(env=env_config, ppo=PPOConfig(convolution="strongest")), envs)
    envs.close()


def test_cards_without_a_form_are_of_convolutions(config, env_config, tmp_path):
    envs = make_envs(env_config)
    policy = untrained_policy(config, envs)
    for name in ("form", "convolution"):
        del policy.card.network[name]
    policy.save(tmp_path / "old.safetensors")
    observations = envs.reset(seed=0)[0]
    again = LearnedPolicy.load(tmp_path / "old.safetensors", deterministic=True)
    policy.deterministic = True
    np.testing.assert_array_equal(policy.act(observations), again.act(observations))
    envs.close()
