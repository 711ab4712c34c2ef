"""Which frames the public code takes poses and memory from, for the golden clips."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mgenv.matrix_game3.memory.camera import frame_of_latent, latent_index
from mgenv.matrix_game3.memory.retrieval import QUERY_OFFSETS, SINK_FRAME, retrieve


def window_pose_frames(start: int, end: int) -> list[int]:
    """Frames whose poses stand for the latents of the window of frames ``start`` … ``end - 1``."""
    return [frame_of_latent(i) for i in range(latent_index(start), latent_index(end - 1) + 1)]


def query_frames(end: int) -> list[int]:
    """The frames that ask for memory in the clip that ends before frame ``end``."""
    return [end - offset for offset in QUERY_OFFSETS]


def memory_frames(
    c2w: Tensor, start: int, end: int, limit: int | None = None
) -> tuple[Tensor, Sequence[int]]:
    """What the clip of frames ``start`` … ``end - 1`` remembers: one frame a query, then the sink.

    Args:
        c2w: (..., F, 4, 4) camera-to-world of frames 0 … ``end - 1`` and perhaps more.
        start: the clip's first frame; memory is of frames 1 … ``start - 1``.
        end: one past the clip's last frame.
        limit: how many frames are scored at most; all by default.

    Returns:
        Frames (..., 5) int64 and the frames that asked for them.
    """
    queries = query_frames(end)
    frames, _ = retrieve(
        c2w, torch.tensor(queries), torch.arange(1, start, device=c2w.device), limit
    )
    frames[..., -1] = SINK_FRAME
    return frames, queries
