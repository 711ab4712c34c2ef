"""Memory of a rollout: latents with the poses of their frames, retrieved by the public rule."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mgenv.camera import Pose
from mgenv.matrix_game3.memory.camera import camera_to_world, relative_memory
from mgenv.matrix_game3.memory.retrieval import QUERY_OFFSETS, retrieve


@dataclass(frozen=True)
class RetrievedMemory:
    """Memory of one clip.

    Attributes:
        latents: (C, M, h, w).
        index: int64 (M,), of each in the video of its place.
        relative: (M, 4, 4) its camera in the frame of the camera that asked, at distance 1.
        coverage: mean share of the asked views that the best candidates see.
    """

    latents: Tensor
    index: Tensor
    relative: Tensor
    coverage: float


@dataclass(frozen=True)
class Recall:
    """All that one slot remembers, oldest first.

    Attributes:
        latents: (R, C, h, w), of which a clip reads a few.
        poses: (N, 4, 5) of the four frames of each.
        index: int64 (N,), of each in the video of its place.
        sink: row that always takes the last place, or None.
        limit: frames that are scored at most.
        rows: int64 (N,), where in ``latents`` each is; 0 … N - 1 where None.
    """

    latents: Tensor
    poses: Tensor
    index: Tensor
    sink: int | None = 0
    limit: int | None = None
    rows: Tensor | None = None

    def before(self, index: int, but: int) -> Recall | None:
        """What is older than ``index``, without ``but``; None if that is nothing."""
        rows = ((self.index < index) & (self.index != but)).nonzero()[:, 0]
        if len(rows) == 0:
            return None
        at = (rows == self.sink).nonzero() if self.sink is not None else rows[:0]
        sink = int(at[0]) if len(at) else None
        own = rows if self.rows is None else self.rows[rows]
        return Recall(self.latents, self.poses[rows], self.index[rows], sink, self.limit, own)

    def select(
        self, window: Tensor, index: int, device: torch.device | str = "cpu"
    ) -> RetrievedMemory:
        """What the clip with cameras ``window`` (F, 4, 4) remembers; one frame a query.

        Args:
            index: of the clip's first latent; all memory is older.
            device: where views are compared.
        """
        assert int(self.index.max()) < index, "memory is older than the window"
        seen = camera_to_world(self.poses)  # (N, 4, 4, 4)
        queries = [max(0, len(window) - offset) for offset in QUERY_OFFSETS]
        every = torch.cat([seen.flatten(0, 1), window]).to(device)  # (4 N + F, 4, 4)
        frames, share = retrieve(
            every,
            torch.tensor(queries) + 4 * len(seen),
            torch.arange(4 * len(seen)),
            self.limit,
        )
        rows = (frames // 4).cpu()
        if self.sink is not None:
            rows[-1] = self.sink
        relative = relative_memory(seen[rows, -1], window[queries])
        own = rows if self.rows is None else self.rows[rows]
        picked = self.latents[own].movedim(0, 1)  # (C, M, h, w)
        return RetrievedMemory(picked, self.index[rows], relative, float(share.mean()))


def nearest_view(poses: Tensor, wanted: Tensor) -> int:
    """Which of cameras (N, 4, 4) stands and looks most like ``wanted`` (4, 4)."""
    relative = Pose(poses).relative_to(Pose(wanted)).matrix
    gap = relative[:, :3, 3].norm(dim=-1) + (1 - relative[:, 2, 2])
    return int(gap.argmin())
