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
        index: int64 (M,), of each latent in the video of its place.
        relative: (M, 4, 4) cameras relative to the query cameras, scaled to distance 1.
        coverage: mean fraction of the query views that the best candidates see.
    """

    latents: Tensor
    index: Tensor
    relative: Tensor
    coverage: float


@dataclass(frozen=True)
class Recall:
    """Memory of one slot, oldest first.

    Attributes:
        latents: (R, C, h, w), storage that ``rows`` indexes.
        poses: (N, 4, 5) of the four frames of each.
        index: int64 (N,), of each latent in the video of its place.
        sink: row that always takes the last memory slot, or None.
        limit: most frames that are scored.
        rows: int64 (N,), rows of ``latents``; 0 … N - 1 if None.
    """

    latents: Tensor
    poses: Tensor
    index: Tensor
    sink: int | None = 0
    limit: int | None = None
    rows: Tensor | None = None

    def before(self, index: int, but: int) -> Recall | None:
        """Latents older than ``index`` except ``but``; None if there are none."""
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
        """Retrieve memory for a clip with cameras ``window`` (F, 4, 4), one latent a query.

        Args:
            index: of the clip's first latent; all memory is older.
            device: device of the comparison of views.
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
    """Index of the camera of (N, 4, 4) nearest to ``wanted`` (4, 4) in position and view."""
    relative = Pose(poses).relative_to(Pose(wanted)).matrix
    gap = relative[:, :3, 3].norm(dim=-1) + (1 - relative[:, 2, 2])
    return int(gap.argmin())
