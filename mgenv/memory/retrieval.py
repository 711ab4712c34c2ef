"""Which remembered frames help to draw a view: pure functions over tensors.

`visible` asks how much of the *visible* surface a frame would explain: candidates' surface points
are projected into the query, a coarse z-buffer keeps what is in front, and frames are picked
greedily for what the others do not cover yet. `frustum` is the rule of Matrix-Game 3.0: the share
of points of the query's frustum that fall into a candidate's view, whatever stands between.

Shapes: B queries, C candidates, P surface points a candidate, k picks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from mgenv.camera import DEFAULT_INTRINSICS, Intrinsics, Pose, frustum_points

if TYPE_CHECKING:
    from mgenv.memory.bank import MemoryBank

CANDIDATES = 48
"""Frames that pass the cheap test and are depth-tested."""

GRID = 8
"""Cells along a side of the coarse z-buffer."""

GENERATED_QUALITY = 0.4
"""What a generated frame is worth beside an observed one that shows the same surface."""


class Candidates(NamedTuple):
    """Frames that may be retrieved.

    Attributes:
        points: (B, C, P, 4) world coordinates [m] and source depth [m] of sampled surface points.
        pose: (B, C, 4, 4).
        observed: bool (B, C).
        valid: bool (B, C).
    """

    points: Tensor
    pose: Tensor
    observed: Tensor
    valid: Tensor


class Retrieved(NamedTuple):
    """Picks, best first.

    Attributes:
        indices: int64 (B, k) into the candidates; -1 where nothing more helps.
        coverage: float (B,) share of the query's view that the candidates explain.
    """

    indices: Tensor
    coverage: Tensor


def retrieve(
    bank: MemoryBank, slots: Sequence[int], pose: ArrayLike | Tensor, k: int, rule: str = "visible"
) -> Retrieved:
    """The ``k`` remembered frames that explain most of each slot's view.

    Args:
        pose: (len(slots), 4, 4) views.
        rule: ``"visible"`` (depth-tested, greedy) or ``"frustum"`` (the paper's).

    Returns:
        Pool rows (n, k), -1 for none, and coverage (n,).
    """
    query = torch.as_tensor(pose, dtype=torch.float32, device=bank.device)
    table, candidates = bank.candidates(slots)
    if table.shape[1] > CANDIDATES:
        table = table.gather(1, preselect(candidates, query, CANDIDATES))
        candidates = bank.select(table)
    picks, coverage = RULES[rule](candidates, query, k, bank.intrinsics)
    rows = torch.where(picks >= 0, table.gather(1, picks.clamp_min(0)), -1)
    return Retrieved(rows, coverage)


def surface_points(depth: Tensor, pose: Tensor, side: int = 16) -> Tensor:
    """Sample depth maps on a ``side``×``side`` lattice: (..., H, W) -> (..., side², 4)."""
    height, width = depth.shape[-2:]
    rows = ((torch.arange(side, device=depth.device) + 0.5) * height / side).long()
    columns = ((torch.arange(side, device=depth.device) + 0.5) * width / side).long()
    rays = DEFAULT_INTRINSICS.rays(height, width, depth.device)[rows][:, columns]
    sampled = depth[..., rows[:, None], columns].float()  # (..., side, side)
    camera = (rays * sampled.unsqueeze(-1)).flatten(-3, -2)  # (..., P, 3)
    world = Pose(pose).do(camera)
    return torch.cat([world, sampled.flatten(-2).unsqueeze(-1)], -1)  # (..., P, 4)


def preselect(candidates: Candidates, pose: Tensor, limit: int) -> Tensor:
    """The ``limit`` candidates most likely to matter, by a sixteenth of their points: (B, limit)."""
    sparse = candidates.points[:, :, ::16]  # (B, C, P/16, 4)
    inside, _, _ = _project(sparse, pose, DEFAULT_INTRINSICS)
    distance = (candidates.pose[..., :3, 3] - pose[:, None, :3, 3]).norm(dim=-1)  # (B, C)
    score = inside.float().mean(-1) - 0.03 * distance + 0.1 * candidates.observed
    score = score.masked_fill(~candidates.valid, -1e4)
    best = score.topk(min(limit, score.shape[1]), dim=1).indices
    return best.sort(dim=1).values  # in order of storing, so that ties never depend on neighbours


def visible(
    candidates: Candidates, pose: Tensor, k: int, intrinsics: Intrinsics = DEFAULT_INTRINSICS
) -> Retrieved:
    """Greedy, depth-tested retrieval.

    Args:
        candidates: frames to choose from.
        pose: (B, 4, 4) query views.
        k: how many to pick.
    """
    quality = cell_quality(candidates, pose, intrinsics)  # (B, C, G²)
    coverage = (quality.amax(1) > 0).float().mean(-1) if quality.shape[1] else _zeros(pose)
    best = quality.new_zeros(quality.shape[0], 1, quality.shape[2])
    picks = []
    for _ in range(k):
        if quality.shape[1] == 0:
            picks.append(torch.full_like(coverage, -1, dtype=torch.int64))
            continue
        gain, pick = (quality - best).clamp_min(0).sum(-1).max(1)  # (B,)
        best = torch.maximum(best, quality.gather(1, _expand(pick, quality)))
        picks.append(torch.where(gain > 1e-3, pick, -1))
    none = torch.empty(len(pose), 0, dtype=torch.int64, device=pose.device)
    return Retrieved(torch.stack(picks, 1) if picks else none, coverage)


def frustum(
    candidates: Candidates, pose: Tensor, k: int, intrinsics: Intrinsics = DEFAULT_INTRINSICS
) -> Retrieved:
    """Frustum overlap without occlusion: the paper's rule. Same arguments as :func:`visible`.

    Source: Matrix-Game 3.0 (arXiv 2604.08995); far plane 8 m, as fits rooms.
    """
    points = frustum_points(intrinsics, Pose(pose), far=8.0).unsqueeze(1)  # (B, 1, 1000, 3)
    local = Pose(candidates.pose).inv_do(points.expand(-1, candidates.pose.shape[1], -1, -1))
    image, depth = intrinsics.project(local)
    inside = ((image > 0) & (image < 1)).all(-1) & (depth > 0.1) & (depth < 8.0)  # (B, C, 1000)
    inside &= candidates.valid.unsqueeze(-1)
    overlap = inside.float().mean(-1)  # (B, C)
    share, picks = overlap.topk(min(k, overlap.shape[1]), dim=1)
    picks = torch.where(share > 0, picks, -1)
    short = k - picks.shape[1]
    picks = torch.cat([picks, picks.new_full((picks.shape[0], short), -1)], 1)
    return Retrieved(picks, inside.any(1).float().mean(-1))


RULES = {"visible": visible, "frustum": frustum}


def cell_quality(candidates: Candidates, pose: Tensor, intrinsics: Intrinsics) -> Tensor:
    """How well each candidate shows each visible cell of the query: (B, C, G²) in [0, 1]."""
    inside, cell, depth = _project(candidates.points, pose, intrinsics)  # (B, C, P)
    inside &= candidates.valid.unsqueeze(-1)
    batch, count, points = cell.shape
    far = torch.full((batch, GRID * GRID), 1e4, device=pose.device)
    front = far.scatter_reduce(
        1, cell.flatten(1), depth.masked_fill(~inside, 1e4).flatten(1), "amin"
    )  # (B, G²)
    surface = front.gather(1, cell.flatten(1)).view(batch, count, points)
    seen = inside & (depth < 1.15 * surface + 0.15)
    resolution = (depth / candidates.points[..., 3].clamp_min(0.05)).clamp(0.05, 1.0)
    worth = torch.where(candidates.observed, 1.0, GENERATED_QUALITY).unsqueeze(-1)
    value = (resolution * worth) * seen
    cells = value.new_zeros(batch, count, GRID * GRID)
    return cells.scatter_reduce(2, cell, value, "amax")


def _project(points: Tensor, pose: Tensor, intrinsics: Intrinsics) -> tuple[Tensor, Tensor, Tensor]:
    """World points (B, C, P, 4) in the query: inside (B, C, P), cell index, depth."""
    batch, count, number = points.shape[:3]
    local = Pose(pose).inv_do(points[..., :3].reshape(batch, count * number, 3))
    image, depth = intrinsics.project(local.view(batch, count, number, 3))
    inside = ((image >= 0) & (image < 1)).all(-1) & (depth > 0.05)
    column, row = (image.clamp(0, 0.999) * GRID).long().unbind(-1)
    return inside, row * GRID + column, depth


def _expand(pick: Tensor, quality: Tensor) -> Tensor:
    return pick[:, None, None].expand(-1, 1, quality.shape[2])


def _zeros(pose: Tensor) -> Tensor:
    return torch.zeros(pose.shape[0], device=pose.device)
