"""Videos of a dataset for a pruned decoder to learn from, and others to judge it by.

A dataset is cut into windows that share no frame. Those of the last tenth are never trained on;
up to :data:`JUDGED` of them, spread evenly, are what errors are measured on. Episodes follow each
other in the dataset, so at most one of them lends windows to both sides.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mgenv.data import lerobot
from mgenv.data.dataset import Dataset
from mgenv.errors import DataError

JUDGED = 8
"""Windows that errors are measured on, at most."""

Place = tuple[int, int]
"""Episode and tick of a window's first frame."""


class Clips:
    """Batches of windows of a dataset, decoded when they are asked for.

    Args:
        dataset: where they lie.
        batches: places of the windows of each batch.
        frames: length of a window.
        size: height and width of the videos.
        shrink: whether larger pictures are scaled, or only cut.
    """

    def __init__(
        self,
        dataset: Dataset,
        batches: list[list[Place]],
        frames: int,
        size: tuple[int, int],
        shrink: bool,
    ) -> None:
        self.dataset, self.batches, self.frames = dataset, batches, frames
        self.size, self.shrink = size, shrink

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int, /) -> Tensor:
        """Videos (B, 3, F, H, W) in [-1, 1]."""
        return torch.stack([self._video(*place) for place in self.batches[index]])

    def _video(self, episode: int, start: int) -> Tensor:
        rgb = self.dataset.pictures(episode, range(start, start + self.frames))
        pictures = torch.from_numpy(rgb).permute(0, 3, 1, 2) / 127.5 - 1  # (F, 3, h, w)
        return fitted(pictures, self.size, self.shrink).transpose(0, 1)  # (3, F, H, W)


def fitted(pictures: Tensor, size: tuple[int, int], shrink: bool) -> Tensor:
    """Pictures (F, 3, h, w) scaled until they just cover `size`, then cut around their middle.

    Args:
        shrink: whether larger pictures are scaled too, or only cut.
    """
    sides = pictures.shape[2:]
    scale = max(wanted / side for wanted, side in zip(size, sides, strict=True))
    if scale > 1 or (shrink and scale < 1):
        covering = [
            max(wanted, round(side * scale)) for wanted, side in zip(size, sides, strict=True)
        ]
        pictures = F.interpolate(pictures, covering, mode="bilinear", antialias=True)
    top, left = (
        (side - wanted) // 2 for side, wanted in zip(pictures.shape[2:], size, strict=True)
    )
    return pictures[..., top : top + size[0], left : left + size[1]]


def own_size(dataset: Dataset, stride: int) -> tuple[int, int]:
    """Height and width of a dataset's pictures, rounded down to multiples of `stride` pixels."""
    height, width, _ = dataset.features[lerobot.IMAGE]["shape"]
    return max(height // stride, 1) * stride, max(width // stride, 1) * stride


def split(
    dataset: Dataset,
    frames: int,
    size: tuple[int, int],
    *,
    shrink: bool = True,
    batch: int = 1,
    seed: int = 0,
) -> tuple[Clips, Clips]:
    """Windows to train on, in batches that `seed` draws, and others to judge by, one by one.

    Args:
        dataset: it has to stay open.
        frames: length of a window.
        size, shrink: of pictures, as in :func:`fitted`.
        batch: windows in a batch.
        seed: which windows come together, and when.

    Raises:
        DataError: too few windows for a batch to train on and one to judge by.
    """
    places = [
        (episode, start)
        for episode in range(len(dataset))
        for start in range(0, dataset.length(episode) - frames + 1, frames)
    ]
    kept = max(1, len(places) // 10)
    train, judged = places[:-kept], places[-kept:]
    if len(train) < batch:
        raise DataError(
            f"{dataset.root}: expected at least {batch + 1} windows of {frames} frames "
            f"({batch} for a batch, 1 to judge by); got {len(places)}."
        )
    order = np.random.default_rng(seed).permutation(len(train)).tolist()
    batches = [
        [train[i] for i in order[first : first + batch]]
        for first in range(0, len(order) - batch + 1, batch)
    ]
    spread = np.unique(np.linspace(0, kept - 1, min(kept, JUDGED)).round()).astype(int)
    held_out = [[judged[i]] for i in spread.tolist()]
    looks = (frames, size, shrink)
    return Clips(dataset, batches, *looks), Clips(dataset, held_out, *looks)
