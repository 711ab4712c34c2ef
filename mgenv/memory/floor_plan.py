"""Floor plan of a remembered place: free cells and geodesic distances.

Made from remembered frames alone, so that it is the same in every world that remembers them.
Worlds of several floor heights have the plan of the largest one.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mgenv.camera import DEFAULT_INTRINSICS, Intrinsics
from mgenv.engine.scene.baking import BODY_ABOVE, BODY_BELOW, ROBOT_RADIUS
from mgenv.errors import NoFloorError
from mgenv.jit import compiled
from mgenv.memory.obstacle_votes import (
    FLOOR_BINS,
    LAYER,
    floor_below,
    floor_bin,
    surface_at,
    vote,
)

PLAN_CELL = 0.1
"""Side of a cell of the plan [m]."""

FINE = 2
"""Obstacles are looked for in squares, this many along the side of a cell: 5 cm each."""

CLEARANCE = ROBOT_RADIUS + 0.03
"""Nothing stands this near to the middle of a free cell [m]."""

WALKED = 0.15
"""The floor is known this near to where a camera was [m]."""

SNAP = 0.3
"""A point this near to a free cell is looked up there [m]."""

CAMERA_ABOVE = BODY_BELOW + 0.1
"""Height of a robot's camera above the floor [m]: its body ends 0.1 m above the floor."""

LEAST_VOTE = -0.6
"""Frames show a surface in a cell if their mean vote on its middle, of -1 to 1, is above this."""

f32 = np.float32


@dataclass(frozen=True)
class FloorPlan:
    """Free cells of a place's floor.

    Attributes:
        origin: float64 (2,), world x, y [m] of the corner of cell [0, 0].
        free: bool (Y, X), where a robot's middle can be.
        height: of the floor [m].
        cell: side of a cell [m].
    """

    origin: NDArray[np.float64]
    free: NDArray[np.bool_]
    height: float
    cell: float = PLAN_CELL

    @classmethod
    def from_frames(
        cls, depth: ArrayLike, pose: ArrayLike, intrinsics: Intrinsics = DEFAULT_INTRINSICS
    ) -> FloorPlan:
        """The plan of a place, from its frames.

        A cell is free where frames show the floor (or a camera was), and nothing at a robot's
        heights within its radius. Surfaces that other frames see through do not count.

        Args:
            depth: (M, H, W) [m].
            pose: (M, 4, 4).

        Raises:
            NoFloorError: no cell is free.
        """
        depths = np.ascontiguousarray(depth, np.float32)
        poses = np.ascontiguousarray(pose, np.float32)
        lens = np.array([intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy], np.float32)
        low, high, floor = _extent(depths, poses, lens)
        if floor <= -1e3:
            raise NoFloorError("Expected frames with depth that show a floor; got none.")
        origin = np.floor(np.array(low, np.float64) / PLAN_CELL) * PLAN_CELL
        shape = np.ceil((np.array(high) - origin) / PLAN_CELL).astype(int) + 1
        free = np.zeros((shape[1], shape[0]), np.bool_)
        _find_free(depths, poses, lens, origin, floor, CLEARANCE, free)
        if not free.any():
            raise NoFloorError("Expected room for a robot on the floor; got none in any frame.")
        return cls(origin, free, float(floor))

    def cells(self) -> NDArray[np.float64]:
        """Centres of the free cells [m]: (F, 2)."""
        rows, columns = np.nonzero(self.free)
        return self.origin + (np.stack([columns, rows], -1) + 0.5) * self.cell

    def is_free(self, points: ArrayLike) -> NDArray[np.bool_]:
        """Whether points (..., 2) [m] lie in free cells."""
        index = self._index(points)
        inside = np.asarray(((index >= 0) & (index < self.free.shape[::-1])).all(-1))
        column, row = np.moveaxis(np.where(inside[..., None], index, 0), -1, 0)
        return np.logical_and(inside, self.free[row, column])

    def distances(self, goal: ArrayLike) -> NDArray[np.float32]:
        """Length [m] of the shortest way along the floor from each cell to ``goal`` (2,).

        Ways to a goal in no free cell lead on from the middle of the nearest one.

        Returns:
            float32 (Y, X); inf where there is none.
        """
        field = np.full(self.free.shape, np.inf, np.float32)
        spot = np.asarray(goal, np.float64)
        start = self._nearest(spot, self.free)
        if start is not None:
            middle = self.origin + (np.array(start[::-1]) + 0.5) * self.cell
            field[start] = 0.0 if self.is_free(spot) else np.hypot(*(middle - spot))
            _spread(self.free, start[0], start[1], self.cell, field)
        return field

    def lookup(self, field: NDArray[np.float32], points: ArrayLike) -> NDArray[np.float64]:
        """A field of :meth:`distances` at points (..., 2) [m]; inf off the floor.

        A point's value is that of the nearest free cell around, and the way there.
        """
        spots = np.asarray(points, np.float64)
        out = np.empty(spots.shape[:-1])
        _look_up(field, (spots - self.origin).reshape(-1, 2), self.cell, SNAP, out.reshape(-1))
        return out

    def leads(self, goal: ArrayLike, point: ArrayLike) -> bool:
        """Whether a path leads from a point (2,) to ``goal`` (2,)."""
        return bool(np.isfinite(self.lookup(self.distances(goal), point)))

    def waypoint(
        self, field: NDArray[np.float32], point: ArrayLike, ahead: float = 0.75
    ) -> NDArray[np.float64]:
        """Waypoint from ``point`` (2,): the farthest down the field on a straight free line.

        Args:
            ahead: at most this far along the way [m].

        Returns:
            (2,) [m]; the point itself where there is no way.
        """
        here = np.asarray(point, np.float64)
        start = self._nearest(here, np.isfinite(field))
        if start is None:
            return here.copy()
        steps = int(ahead / self.cell) + 1
        local = _descend(self.free, field, start[0], start[1], here - self.origin, self.cell, steps)
        return self.origin + np.array(local)

    def _index(self, points: ArrayLike) -> NDArray[np.int64]:
        offset = (np.asarray(points, np.float64) - self.origin) / self.cell
        return np.floor(offset).astype(np.int64)  # (..., 2) column, row

    def _nearest(
        self, point: NDArray[np.float64], cells: NDArray[np.bool_]
    ) -> tuple[int, int] | None:
        """Row and column of that of ``cells`` (Y, X) nearest to a point, None beyond SNAP."""
        local = point - self.origin
        row, column = _nearest_cell(cells, local[0], local[1], self.cell, SNAP)
        return (row, column) if row >= 0 else None


