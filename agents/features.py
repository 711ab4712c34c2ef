"""Feature extractor of policies: normalised vectors and one convolution.

Vectors (goal, odometry) bypass the convolution. Images and depth are concatenated as the channels
of one image, so that the convolution compares the view with the goal image.
The goal enters as the sine and cosine of its bearing and two scales of its distance, so that "turn
towards it, then go" is a nearly linear function.
"""

from __future__ import annotations

import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecTransposeImage
from torch import Tensor, nn

from mgenv.errors import UnknownNameError

CONVOLUTIONS = {"light": (2, (16, 32, 32), 3), "strong": (1, (32, 64, 64), 4)}
"""By name: downsampling factor of the image, widths of the layers, side of the output grid.
About 20,000 and 130,000 weights."""


class NavigationExtractor(BaseFeaturesExtractor):
    """Features (B, F) of one image or of a dictionary of images, depth and vectors.

    Args:
        observation_space: images channel-first, as SB3 hands them on; ``depth`` channel-last;
            vectors 1-D.
        image_features: number of features from the convolution.
        convolution: a name of :data:`CONVOLUTIONS`.
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        image_features: int = 32,
        convolution: str = "light",
    ) -> None:
        parts = _parts(observation_space)
        self.images = [name for name in parts if is_image_space(parts[name]) or name == "depth"]
        self.vectors = [name for name in parts if name not in self.images]
        width = sum(_width(name, parts[name]) for name in self.vectors)
        super().__init__(observation_space, width + image_features * bool(self.images))
        if self.images:
            channels = sum(
                _shape(parts[name])[-1 if name == "depth" else 0] for name in self.images
            )
            self.look = build_convolution(channels, image_features, convolution)

    def forward(self, observations: Tensor | dict[str, Tensor]) -> Tensor:
        """Images (B, C, H, W) in [0, 1], depth (B, H, W, 1) [m], vectors (B, V): (B, F)."""
        parts = {"pixels": observations} if isinstance(observations, Tensor) else observations
        features = [encode(name, parts[name]) for name in self.vectors]
        if self.images:
            features.append(self.look(torch.cat([encode(n, parts[n]) for n in self.images], 1)))
        return torch.cat(features, -1)


def build_convolution(channels: int, features: int, name: str) -> nn.Sequential:
    """Images (B, channels, H, W) to features (B, features).

    Raises:
        UnknownNameError: there is no convolution of that name.
    """
    if name not in CONVOLUTIONS:
        raise UnknownNameError("convolution", name, CONVOLUTIONS)
    smaller, widths, grid = CONVOLUTIONS[name]
    layers: list[nn.Module] = [nn.AvgPool2d(smaller)] if smaller > 1 else []
    for layer, width in enumerate(widths):
        layers += [nn.Conv2d(channels, width, 3 if layer else 4, stride=2, padding=1), nn.ReLU()]
        channels = width
    layers += [nn.AdaptiveAvgPool2d(grid), nn.Flatten()]
    flat = widths[-1] * grid * grid
    return nn.Sequential(nn.Sequential(*layers), nn.Linear(flat, features), nn.LayerNorm(features))


def encode(name: str, value: Tensor) -> Tensor:
    """Normalise metres and radians to order one: vectors (B, W), images (B, C, H, W)."""
    if name == "depth":  # (B, H, W, 1) [m]; what is near matters most
        return (1.0 / (1.0 + value)).permute(0, 3, 1, 2)  # (B, 1, H, W)
    if name == "goal":  # distance [m], bearing [rad]
        distance, bearing = value.unbind(-1)
        encoded = [torch.log1p(distance), (-distance).exp(), bearing.sin(), bearing.cos()]
        return torch.stack(encoded, -1)  # (B, 4)
    if name == "agent_pos":  # x, y [m], sine, cosine
        return torch.cat([torch.tanh(value[..., :2] / 5.0), value[..., 2:]], -1)  # (B, 4)
    return value


def channels_first(space: spaces.Space) -> spaces.Space:
    """The space as SB3 passes it to a network; depth, not being a uint8 image, stays unchanged."""
    if isinstance(space, spaces.Dict):
        return spaces.Dict({name: channels_first(part) for name, part in space.spaces.items()})
    if isinstance(space, spaces.Box) and is_image_space(space):
        return VecTransposeImage.transpose_space(space)
    return space


def _width(name: str, space: spaces.Space) -> int:
    return encode(name, torch.zeros(1, *_shape(space))).shape[-1]


def _shape(space: spaces.Space) -> tuple[int, ...]:
    assert space.shape is not None, space
    return space.shape


def _parts(space: spaces.Space) -> dict[str, spaces.Space]:
    return space.spaces if isinstance(space, spaces.Dict) else {"pixels": space}
