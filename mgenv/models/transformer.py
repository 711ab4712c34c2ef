"""Unified self-attention over memory, history and the frame being imagined.

One sequence, masked block-causally: clean history frames look at the few before them, memory
(the canvas, already warped into the view) looks at history, the noisy frame looks at everything.
Nothing clean ever looks at the noisy frame, so keys and values of history are computed once and
reused over denoising steps and environment steps.

A token is a patch of latent cells, to keep attention cheap. The noisy frame enters and leaves
through convolutions over single cells, which preserve detail finer than a token.

Legend: B batch, F frames, S tokens a frame, L queries, D width, N heads, H head width.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgenv.camera import full_precision
from mgenv.config import option, settings
from mgenv.models.attention import attend, rope_angles, rotate
from mgenv.models.vae import ResBlock

POSE_FEATURES = 15
MASK_CELLS, EVIDENCE_CELLS = 16, 12
CANVAS_CELLS = MASK_CELLS + EVIDENCE_CELLS
"""Channels of mask and evidence for each latent cell of the canvas."""
KeysValues = list[tuple[Tensor, Tensor]]
"""A layer each: keys (rotated) and values, (B, K, N, H)."""


@settings
class TransformerConfig:
    """Sizes of the transformer."""

    width: int = option(256, "channels of a token")
    depth: int = option(6, "blocks")
    heads: int = option(4, "attention heads of a block")
    hidden: int = option(896, "channels inside a block's MLP")
    cells: int = option(80, "channels of the convolutions over latent cells")
    history: int = option(4, "clean frames that the noisy frame, or a clean one, attends to")
    latent_channels: int = option(24, "channels of a latent cell, as of the autoencoder")
    side: int = option(8, "latent cells along a side of a frame")
    patch: int = option(2, "latent cells along a side of a token")

    @property
    def rows(self) -> int:
        """Tokens along a side of a frame."""
        return self.side // self.patch

    @property
    def tokens(self) -> int:
        """Tokens a frame."""
        return self.rows**2


class Block(nn.Module):
    """Pre-norm attention and MLP with modulation; attention itself is done by the caller."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, width, bias=False)
        self.modulation = nn.Parameter(torch.zeros(6, width))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.down.weight)

    def project(
        self, x: Tensor, modulation: Tensor, turn: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and keys, normed and rotated, and values: (B, L, N, H) each."""
        shift, scale = self._modulation(modulation, 0)
        h = F.rms_norm(x, x.shape[-1:]) * (1 + scale) + shift
        q, k, v = self.qkv(h).unflatten(-1, (3, self.heads, -1)).unbind(2)
        q, k = (F.rms_norm(t, t.shape[-1:]) for t in (q, k))
        return rotate(q, turn), rotate(k, turn), v

    def finish(self, x: Tensor, attended: Tensor, modulation: Tensor) -> Tensor:
        """Add attention's result, then the MLP."""
        gate, _ = self._modulation(modulation, 2)
        x = x + (1 + gate) * self.out(attended)
        shift, scale = self._modulation(modulation, 3)
        gate, _ = self._modulation(modulation, 5)
        h = F.rms_norm(x, x.shape[-1:]) * (1 + scale) + shift
        return x + (1 + gate) * self.down(F.gelu(self.up(h)))

    def _modulation(self, modulation: Tensor, index: int) -> tuple[Tensor, Tensor]:
        both = modulation[:, :, index : index + 2] + self.modulation[index : index + 2]
        return both[:, :, 0], both[:, :, -1]


class Transformer(nn.Module):
    """Velocity of the flow for one frame, given memory and history."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        width, cells, channels = config.width, config.cells, config.latent_channels
        area = config.patch**2
        self.frame_in = nn.Linear(channels * area, width)
        self.canvas_in = nn.Linear((channels + CANVAS_CELLS) * area, width)
        self.noisy_in = nn.Conv2d(2 * channels + CANVAS_CELLS, cells, 3, padding=1)
        self.before = ResBlock(cells)
        self.cells_in = nn.Linear(cells * area, width)
        self.pose_in = nn.Sequential(
            nn.Linear(POSE_FEATURES, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.kind = nn.Parameter(torch.randn(3, width) * 0.02)
        self.time_in = nn.Sequential(nn.Linear(64, width // 2), nn.SiLU())
        self.time_out = nn.Linear(width // 2, 6 * width)
        self.time_cells = nn.Linear(width // 2, 2 * cells)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.cells_out = nn.Linear(width, cells * area)
        self.after = nn.Sequential(ResBlock(cells), ResBlock(cells))
        self.head = nn.Conv2d(cells, channels, 3, padding=1)
        for layer in (self.time_out, self.time_cells, self.head):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    # -- the three kinds of token, in the order in which they may see each other -----------------

    def history(
        self, latents: Tensor, pose: Tensor, time: Tensor, present: Tensor, past: KeysValues | None
    ) -> KeysValues:
        """Keys and values of clean frames.

        Args:
            latents: (B, F, C, h, w).
            pose: (B, F, 15) motion from the frame before, :func:`pose_features`.
            time: (B, F) frame index.
            present: bool (B, W + F), whether each frame of ``past`` and ``latents`` exists;
                W = history - 1.
            past: keys and values of the W frames before, or None for none present.

        Returns:
            A layer each: (B, F·S, N, H) keys and values of the new frames.
        """
        batch, frames = latents.shape[:2]
        window, tokens = self.config.history - 1, self.config.tokens
        x = self.frame_in(self._patches(latents)) + self._pose(pose, 0)  # (B, F, S, D)
        x, modulation = x.flatten(0, 1), self._modulation(self._time(x.new_zeros(batch * frames)))
        turn = self._turn(time.flatten())
        keep = present.unfold(1, window + 1, 1).flatten(0, 1)  # (BF, W+1)
        keep = keep.repeat_interleave(tokens, 1)
        new: KeysValues = []
        for layer, block in enumerate(self._layers()):
            q, k, v = block.project(x, modulation, turn)
            keys, values = (t.unflatten(0, (batch, frames)).flatten(1, 2) for t in (k, v))
            new.append((keys, values))
            before = past[layer] if past else None
            wide = [self._windows(t, before and before[i]) for i, t in enumerate((keys, values))]
            x = block.finish(x, attend(q, wide[0], wide[1], keep), modulation)
        return new

    def memory(
        self, canvas: Tensor, pose: Tensor, time: Tensor, context: KeysValues, present: Tensor
    ) -> KeysValues:
        """Keys and values of history followed by the canvas.

        Args:
            canvas: (B, C + 28, h, w) :func:`canvas_features`.
            pose: (B, 15) motion from the last frame into this view.
            time: (B,) index of the frame to imagine.
            context: history's keys and values, (B, W·S, N, H).
            present: bool (B, W).
        """
        x = self.canvas_in(self._patches(canvas)) + self._pose(pose, 1)  # (B, S, D)
        embedding = self._time(x.new_zeros(len(x)))
        joined: KeysValues = []
        self._pass(x, embedding, time, context, self._present(present, 1), joined)
        return joined

    def velocity(
        self,
        noisy: Tensor,
        sigma: Tensor,
        canvas: Tensor,
        pose: Tensor,
        time: Tensor,
        context: KeysValues,
        present: Tensor,
    ) -> Tensor:
        """Flow velocity (noise - data) of noisy latents (B, C, h, w) at noise level sigma (B,).

        ``context`` comes from :meth:`memory`; the other arguments are as there.
        """
        embedding = self._time(sigma)
        scale, shift = self.time_cells(embedding)[..., None, None].chunk(2, 1)
        fine = self.noisy_in(torch.cat([noisy, canvas], 1))  # (B, cells, h, w)
        fine = self.before(fine * (1 + scale) + shift)
        x = self.cells_in(self._patches(fine)) + self._pose(pose, 2)  # (B, S, D)
        x = self._pass(x, embedding, time, context, self._present(present, 2))
        coarse = self.cells_out(F.rms_norm(x, x.shape[-1:]))  # (B, S, cells·patch²)
        return self.head(self.after(fine + self._cells(coarse))).float()

    # -- helpers ---------------------------------------------------------------------------------

    def _pass(
        self,
        x: Tensor,
        embedding: Tensor,
        time: Tensor,
        context: KeysValues,
        keep: Tensor,
        joined: KeysValues | None = None,
    ) -> Tensor:
        """Tokens (B, S, D) through all blocks; ``joined`` gets the context with theirs."""
        modulation, turn = self._modulation(embedding), self._turn(time)
        for block, (keys, values) in zip(self._layers(), context, strict=True):
            q, k, v = block.project(x, modulation, turn)
            keys, values = torch.cat([keys, k], 1), torch.cat([values, v], 1)
            if joined is not None:
                joined.append((keys, values))
            x = block.finish(x, attend(q, keys, values, keep), modulation)
        return x

    def _turn(self, time: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine of every token's angles, (B, S, 1, H/2) each."""
        angles = rope_angles(time, self.config.rows, self.config.width // self.config.heads)
        return angles.cos().unsqueeze(2), angles.sin().unsqueeze(2)

    def _layers(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]

    def _pose(self, pose: Tensor, kind: int) -> Tensor:
        return (self.pose_in(pose) + self.kind[kind]).unsqueeze(-2)

    def _time(self, sigma: Tensor) -> Tensor:
        """(B,) noise levels to an embedding (B, D/2)."""
        steps = torch.arange(32, device=sigma.device, dtype=torch.float32)
        phase = sigma.float()[:, None] * torch.exp(steps * math.log(200.0) / 31)
        return self.time_in(torch.cat([phase.cos(), phase.sin()], -1))

    def _modulation(self, embedding: Tensor) -> Tensor:
        """(B, D/2) to shifts, scales and gates (B, 1, 6, D)."""
        return self.time_out(embedding).unflatten(-1, (6, -1)).unsqueeze(1)

    def _patches(self, cells: Tensor) -> Tensor:
        """(..., C, h, w) to (..., S, C·patch²)."""
        return F.pixel_unshuffle(cells, self.config.patch).flatten(-2).transpose(-1, -2)

    def _cells(self, patches: Tensor) -> Tensor:
        """Inverse of :meth:`_patches`, for (B, S, C·patch²)."""
        grid = patches.transpose(-1, -2).unflatten(-1, (self.config.rows, self.config.rows))
        return F.pixel_shuffle(grid, self.config.patch)

    def _present(self, present: Tensor, more: int) -> Tensor:
        """History's frames (B, W) and ``more`` frames that exist, a token each."""
        keep = torch.cat([present, present.new_ones(len(present), more)], 1)
        return keep.repeat_interleave(self.config.tokens, 1)

    def _windows(self, keys: Tensor, before: Tensor | None) -> Tensor:
        """(B, F·S, N, H) to each frame's window (B·F, (W+1)·S, N, H)."""
        tokens, window = self.config.tokens, self.config.history - 1
        if before is None:
            before = keys.new_zeros(len(keys), window * tokens, *keys.shape[2:])
        frames = torch.cat([before, keys], 1).unflatten(1, (-1, tokens))
        count = frames.shape[1] - window
        wide = torch.stack([frames[:, i : i + count] for i in range(window + 1)], 2)
        return wide.flatten(2, 3).flatten(0, 1)


def history_windows(context: KeysValues, history: int, tokens: int) -> KeysValues:
    """Clean frames' keys and values as each target sees them, for training.

    Args:
        context: (B, F·S, N, H) a layer.

    Returns:
        (B·(F - history), history·S, N, H): target i sees frames i … i + history - 1.
    """
    out = []
    for pair in context:
        keys, values = (t.unflatten(1, (-1, tokens)) for t in pair)
        n = keys.shape[1] - history
        wide = [
            torch.stack([t[:, i : i + n] for i in range(history)], 2).flatten(2, 3).flatten(0, 1)
            for t in (keys, values)
        ]
        out.append((wide[0], wide[1]))
    return out


@full_precision
def pose_features(pose: Tensor, previous: Tensor, present: Tensor) -> Tensor:
    """Camera motion since the previous frame, height and tilt: (..., 15).

    Args:
        pose, previous: (..., 4, 4).
        present: bool (...), False where there is no frame before.
    """
    rotation, position = previous[..., :3, :3], previous[..., :3, 3]
    turned = rotation.transpose(-1, -2)
    moved = (turned @ (pose[..., :3, 3] - position).unsqueeze(-1)).squeeze(-1)  # (..., 3)
    relative = turned @ pose[..., :3, :3] - torch.eye(3, device=pose.device)
    known = present.to(pose.dtype).unsqueeze(-1)
    motion = torch.cat([relative.flatten(-2) * 2, moved * 3], -1) * known  # (..., 12)
    own = torch.stack([pose[..., 2, 2] * 2, pose[..., 2, 3] - 1.0], -1)
    return torch.cat([motion, own, known], -1)


def canvas_features(latents: Tensor, mask: Tensor, evidence: Tensor) -> Tensor:
    """The canvas as the network reads it: (B, C + 28, h, w).

    Args:
        latents: (B, C, h, w).
        mask: (B, 1, H, W), pooled to 4×4 values a cell.
        evidence: (B, 3, H, W), pooled to 2×2 values a cell.
    """
    cell = mask.shape[-1] // latents.shape[-1]
    coarse = F.avg_pool2d(mask, cell // 4) if cell > 4 else mask
    worth = F.pixel_unshuffle(F.avg_pool2d(evidence, cell // 2), 2)  # (B, 12, h, w)
    return torch.cat([latents, F.pixel_unshuffle(coarse, 4) * 2 - 1, worth], 1)
