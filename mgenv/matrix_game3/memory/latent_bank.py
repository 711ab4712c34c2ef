"""A memory bank whose frames carry latents.

A stored frame represents the four frames of a latent and shows the last of them. Its depth is 0
(unknown). All frames of a place share one time line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from mgenv.camera import ImageSize, picture_shape
from mgenv.matrix_game3.memory.memory_query import Recall
from mgenv.matrix_game3.network.conventions import from_public, to_public
from mgenv.memory.bank import MemoryBank
from mgenv.memory.files import STORED, frame_digest
from mgenv.memory.geometry import POINT_SIZE

STRIDE = 16
"""Pixels along the side of a latent cell."""


class LatentBank(MemoryBank):
    """Bounded memory of many places, on the CPU.

    The first generated frame of a place is never evicted: it is the attention sink.

    Args:
        num_slots: number of slots.
        image_size: of the frames.
        encode: function from a picture uint8 (H, W, 3) to its latent (C, h, w).
        channels: C.
        frames: most latents of a place.
        shared: slots in the same world share one place.
    """

    stored = (*STORED, "latent", "frames", "index")

    def __init__(
        self,
        num_slots: int,
        image_size: ImageSize,
        encode: Callable[[Tensor], Tensor],
        channels: int = 48,
        frames: int = 512,
        shared: bool = False,
    ) -> None:
        self.encode, self.channels = encode, channels
        super().__init__(num_slots, image_size, frames, shared)

    def _empty_pool(self, rows: int) -> dict[str, Tensor]:
        height, width = picture_shape(self.image_size)
        return super()._empty_pool(rows) | {
            "latent": torch.zeros(rows, self.channels, height // STRIDE, width // STRIDE),
            "frames": torch.zeros(rows, 4, 5),
            "index": torch.zeros(rows, dtype=torch.int64),
        }

    def next_index(self, slot: int) -> int:
        """Next free index on the place's time line."""
        rows = self._rows(slot)
        return int(self._pool["index"][rows].max()) + 1 if rows else 0

    def store(
        self, slot: int, rgb: Tensor, latent: Tensor, frames: Tensor, index: int, observed: bool
    ) -> None:
        """Remember one latent.

        Args:
            rgb: uint8 (H, W, 3), the latent's last frame.
            latent: (C, h, w).
            frames: (4, 5) public poses of the latent's frames.
            index: index on the place's time line.
            observed: whether the frame was observed rather than generated.
        """
        frame = {
            "rgb": rgb.cpu(),
            "depth": torch.zeros(picture_shape(self.image_size)),
            "pose": from_public(frames[-1]),
            "points": torch.zeros(256, POINT_SIZE),
            "latent": latent.cpu(),
            "frames": frames,
            "index": torch.tensor(index),
        }
        digest = frame_digest(frame) + index.to_bytes(8, "little") if observed else b""
        self._remember(self._rows(slot), frame, observed, digest)

    def add(
        self,
        slots: Sequence[int],
        rgb: ArrayLike | Tensor,
        depth: ArrayLike | Tensor,
        pose: ArrayLike | Tensor,
        observed: bool,
    ) -> None:
        """Remember a frame a slot, as a latent of its own; see :meth:`MemoryBank.add`. No depth."""
        colours, _, poses = self._tensors(len(slots), rgb, depth, pose)
        for slot, colour, camera in zip(slots, colours, poses, strict=True):
            frames = to_public(camera).expand(4, 5)
            self.store(slot, colour, self.encode(colour), frames, self.next_index(slot), observed)

    def recall(self, slot: int, limit: int | None = None) -> Recall | None:
        """Memory of the slot's place, oldest first; None if it is empty."""
        rows = torch.tensor(self._rows(slot), dtype=torch.int64)
        if len(rows) == 0:
            return None
        made = (~self._pool["observed"][rows]).nonzero()[:1, 0].tolist()
        frames, index = self._pool["frames"][rows], self._pool["index"][rows]
        sink = made[0] if made else None
        return Recall(self._pool["latent"], frames, index, sink, limit, rows)

    def _lasting(self, rows: Tensor) -> Tensor:
        observed = super()._lasting(rows).clone()
        observed[(~observed).nonzero()[:1, 0]] = True
        return observed

    def _load_place(self, key: tuple[int, int], frames: dict[str, Tensor]) -> None:
        """Load frames; those of other worlds' files have no latents and are encoded."""
        rows = self._places.setdefault(key, [])
        while rows:
            self._release(rows.pop())
        before, self._at[key[0]] = self._at[key[0]], key
        for row, observed in enumerate(frames["observed"].tolist()):
            rgb = frames["rgb"][row]
            if "latent" in frames:
                own = (frames["latent"][row], frames["frames"][row], int(frames["index"][row]))
            else:
                own = (self.encode(rgb), to_public(frames["pose"][row]).expand(4, 5), row)
            self.store(key[0], rgb, *own, observed)
        self._at[key[0]] = before

    def picture(self, slot: int, row: int) -> tuple[Tensor, Tensor]:
        """Frame ``row`` of the slot's place: uint8 (H, W, 3), public pose (5,)."""
        at = self._rows(slot)[row]
        return self._pool["rgb"][at].clone(), self._pool["frames"][at, -1].clone()

    def poses(self, slot: int) -> Tensor:
        """Cameras (M, 4, 4) of all frames of the slot's place."""
        return self._pool["pose"][torch.from_numpy(np.array(self._rows(slot), np.int64))]
