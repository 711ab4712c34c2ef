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
    """State of one rollout: all that the next clip depends on, except memory.

    Attributes:
        latents: (C, P, h, w) clean past, 1 at first and 4 later.
        poses: (p, 5) of the past latents' frames: 1 at first and 16 later.
        keyboard, mouse: (p, 6) and (p, 2) of those frames; none at first.
        index: of the first past latent in the video of its place.
        origin: index of the picture that it began with.
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
        """Whether no clip exists yet."""
        return self.latents.shape[1] == 1

    def lead_on(self, keyboard: Tensor, mouse: Tensor) -> tuple[Tensor, Tensor]:
        """Give the last frame the first action of the next clip.

        Args:
            keyboard, mouse: (F + 1, 6) and (F + 1, 2), of the last frame and the F to come.

        Returns:
            Actions of the frames that the next clip asks for.
        """
        if self.first:  # the picture's own action is asked for too
            return keyboard, mouse
        self.keyboard = torch.cat([self.keyboard[:-1], keyboard[:1]])
        self.mouse = torch.cat([self.mouse[:-1], mouse[:1]])
        return keyboard[1:], mouse[1:]

    def copy(self) -> RolloutState:
        """A copy that shares no memory with this state."""
        if self.latents.is_cuda:
            torch.cuda.synchronize(self.latents.device)  # the decoder has a stream of its own
        past = None if self.decoder is None else [kept.clone() for kept in self.decoder]
        names = ("latents", "poses", "keyboard", "mouse")
        return replace(self, decoder=past, **{name: getattr(self, name).clone() for name in names})

    def get_state(self) -> dict[str, Any]:
        """A copy of everything, as tensors and numbers."""
        return vars(self.copy())

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> RolloutState:
        """The rollout state that :meth:`get_state` was called on."""
        return cls(**state).copy()


@dataclass(frozen=True)
class Clip:
    """What one clip added to one rollout.

    Attributes:
        decoded: its frames, perhaps still on their way.
        latents: (C, n, h, w) new ones.
        poses: (n, 4, 5) of their frames.
        index: of the first of them.
        coverage: share of the views that memory had seen before.
    """

    decoded: Frames
    latents: Tensor
    poses: Tensor
    index: int
    coverage: float = 0.0

    @property
    def frames(self) -> Tensor:
        """uint8 (F, H, W, 3) on the host; the first clip's begin with the picture, decoded again.

        Waits for the decoder, which on a GPU works behind the next clip until then.
        """
        return self.decoded.wait()

    @property
    def pose(self) -> Tensor:
        """(5,) of the last frame."""
        return self.poses[-1, -1]


def extended(state: RolloutState, keyboard: Tensor, mouse: Tensor) -> RolloutState:
    """The state with poses and actions of the whole next window; latents are still the past."""
    keys, moves = torch.cat([state.keyboard, keyboard]), torch.cat([state.mouse, mouse])
    last = 0 if state.first else len(state.keyboard) - 1  # the action that leads on from the past
    poses = poses_of_actions(keys[last:], moves[last:], state.poses[-1])
    poses = torch.cat([state.poses[:-1], poses])
    return replace(state, poses=poses, keyboard=keys, mouse=moves)
