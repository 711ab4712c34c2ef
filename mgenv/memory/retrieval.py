"""Retrieval of the remembered frames that cover a view: pure functions of tensors.

`visible` asks how much of the *visible* surface a frame would explain: candidates' surface points
are projected into the query, a coarse z-buffer keeps what is in front, and frames are picked
greedily for what the others do not cover yet. Observed and generated surfaces have a z-buffer each:
a wall that was imagined in the wrong place must not hide what was seen. `frustum` is the rule of
Matrix-Game 3.0: the share of points of the query's frustum that fall into a candidate's view,
whatever stands between.

Shapes: B queries, C candidates, P surface points a candidate, k picks.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from mgenv.camera import (
    DEFAULT_INTRINSICS,
    Intrinsics,
    Pose,
    frustum_points,
    full_precision,
)
from mgenv.memory.geometry import sparse_points

CANDIDATES = 40
"""Frames that pass the cheap test and are depth-tested in full."""

GRID = 8
"""Cells along a side of the coarse z-buffer."""

SPARSE_GRID, GREEDY_PICKS = 6, 12
"""Of the cheap test."""


GENERATED_QUALITY = 0.1
"""What a generated frame is worth beside an observed one that shows the same surface."""


class Pool(NamedTuple):
    """The geometry of R frames of many places.

    Attributes:
        points: float32 (R, P, 7), see :func:`mgenv.memory.geometry.surface_points`.
        sparse: float32 (R, S, 7), a quarter of them.
        observed: bool (R,).
        pose: float32 (R, 4, 4).
    """

    points: Tensor
    sparse: Tensor
    observed: Tensor
    pose: Tensor


class Candidates(NamedTuple):
    """Frames that may be retrieved.

    Attributes:
        points: (B, C, P, 7) of sampled surface points: world coordinates [m], depth in the
            candidate [m], and normal (in the world, towards the candidate).
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
    pool: Pool,
    table: Tensor,
    pose: ArrayLike | Tensor,
    k: int,
    rule: str = "visible",
    intrinsics: Intrinsics = DEFAULT_INTRINSICS,
) -> Retrieved:
    """The ``k`` remembered frames that cover most of each view.

    Args:
        pool: frames of all places.
        table: int64 (B, C), rows of the pool to choose from, -1 for none.
        pose: (B, 4, 4) views.
        rule: ``"visible"`` (depth-tested, greedy) or ``"frustum"`` (the paper's).
        intrinsics: of the views.

    Returns:
        Pool rows (B, k), -1 for none, and coverage (B,).
    """
    query = torch.as_tensor(pose, dtype=torch.float32, device=table.device)
    if rule == "visible" and table.device.type == "cpu":
        from mgenv.memory.retrieval_cpu import retrieve_visible  # brings Numba along

        sizes = (CANDIDATES, GRID, SPARSE_GRID, min(CANDIDATES // 2, GREEDY_PICKS))
        lenses = (intrinsics, DEFAULT_INTRINSICS)
        found = retrieve_visible(pool[:3], table, query, k, lenses, sizes, GENERATED_QUALITY)
        return Retrieved(*found)
    return retrieve_plain(pool, table, query, k, rule, intrinsics)


def retrieve_plain(
    pool: Pool,
    table: Tensor,
    pose: Tensor,
    k: int,
    rule: str = "visible",
    intrinsics: Intrinsics = DEFAULT_INTRINSICS,
) -> Retrieved:
    """:func:`retrieve` in torch, for any device."""
    candidates = select(pool, table)
    if table.shape[1] > CANDIDATES:
        table = table.gather(1, preselect(candidates, pose, CANDIDATES))
        candidates = select(pool, table)
    picks, coverage = RULES[rule](candidates, pose, k, intrinsics)
    rows = torch.where(picks >= 0, table.gather(1, picks.clamp_min(0)), -1)
    return Retrieved(rows, coverage)


def select(pool: Pool, table: Tensor) -> Candidates:
    """The geometry of frames by pool row: (B, C), -1 for none."""
    rows = table.clamp_min(0)
    return Candidates(pool.points[rows], pool.pose[rows], pool.observed[rows], table >= 0)


def preselect(candidates: Candidates, pose: Tensor, limit: int) -> Tensor:
    """The ``limit`` candidates most likely to matter, by a quarter of their points: (B, limit).

    Half of them are picked greedily, as in :func:`visible`, half by how much each shows alone.
    """
    few = candidates._replace(points=sparse_points(candidates.points))
    quality = cell_quality(few, pose, DEFAULT_INTRINSICS, SPARSE_GRID)
    greedy, _ = _greedy(quality, min(limit // 2, GREEDY_PICKS))
    score = quality.sum(-1).scatter_add(1, greedy.clamp_min(0), (greedy >= 0) * 1e3)
    score = score.masked_fill(~candidates.valid, -1.0)
    best = _highest(score, limit)
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
    picks, _ = _greedy(quality, k)
    return Retrieved(picks, (quality.amax(1) > 0).float().mean(-1))


@full_precision
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


def _highest(score: Tensor, count: int) -> Tensor:
    """Where the ``count`` highest of ``score`` (B, C) are, the first among equals: (B, ≤ count)."""
    return score.sort(dim=1, descending=True, stable=True).indices[:, :count]


def _greedy(quality: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Pick what adds most to the best quality of each cell: picks (B, k), and that best."""
    best = quality.new_zeros(quality.shape[0], 1, quality.shape[2])
    picks = [torch.empty(len(quality), 0, dtype=torch.int64, device=quality.device)]
    for _ in range(k):
        gain, pick = (quality - best).clamp_min(0).sum(-1).max(1)  # (B,)
        best = torch.maximum(best, quality.gather(1, _expand(pick, quality)))
        picks.append(torch.where(gain > 1e-3, pick, -1).unsqueeze(1))
    return torch.cat(picks, 1), best


@full_precision
def cell_quality(
    candidates: Candidates, pose: Tensor, intrinsics: Intrinsics, grid: int = GRID
) -> Tensor:
    """How well each candidate shows each visible cell of the query: (B, C, G²) in [0, 1].

    Observed surfaces hide observed ones, and generated ones generated ones.
    """
    inside, cell, depth = _project(candidates.points, pose, intrinsics, grid)  # (B, C, P)
    inside &= candidates.valid.unsqueeze(-1)
    batch, count, _ = cell.shape
    surface = _nearest_surface(inside, cell, depth, candidates.observed, grid)
    to_view = pose[:, None, None, :3, 3] - candidates.points[..., :3]
    front = (candidates.points[..., 4:] * to_view).sum(-1) > 0
    seen = inside & front & (depth < 1.15 * surface + 0.15)
    resolution = (depth / candidates.points[..., 3].clamp_min(0.05)).clamp(0.05, 1.0)
    worth = torch.where(candidates.observed, 1.0, GENERATED_QUALITY).unsqueeze(-1)
    value = (resolution * worth) * seen
    cells = value.new_zeros(batch, count, grid * grid)
    return cells.scatter_reduce(2, cell, value, "amax")


def _nearest_surface(
    inside: Tensor, cell: Tensor, depth: Tensor, observed: Tensor, grid: int
) -> Tensor:
    """Depth of the first surface of a point's kind, observed or not, in its cell: (B, C, P)."""
    buffer = cell + grid * grid * observed.unsqueeze(-1)  # a z-buffer a kind, one after the other
    index = buffer.flatten(1)  # (B, C·P)
    far = torch.full((len(cell), 2 * grid * grid), 1e4, device=depth.device)
    front = far.scatter_reduce(1, index, depth.masked_fill(~inside, 1e4).flatten(1), "amin")
    return front.gather(1, index).view_as(cell)


def _project(
    points: Tensor, pose: Tensor, intrinsics: Intrinsics, grid: int
) -> tuple[Tensor, Tensor, Tensor]:
    """World points (B, C, P, 7) in the query: inside (B, C, P), cell index, depth."""
    batch, count, number = points.shape[:3]
    local = Pose(pose).inv_do(points[..., :3].reshape(batch, count * number, 3))
    image, depth = intrinsics.project(local.view(batch, count, number, 3))
    inside = ((image >= 0) & (image < 1)).all(-1) & (depth > 0.05)
    column, row = (image.clamp(0, 0.999) * grid).long().unbind(-1)
    return inside, row * grid + column, depth


def _expand(pick: Tensor, quality: Tensor) -> Tensor:
    return pick[:, None, None].expand(-1, 1, quality.shape[2])
