"""State of a rollout, and the result of one clip.

Legend: C latent channels, P past latents, p their frames, n new latents, F frames of a clip.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mgenv.matrix_game3.memory.camera import poses_of_actions
from mgenv.matrix_game3.rollout.frames import Frames


@dataclass
class RolloutState:
    """State of one rollout, without memory.

    Attributes:
        latents: (C, P, h, w) clean past, 1 at first and 4 later.
        poses: (p, 5) of the past latents' frames, 1 at first and 16 later.
        keyboard, mouse: (p, 6) and (p, 2) of these frames; empty at first.
        index: index of the first past latent in the video of its place.
        origin: index of the first picture.
        decoder: feature cache of the decoder, None at first.
    """

    latents: Tensor
    poses: Tensor
    keyboard: Tensor
    mouse: Tensor
    index: int
    origin: int
    decoder: list[Tensor] | None = None

    @property
    def first(self) -> bool:
        """Whether the next clip is the first."""
        return self.latents.shape[1] == 1

    def lead_on(self, keyboard: Tensor, mouse: Tensor) -> tuple[Tensor, Tensor]:
        """Set the action of the last frame, which leads to the next clip.

        Args:
            keyboard, mouse: (F + 1, 6) and (F + 1, 2), of the last frame and F new ones.

        Returns:
            Actions of the next clip, as :meth:`Rollout.extend` takes them.
        """
        if self.first:  # the first clip takes the picture's action too
            return keyboard, mouse
        self.keyboard = torch.cat([self.keyboard[:-1], keyboard[:1]])
        self.mouse = torch.cat([self.mouse[:-1], mouse[:1]])
        return keyboard[1:], mouse[1:]

    def copy(self) -> RolloutState:
        """A copy that shares no memory with this state."""
        if self.latents.is_cuda:
            torch.cuda.synchronize(self.latents.device)  # the decoder uses another stream
        past = None if self.decoder is None else [kept.clone() for kept in self.decoder]
        names = ("latents", "poses", "keyboard", "mouse")
        return replace(self, decoder=past, **{name: getattr(self, name).clone() for name in names})

    def get_state(self) -> dict[str, Any]:
        """A copy as tensors and numbers."""
        return vars(self.copy())

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> RolloutState:
        """The rollout state that :meth:`get_state` was called on."""
        return cls(**state).copy()


@dataclass(frozen=True)
class Clip:
    """Result of one clip of one rollout.

    Attributes:
        decoded: frames, possibly still in transfer.
        latents: (C, n, h, w) new latents.
        poses: (n, 4, 5) of their frames.
        index: index of the first new latent.
        coverage: fraction of the query views that was in memory.
    """

    decoded: Frames
    latents: Tensor
    poses: Tensor
    index: int
    coverage: float = 0.0

    @property
    def frames(self) -> Tensor:
        """uint8 (F, H, W, 3) on the host; the first clip includes the decoded picture.

        Waits for the decoder, which runs asynchronously on a GPU.
        """
        return self.decoded.wait()

    @property
    def pose(self) -> Tensor:
        """(5,) of the last frame."""
        return self.poses[-1, -1]


def extended(state: RolloutState, keyboard: Tensor, mouse: Tensor) -> RolloutState:
    """The state with poses and actions of the next window, and the latents of the past."""
    keys, moves = torch.cat([state.keyboard, keyboard]), torch.cat([state.mouse, mouse])
    last = 0 if state.first else len(state.keyboard) - 1  # action from the past to the next clip
    poses = poses_of_actions(keys[last:], moves[last:], state.poses[-1])
    poses = torch.cat([state.poses[:-1], poses])
    return replace(state, poses=poses, keyboard=keys, mouse=moves)
