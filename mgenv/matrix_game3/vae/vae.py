"""The causal video autoencoder of the public model: stride (4, 16, 16), 48 latent channels.

The first frame of a video has a latent of its own, every later latent stands for four frames, and
nothing looks ahead: so video can be decoded while it is still being generated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from mgenv.errors import CheckpointError, InvalidOptionError
from mgenv.matrix_game3.vae.blocks import CausalConv3d, FeatureCache
from mgenv.matrix_game3.vae.config import (
    PUBLIC_LATENT_MEAN,
    PUBLIC_LATENT_STD,
    VaeConfig,
)
from mgenv.matrix_game3.vae.encoder_decoder import Decoder, Encoder

Past = list[Tensor]
"""Feature cache of the causal layers, one tensor (B, C, 1 or 2, H, W) per layer."""


def fold_patches(video: Tensor, side: int) -> Tensor:
    """(B, 3, T, H, W) to (B, 3 · side², T, H/side, W/side); columns come before rows."""
    x = video.unflatten(4, (-1, side)).unflatten(3, (-1, side))  # (B, 3, T, H', side, W', side)
    return x.permute(0, 1, 6, 4, 2, 3, 5).flatten(1, 3)


def unfold_patches(x: Tensor, side: int) -> Tensor:
    """Inverse of :func:`fold_patches`."""
    x = x.unflatten(1, (-1, side, side))  # (B, 3, columns, rows, T, H', W')
    return x.permute(0, 1, 4, 5, 3, 6, 2).flatten(5, 6).flatten(3, 4)


def to_uint8(video: Tensor) -> Tensor:
    """(B, 3, F, H, W) in [-1, 1] to uint8 (B, F, H, W, 3)."""
    grey = (video.float() + 1).mul(127.5).round_().clamp_(0, 255)
    return grey.permute(0, 2, 3, 4, 1).to(torch.uint8, memory_format=torch.contiguous_format)


class VideoVAE(nn.Module):
    """Frames to normalised latents and back.

    Args:
        config: sizes.
        latent_mean, latent_std: of each latent channel; by default the public figures where there
            are 48 channels, else 0 and 1. They are no part of the state dict.

    Attributes:
        cache: how the decoder's layers come to what they remember.
    """

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(
        self,
        config: VaeConfig,
        latent_mean: Tensor | Sequence[float] | None = None,
        latent_std: Tensor | Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        channels = config.latent_channels
        self.encoder = Encoder(config)
        self.conv1 = CausalConv3d(2 * channels, 2 * channels, 1)
        self.conv2 = CausalConv3d(channels, channels, 1)
        self.decoder = Decoder(config)
        self.make_cache: Callable[..., FeatureCache] = FeatureCache
        self.set_statistics(latent_mean, latent_std)

    def set_statistics(
        self,
        mean: Tensor | Sequence[float] | None = None,
        std: Tensor | Sequence[float] | None = None,
    ) -> None:
        """Sets mean and standard deviation of the latent channels, on the weights' device."""
        public = self.config.latent_channels == len(PUBLIC_LATENT_MEAN)
        self._set_statistic("latent_mean", mean, PUBLIC_LATENT_MEAN if public else 0.0)
        self._set_statistic("latent_std", std, PUBLIC_LATENT_STD if public else 1.0)

    def _set_statistic(
        self, name: str, given: Tensor | Sequence[float] | None, default: Sequence[float] | float
    ) -> None:
        channels, weight = self.config.latent_channels, self.conv2.weight
        values = torch.as_tensor(default if given is None else given, device=weight.device)
        if values.numel() not in (1, channels):
            raise InvalidOptionError(f"Expected {channels} values of {name}, got {values.numel()}.")
        values = values.to(weight.dtype).reshape(-1, 1, 1, 1).expand(channels, 1, 1, 1).clone()
        self.register_buffer(name, values, persistent=False)  # (C, 1, 1, 1)

    @classmethod
    def from_state_dict(
        cls,
        state: Mapping[str, Tensor],
        latent_mean: Tensor | Sequence[float] | None = None,
        latent_std: Tensor | Sequence[float] | None = None,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> VideoVAE:
        """An autoencoder of whatever widths `state` has, with its weights.

        Weights that already are of that type and on that device are shared, not copied.

        Raises:
            CheckpointError: keys are missing or unexpected, or shapes do not fit each other.
        """
        with torch.device("meta"):
            vae = cls(VaeConfig.from_state_dict(state))
        weights = {key: value.to(device=device, dtype=dtype) for key, value in state.items()}
        try:
            vae.load_state_dict(weights, assign=True)
        except RuntimeError as error:
            raise CheckpointError(f"Not a video autoencoder's weights. {error}") from error
        vae.set_statistics(latent_mean, latent_std)
        return vae.requires_grad_(False).eval()

    def decode_step(
        self, latent: Tensor, past: Past | None, *, keep: bool = True
    ) -> tuple[Tensor, Past]:
        """Decodes one segment, given what the segment before left.

        Args:
            latent: (B, C, T, h, w), normalised.
            past: what the step before returned; None at the start of a video.
            keep: whether another segment follows; otherwise nothing is returned for it.

        Returns:
            Video (B, 3, F, H, W), F = 4T - 3 at first, then 4T; and the past for the next step.
        """
        cache = self.make_cache(past, keep=keep)
        z = latent.to(self.latent_mean.dtype) * self.latent_std + self.latent_mean
        x = self.decoder(self.conv2(z), cache)
        return unfold_patches(x, self.config.patch), cache.kept

    def _check_video(self, video: Tensor) -> None:
        """Whether `video` (B, 3, F, H, W) can be encoded.

        Raises:
            InvalidOptionError: sides or number of frames do not fit the strides.
        """
        space, time = self.config.spatial_stride, self.config.temporal_stride
        fits = video.ndim == 5 and video.shape[1] == 3 and video.shape[2] > 0
        if not fits or (video.shape[2] - 1) % time or any(s % space for s in video.shape[3:]):
            raise InvalidOptionError(
                f"Expected video (B, 3, 1 + {time}n, H, W) with sides divisible by {space}, "
                f"got {tuple(video.shape)}."
            )

    def encode(self, video: Tensor) -> Tensor:
        """Video (B, 3, 1 + 4n, H, W) in [-1, 1] to normalised mean latents (B, C, 1 + n, h, w)."""
        self._check_video(video)
        x = fold_patches(video.to(self.latent_mean.dtype), self.config.patch)
        mean = self.conv1(self.encoder(x, FeatureCache(None, keep=False))).chunk(2, dim=1)[0]
        return (mean - self.latent_mean) / self.latent_std

    def decode(self, latent: Tensor) -> Tensor:
        """Normalised latents (B, C, T, h, w) to video (B, 3, 4T - 3, H, W), about [-1, 1]."""
        return self.decode_step(latent, None, keep=False)[0]

    def decode_to_uint8(self, latent: Tensor) -> Tensor:
        """Normalised latents (B, C, T, h, w) to frames uint8 (B, 4T - 3, H, W, 3)."""
        return to_uint8(self.decode(latent))