@compiled
def _extent(depth, pose, lens):
    """Corners (2,) each of what frames show within reach, and the height of the floor."""
    low, high = np.full(2, 1e9), np.full(2, -1e9)
    reference = f32(-1e4)
    for m in range(len(pose)):
        reference = max(reference, pose[m, 2, 3])
        for n in range(2):
            low[n], high[n] = min(low[n], pose[m, n, 3]), max(high[n], pose[m, n, 3])
    heights = np.zeros(FLOOR_BINS, np.int64)
    rows, columns = max(depth.shape[1] // 16, 1), max(depth.shape[2] // 16, 1)
    for m in range(len(pose)):
        for i in range(rows // 2, depth.shape[1], rows):
            for j in range(columns // 2, depth.shape[2], columns):
                x, y, z, known = surface_at(depth[m], pose[m], lens, i, j)
                if known:
                    low[0], low[1] = min(low[0], x), min(low[1], y)
                    high[0], high[1] = max(high[0], x), max(high[1], y)
                    n = floor_bin(z, reference)
                    if n >= 0:
                        heights[n] += 1
    return low, high, floor_below(heights, reference)


@compiled
def _seen(depth, pose, lens, x, y, z):
    """Whether frames show a surface near a point, instead of free space."""
    total, weight = f32(0.0), f32(0.0)
    for m in range(len(pose)):
        value, own = vote(depth[m], pose[m], lens, f32(x), f32(y), f32(z))
        total, weight = total + value, weight + own
    return weight > f32(0.0) and total > LEAST_VOTE * weight


@compiled
def _find_free(depth, pose, lens, origin, floor, clearance, free):
    """Fill ``free`` (Y, X): floor that is seen, and nothing at a robot's heights near it."""
    rows, columns = free.shape
    fine, side = FINE, PLAN_CELL / FINE
    layers = int(round((BODY_BELOW + BODY_ABOVE) / LAYER))
    bottom = floor + f32(CAMERA_ABOVE - BODY_BELOW)
    shown = np.zeros((rows * fine, columns * fine, layers), np.bool_)
    for m in range(len(pose)):
        for i in range(depth.shape[1]):
            for j in range(depth.shape[2]):
                x, y, z, known = surface_at(depth[m], pose[m], lens, i, j)
                n = int(math.floor((z - bottom) / LAYER))
                if known and 0 <= n < layers:
                    a, b = int((x - origin[0]) / side), int((y - origin[1]) / side)
                    if 0 <= a < columns * fine and 0 <= b < rows * fine:
                        shown[b, a, n] = True
    for row in range(rows):
        for column in range(columns):
            x = origin[0] + (column + 0.5) * PLAN_CELL
            y = origin[1] + (row + 0.5) * PLAN_CELL
            free[row, column] = _seen(depth, pose, lens, x, y, floor)
    for m in range(len(pose)):  # the floor is known where cameras were
        _set_around(free, pose[m, 0, 3] - origin[0], pose[m, 1, 3] - origin[1], WALKED, True)
    for b in range(rows * fine):
        for a in range(columns * fine):
            x, y = origin[0] + (a + 0.5) * side, origin[1] + (b + 0.5) * side
            for n in range(layers):
                if shown[b, a, n] and _seen(depth, pose, lens, x, y, bottom + (n + 0.5) * LAYER):
                    _set_around(free, x - origin[0], y - origin[1], clearance, False)
                    break


@compiled
def _set_around(free, x, y, reach, value):
    """Give cells a value whose middles are nearer than ``reach`` to a local point [m]."""
    rows, columns = free.shape
    span = int(reach / PLAN_CELL) + 1
    for row in range(int(y / PLAN_CELL) - span, int(y / PLAN_CELL) + span + 1):
        for column in range(int(x / PLAN_CELL) - span, int(x / PLAN_CELL) + span + 1):
            dx, dy = (column + 0.5) * PLAN_CELL - x, (row + 0.5) * PLAN_CELL - y
            if 0 <= row < rows and 0 <= column < columns and dx * dx + dy * dy < reach * reach:
                free[row, column] = value


@compiled
def _spread(free, row, column, cell, field):
    """Dijkstra's algorithm over 16 neighbours; paths are at most 2.7 % too long.

    It starts from the value which ``field`` has at the cell.
    """
    rows, columns = free.shape
    queue = [(np.float64(field[row, column]), row, column)]
    while queue:
        far, j, i = heapq.heappop(queue)
        if far > field[j, i]:
            continue
        for b in range(-2, 3):
            for a in range(-2, 3):
                knight = abs(a) + abs(b) == 3
                if not (knight or (max(abs(a), abs(b)) == 1)):
                    continue
                y, x = j + b, i + a
                if not (0 <= y < rows and 0 <= x < columns) or not free[y, x]:
                    continue
                if not _between_free(free, j, i, b, a):
                    continue
                length = np.float32(far + cell * math.sqrt(a * a + b * b))
                if length < field[y, x]:
                    field[y, x] = length
                    heapq.heappush(queue, (np.float64(length), y, x))


@compiled
def _between_free(free, j, i, b, a):
    """Whether a move by (b, a) cuts no corner."""
    if abs(a) == 1 and abs(b) == 1:
        return free[j + b, i] and free[j, i + a]
    if abs(a) == 2:
        return free[j, i + a // 2] and free[j + b, i + a // 2]
    if abs(b) == 2:
        return free[j + b // 2, i] and free[j + b // 2, i + a]
    return True


@compiled
def _nearest_cell(cells, x, y, cell, snap):
    """Row and column of that of ``cells`` nearest to a local point; -1, -1 where none is near."""
    rows, columns = cells.shape
    reach = int(snap / cell) + 1
    best_row, best_column, best = -1, -1, snap * snap
    for row in range(int(y / cell) - reach, int(y / cell) + reach + 1):
        for column in range(int(x / cell) - reach, int(x / cell) + reach + 1):
            if 0 <= row < rows and 0 <= column < columns and cells[row, column]:
                dx, dy = (column + 0.5) * cell - x, (row + 0.5) * cell - y
                if dx * dx + dy * dy < best:
                    best_row, best_column, best = row, column, dx * dx + dy * dy
    return best_row, best_column


@compiled
def _look_up(field, points, cell, snap, out):
    rows, columns = field.shape
    reach = int(snap / cell) + 1
    for n in range(len(points)):
        x, y, nearest = points[n, 0], points[n, 1], snap
        out[n] = np.inf
        for row in range(int(y / cell) - reach, int(y / cell) + reach + 1):
            for column in range(int(x / cell) - reach, int(x / cell) + reach + 1):
                if 0 <= row < rows and 0 <= column < columns and np.isfinite(field[row, column]):
                    dx, dy = (column + 0.5) * cell - x, (row + 0.5) * cell - y
                    off = math.sqrt(dx * dx + dy * dy)
                    if off < nearest:
                        nearest, out[n] = off, field[row, column] + off


@compiled
def _descend(free, field, row, column, start, cell, steps):
    """Walk down the field; the last cell that a straight free line from ``start`` reaches."""
    x, y = (column + 0.5) * cell, (row + 0.5) * cell
    for _ in range(steps):
        best_row, best_column, lowest = row, column, field[row, column]
        for b in range(-1, 2):
            for a in range(-1, 2):
                j, i = row + b, column + a
                if 0 <= j < free.shape[0] and 0 <= i < free.shape[1] and field[j, i] < lowest:
                    if abs(a) + abs(b) < 2 or _between_free(free, row, column, b, a):
                        best_row, best_column, lowest = j, i, field[j, i]
        if best_row == row and best_column == column:
            break
        row, column = best_row, best_column
        to_x, to_y = (column + 0.5) * cell, (row + 0.5) * cell
        if not _line_free(free, start[0], start[1], to_x, to_y, cell):
            break
        x, y = to_x, to_y
    return x, y


@compiled
def _line_free(free, x, y, to_x, to_y, cell):
    """Whether a line crosses free cells only, from the first free one on."""
    count = int(math.sqrt((to_x - x) ** 2 + (to_y - y) ** 2) / (0.5 * cell)) + 1
    entered = False
    for n in range(count + 1):
        a, b = x + (to_x - x) * n / count, y + (to_y - y) * n / count
        column, row = int(a / cell), int(b / cell)
        inside = 0 <= row < free.shape[0] and 0 <= column < free.shape[1]
        here = inside and free[row, column]
        entered = entered or here
        if entered and not here:
            return False
    return True
