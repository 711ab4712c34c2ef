"""Retrieval of memory frames for a clip, as in the public Matrix-Game 3.0.

A candidate's score is the fraction of points in the query's view frustum that it sees. Occlusion is
not tested, and two queries may pick the same frame. All candidates are scored by one matrix product
on the device of the poses. The cost grows with the number of candidates (60 kB and 45 kFLOP each);
``limit`` bounds it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mgenv.camera import full_precision
from mgenv.errors import InvalidOptionError

NEAR, FAR = 0.1, 30.0
"""Near and far plane of a view [m]."""

POINTS_PER_SIDE = 10
WIDTH, HEIGHT = 1280, 720
"""Image size of the visibility test [pixels], whatever the size of the frames."""

QUERY_OFFSETS = (1, 9, 17, 25, 33)
"""Query frames, counted back from the clip's end."""

SINK_FRAME = 4
"""Frame that the last memory slot always holds."""


def view_points(device: torch.device | str = "cpu") -> Tensor:
    """Points that fill a view frustum, in camera coordinates: (3, 1000) [m]."""
    side = torch.linspace(-1, 1, POINTS_PER_SIDE, device=device)
    depth = torch.linspace(NEAR, FAR, POINTS_PER_SIDE, device=device)
    x, y, z = torch.meshgrid(side, side, depth, indexing="ij")
    return torch.stack([x * z, y * z, z]).flatten(1)  # (3, P)


def _seen(points: Tensor) -> Tensor:
    """Whether points (..., 3, P) in camera coordinates lie in the view: bool (..., P).

    Many points lie exactly on the edge, so the order of operations is that of the public code.
    """
    x, y, z = points.unbind(-2)
    depth = z.clamp_min(1e-6)
    u = x * (WIDTH / 2) / depth + WIDTH / 2
    v = y * (HEIGHT / 2) / depth + HEIGHT / 2
    inside = (u >= 0) & (u <= WIDTH) & (v >= 0) & (v <= HEIGHT)
    return inside & (z > NEAR) & (z < FAR)


@full_precision
def overlaps(queries: Tensor, candidates: Tensor) -> Tensor:
    """Fraction of each query's view that each candidate sees.

    Args:
        queries: (..., Q, 4, 4) camera-to-world.
        candidates: (..., N, 4, 4) camera-to-world.

    Returns:
        (..., Q, N) in [0, 1].
    """
    queries, candidates = queries.float(), candidates.float()
    number = candidates.shape[-3]
    world = queries[..., :3, :3] @ view_points(queries.device) + queries[..., :3, 3:]  # (Q, 3, P)
    world = world.movedim(-3, -2).flatten(-2)  # (..., 3, Q·P)
    inverse = candidates[..., :3, :3].mT  # (..., N, 3, 3)
    place = -(inverse @ candidates[..., :3, 3:])  # (..., N, 3, 1)
    turned = inverse.flatten(-3, -2) @ world  # (..., N·3, Q·P)
    points = turned.unflatten(-2, (number, 3)) + place  # (..., N, 3, Q·P)
    seen = _seen(points).unflatten(-1, (queries.shape[-3], -1))  # (..., N, Q, P)
    return seen.float().mean(-1).mT  # (..., Q, N)


def bounded(candidates: Tensor, limit: int | None) -> Tensor:
    """At most ``limit`` of the candidates (N,), evenly spread, the first and last among them."""
    if limit is None or len(candidates) <= limit:
        return candidates
    if limit < 2:
        raise InvalidOptionError(f"Expected a bound of at least 2 candidates; got {limit}.")
    chosen = torch.linspace(0, len(candidates) - 1, limit, dtype=torch.float64).round().long()
    return candidates[chosen.to(candidates.device)]


def retrieve(
    c2w: Tensor, queries: Tensor, candidates: Tensor, limit: int | None = None
) -> tuple[Tensor, Tensor]:
    """The candidate that sees most of each query's view, the earliest among equals.

    Args:
        c2w: (..., F, 4, 4) camera-to-world of all frames.
        queries: (Q,) query frames.
        candidates: (N,) frames to choose from.
        limit: most candidates that are scored; all by default.

    Returns:
        Frames (..., Q) int64 and their scores (..., Q).

    Raises:
        InvalidOptionError: no candidates, or a limit below 2.
    """
    candidates = bounded(torch.as_tensor(candidates, device=c2w.device), limit)
    if len(candidates) == 0:
        raise InvalidOptionError("Expected at least one candidate frame to remember; got none.")
    asking = c2w[..., torch.as_tensor(queries, device=c2w.device), :, :]  # (..., Q, 4, 4)
    scores = overlaps(asking, c2w[..., candidates, :, :])  # (..., Q, N)
    best, index = scores.max(-1)  # (..., Q), the first of equals
    return candidates[index], best
