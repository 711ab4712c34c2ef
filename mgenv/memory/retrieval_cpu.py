"""Retrieval on CPUs: what :mod:`mgenv.memory.retrieval` computes, as loops, compiled once.

Points are read where the pool keeps them, and only those that a view contains are kept for the
second look. Each view is served alone, start to end, so its picks do not depend on the others.

The plain twin's named constants come in as arguments.

Shapes: B views, C frames of a place, R rows of the pool, P surface points of a frame, S of them in
the cheap test, k picks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mgenv.camera import Intrinsics
from mgenv.jit import compiled
from mgenv.memory.obstacle_votes import into_frame
from mgenv.memory.threads import in_parts

f32 = np.float32
_ZERO, _ONE, _NEAREST = f32(0.0), f32(1.0), f32(0.05)
_FAR, _INFINITE = f32(1e4), f32(np.inf)


@compiled
def _worth(point, view, depth):
    """What a surface point of an observed frame is worth at its depth in a view."""
    towards = _ZERO
    for n in range(3):
        towards += point[4 + n] * (view[n, 3] - point[n])
    if not towards > _ZERO:
        return _ZERO
    return min(max(depth / max(point[3], _NEAREST), _NEAREST), _ONE)


@compiled
def _contained(points, rows, view, lens, grid, frames, cells, depths, values):
    """Find the surface points inside a view; returns how many.

    Args:
        frames, cells, depths, values: (C·P,) of each, its frame and cell, how deep it lies, and
            what it is worth if nothing stands before it.
    """
    last, count = f32(0.999), 0
    for c in range(len(rows)):
        for p in range(points.shape[1]):
            point = points[rows[c], p]
            u, v, depth = into_frame(view, lens, point[0], point[1], point[2])
            if u >= _ZERO and u < _ONE and v >= _ZERO and v < _ONE:
                row, column = int(min(v, last) * f32(grid)), int(min(u, last) * f32(grid))
                frames[count], cells[count] = c, row * grid + column
                depths[count], values[count] = depth, _worth(point, view, depth)
                count += 1
    return count


@compiled
def _cell_quality(points, observed, rows, view, lens, grid, generated):
    """How well frames show the visible cells of a view: (C, grid²); a z-buffer a kind of frame."""
    most, quality = len(rows) * points.shape[1], np.zeros((len(rows), grid * grid), f32)
    frames, cells = np.empty(most, np.int32), np.empty(most, np.int32)
    depths, values = np.empty(most, f32), np.empty(most, f32)
    count = _contained(points, rows, view, lens, grid, frames, cells, depths, values)
    front = np.full((2, grid * grid), _FAR)
    for n in range(count):
        kind, cell = int(observed[rows[frames[n]]]), cells[n]
        front[kind, cell] = min(front[kind, cell], depths[n])
    for n in range(count):
        c, cell = frames[n], cells[n]
        kind = int(observed[rows[c]])
        if depths[n] < f32(1.15) * front[kind, cell] + f32(0.15):
            value = values[n] if kind else values[n] * generated
            quality[c, cell] = max(quality[c, cell], value)
    return quality


@compiled
def _gain(quality, best):
    """What a frame adds to the best quality of each cell."""
    total = _ZERO
    for cell in range(len(best)):
        total += max(quality[cell] - best[cell], _ZERO)
    return total


@compiled
def _gains(quality):
    """What each frame shows alone, (C,)."""
    none, gains = np.zeros(quality.shape[1], f32), np.empty(len(quality), f32)
    for c in range(len(quality)):
        gains[c] = _gain(quality[c], none)
    return gains


@compiled
def _greedy(quality, gain, k):
    """Pick what adds most, best first: (k,), -1 where nothing more helps.

    Args:
        gain: (C,) of each frame alone; used up. Gains only fall as frames are picked, so the last
            one known is a bound, and few must be known anew.
    """
    picks, best = np.full(k, -1), np.zeros(quality.shape[1], f32)
    for n in range(k):
        most = f32(1e-3)
        for c in range(len(gain)):
            if gain[c] > most:
                gain[c] = _gain(quality[c], best)
                if gain[c] > most:
                    most, picks[n] = gain[c], c
        if picks[n] < 0:
            break
        for cell in range(len(best)):
            best[cell] = max(best[cell], quality[picks[n], cell])
    return picks


@compiled
def _highest(score, count):
    """Where the ``count`` highest of ``score`` (C,), which is used up, are; first among equals."""
    picks = np.empty(count, np.int64)
    for n in range(count):
        picks[n] = np.argmax(score)
        score[picks[n]] = -_INFINITE
    return picks


@compiled
def _preselect(sparse, observed, rows, view, lens, grid, generated, greedy, limit):
    """The ``limit`` rows most likely to matter, in order of storing."""
    quality = _cell_quality(sparse, observed, rows, view, lens, grid, generated)
    score = _gains(quality)
    for c in _greedy(quality, score.copy(), greedy):
        if c >= 0:
            score[c] += f32(1e3)
    return rows[np.sort(_highest(score, limit))]


@compiled
def _visible(points, observed, rows, view, lens, grid, generated, picks):
    """Fill ``picks`` (k,) with the rows that explain most of a view; returns how many cells."""
    quality = _cell_quality(points, observed, rows, view, lens, grid, generated)
    chosen = _greedy(quality, _gains(quality), len(picks))
    for n in range(len(picks)):
        picks[n] = rows[chosen[n]] if chosen[n] >= 0 else -1
    covered = 0
    for cell in range(grid * grid):
        for c in range(len(rows)):
            if quality[c, cell] > _ZERO:
                covered += 1
                break
    return covered


@compiled
def retrieve_views(
    points, sparse, observed, table, view, lens, cheap_lens, sizes, generated, picks, coverage,
    first, last,
):  # fmt: skip
    """Views ``first`` to ``last``: picks (B, k) and coverage (B,)."""
    limit, grid, sparse_grid, greedy = sizes
    for b in range(first, last):
        rows = table[b][table[b] >= 0]
        if len(rows) > limit:
            rows = _preselect(
                sparse, observed, rows, view[b], cheap_lens, sparse_grid, generated, greedy, limit
            )  # fmt: skip
        covered = _visible(points, observed, rows, view[b], lens, grid, generated, picks[b])
        coverage[b] = f32(covered) / f32(grid * grid)


def retrieve_visible(
    geometry: Sequence[Tensor], table: Tensor, view: Tensor, k: int,
    lenses: tuple[Intrinsics, Intrinsics], sizes: tuple[int, int, int, int], generated: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Pool rows (B, k) and coverage (B,), by as many threads as torch has.

    Args:
        geometry: the pool's points (R, P, 7) and sparse ones (R, S, 7), and whether frames were
            observed (R,); float32 on the CPU.
        table: int64 (B, C) rows to choose from, -1 for none.
        view: (B, 4, 4).
        lenses: of the full test and of the cheap one.
        sizes: CANDIDATES, GRID, SPARSE_GRID, and how many the cheap test picks greedily.
        generated: GENERATED_QUALITY.
    """
    picks, coverage = torch.empty(len(table), k, dtype=torch.int64), torch.empty(len(table))
    inputs = [tensor.detach().contiguous().numpy() for tensor in (*geometry, table, view)]
    inputs += [np.array([lens.fx, lens.fy, lens.cx, lens.cy], f32) for lens in lenses]
    outputs = picks.numpy(), coverage.numpy()
    in_parts(
        lambda *part: retrieve_views(*inputs, sizes, f32(generated), *outputs, *part), len(table)
    )
    return picks, coverage
