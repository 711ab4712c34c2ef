"""PPO from Stable-Baselines3 with a policy small enough for a laptop.

The network leans on the numbers (goal, odometry) and looks at the pictures through a light
convolution, one for all image keys. The goal enters as the sine and cosine of its bearing and two
scales of its distance, so that "turn towards it, then go" is a nearly linear function.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnv, VecTransposeImage
from torch import Tensor, nn

from mgenv.errors import InvalidOptionError


@dataclass(kw_only=True, slots=True)
class PPOConfig:
    """Settings of PPO (Schulman et al., arXiv 1707.06347) and its network.

    Attributes:
        learning_rate: of Adam.
        rollout_steps: environment steps a slot between updates.
        batch_size: transitions a gradient step.
        epochs: passes over a rollout.
        gamma: discount; rewards are dense, so a short horizon learns faster.
        gae_lambda: of generalised advantage estimation.
        clip_range: how far an update may move an action's probability.
        entropy_coefficient: reward for staying random.
        log_std: the logarithm of the actions' spread at the start.
        image_features: what the convolution hands on.
        hidden: widths of the policy's and the value's layers.
    """

    learning_rate: float = 1e-3
    rollout_steps: int = 32
    batch_size: int = 128
    epochs: int = 8
    gamma: float = 0.95
    gae_lambda: float = 0.9
    clip_range: float = 0.2
    entropy_coefficient: float = 0.0
    log_std: float = 0.0
    image_features: int = 32
    hidden: tuple[int, ...] = (64, 64)

    def network(self) -> dict[str, Any]:
        """Keyword arguments of the policy's network, plain values only."""
        return {
            "image_features": self.image_features,
            "hidden": list(self.hidden),
            "log_std": self.log_std,
        }


class NavigationExtractor(BaseFeaturesExtractor):
    """Features (B, F) of one image or of a dictionary of images and vectors.

    Args:
        observation_space: images channel-first, as SB3 hands them on; vectors 1-D.
        image_features: features an image.
    """

    def __init__(self, observation_space: spaces.Space, image_features: int = 32) -> None:
        parts = _parts(observation_space)
        self.images = [name for name in parts if is_image_space(parts[name])]
        self.vectors = [name for name in parts if name not in self.images]
        width = sum(_width(name, parts[name]) for name in self.vectors)
        super().__init__(observation_space, width + image_features * len(self.images))
        if self.images:
            self.look = _light_convolution(_shape(parts[self.images[0]]), image_features)

    def forward(self, observations: Tensor | dict[str, Tensor]) -> Tensor:
        """Images float (B, 3, H, W) in [0, 1] and vectors (B, V) to features (B, F)."""
        parts = {"pixels": observations} if isinstance(observations, Tensor) else observations
        features = [_encode(name, parts[name]) for name in self.vectors]
        features += [self.look(parts[name]) for name in self.images]
        return torch.cat(features, -1)


def build_policy(
    observation_space: spaces.Space, action_space: spaces.Space, network: dict[str, Any]
) -> ActorCriticPolicy:
    """The network alone, for acting.

    Args:
        observation_space: as the environment gives it, images channel-last.
        action_space: Box, Discrete or MultiDiscrete.
        network: as :meth:`PPOConfig.network` gives it.
    """
    space = _channels_first(observation_space)
    return ActorCriticPolicy(space, action_space, lambda _: 0.0, **policy_kwargs(network))


def build_ppo(envs: VecEnv, config: PPOConfig, seed: int = 0, device: str = "cpu") -> PPO:
    """PPO on SB3's view of a vector environment.

    Raises:
        InvalidOptionError: the batch does not fit the rollout, or the action space is a dictionary.
    """
    rollout = config.rollout_steps * envs.num_envs
    if not 1 < config.batch_size <= rollout:
        raise InvalidOptionError(
            f"Expected 1 < ppo.batch_size <= {rollout} (ppo.rollout_steps x num_envs); "
            f"got {config.batch_size}."
        )
    if isinstance(envs.action_space, spaces.Dict):
        raise InvalidOptionError("PPO needs one Box or Discrete action space; got a dictionary.")
    return PPO(
        ActorCriticPolicy,
        envs,
        learning_rate=config.learning_rate,
        n_steps=config.rollout_steps,
        batch_size=config.batch_size,
        n_epochs=config.epochs,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        clip_range=config.clip_range,
        ent_coef=config.entropy_coefficient,
        policy_kwargs=policy_kwargs(config.network()),
        seed=seed,
        device=device,
    )


def policy_kwargs(network: dict[str, Any]) -> dict[str, Any]:
    """SB3's ``policy_kwargs`` for a network's plain values."""
    return {
        "features_extractor_class": NavigationExtractor,
        "features_extractor_kwargs": {"image_features": network["image_features"]},
        "net_arch": list(network["hidden"]),
        "activation_fn": nn.Tanh,
        "log_std_init": network["log_std"],
    }


def _light_convolution(shape: tuple[int, ...], features: int) -> nn.Sequential:
    """About 25 thousand weights; halves the image first, which a navigator does not miss."""
    convolution = nn.Sequential(
        nn.AvgPool2d(2),
        nn.Conv2d(shape[0], 16, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(3),
        nn.Flatten(),
    )
    return nn.Sequential(convolution, nn.Linear(32 * 3 * 3, features), nn.LayerNorm(features))


def _encode(name: str, vector: Tensor) -> Tensor:
    """Metres and radians (B, V) into numbers of order one (B, W)."""
    if name == "goal":  # distance [m], bearing [rad]
        distance, bearing = vector.unbind(-1)
        encoded = [torch.log1p(distance), (-distance).exp(), bearing.sin(), bearing.cos()]
        return torch.stack(encoded, -1)  # (B, 4)
    if name == "agent_pos":  # x, y [m], sine, cosine
        return torch.cat([torch.tanh(vector[..., :2] / 5.0), vector[..., 2:]], -1)  # (B, 4)
    return vector


def _width(name: str, space: spaces.Space) -> int:
    return _encode(name, torch.zeros(1, *_shape(space))).shape[-1]


def _shape(space: spaces.Space) -> tuple[int, ...]:
    assert space.shape is not None, space
    return space.shape


def _parts(space: spaces.Space) -> dict[str, spaces.Space]:
    return space.spaces if isinstance(space, spaces.Dict) else {"pixels": space}


def _channels_first(space: spaces.Space) -> spaces.Space:
    if isinstance(space, spaces.Dict):
        return spaces.Dict({name: _channels_first(part) for name, part in space.spaces.items()})
    if isinstance(space, spaces.Box) and is_image_space(space):
        return VecTransposeImage.transpose_space(space)
    return space
