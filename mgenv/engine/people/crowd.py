"""Characters that walk about a world while it is recorded: where they go and their parts.

The camera's walk is known before theirs; people make way for the robot, never the other way round.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mgenv.engine.estates.terrain import height_at
from mgenv.engine.people import characters
from mgenv.engine.people.characters import fill_bounding_sphere, gaits_of
from mgenv.engine.people.figures import build
from mgenv.engine.people.local_avoidance import walk_about
from mgenv.engine.scene.shapes import MAX_PARTS, OBJECT_SIZE
from mgenv.jit import compiled


class Crowd(NamedTuple):
    """Characters in F frames, at most K in each.

    Attributes:
        parts: float32 (F, K, 24, 16), rows of the object table, in the world.
        counts: int64 (F, K), parts of each; 0 where there is nobody.
        spheres: float32 (F, K, 4), a sphere around all parts: centre and radius [m].
        kinds: uint8 (F, K), body plan: person, robot, dog or bird.
    """

    parts: NDArray[np.float32]
    counts: NDArray[np.int64]
    spheres: NDArray[np.float32]
    kinds: NDArray[np.uint8]


def empty(frames: int, most: int = 0) -> Crowd:
    """Nobody in ``frames`` frames, with room for ``most`` in each."""
    shape = (frames, most)
    return Crowd(
        np.zeros((*shape, MAX_PARTS, OBJECT_SIZE), np.float32), np.zeros(shape, np.int64),
        np.zeros((*shape, 4), np.float32), np.zeros(shape, np.uint8),
    )  # fmt: skip


def _checked(seeds: Sequence[int] | NDArray) -> NDArray[np.uint64]:
    return np.array([int(seed) % 2**64 for seed in seeds], np.uint64)


def stroll(
    free: NDArray[np.uint8],
    ground: NDArray[np.float32],
    camera: NDArray[np.floating],
    seeds: Sequence[int] | NDArray,
    fps: float = 10.0,
) -> NDArray[np.float32]:
    """Let K characters walk about for T ticks.

    Args:
        free: uint8 (64, 64), [y, x], where a body fits.
        ground: float32 (64, 64), floor heights [m]; ledges higher than a body climbs are kept off.
        camera: (T, 3), where the camera is at each tick [m].
        seeds: K seeds of 64 bits that choose looks, pace and goals.
        fps: ticks a second.

    Returns:
        float32 (T, K, 4): x, y [m], heading [rad], phase of the stride [turns].
    """
    assert free.any(), "no cell is free"
    numbers = _checked(seeds)
    paths = np.zeros((len(camera), len(numbers), 4), np.float32)
    if paths.size:
        paces, strides = gaits_of(characters.draw_choices(numbers))
        walk_about(
            np.ascontiguousarray(free), np.ascontiguousarray(ground, np.float32),
            np.ascontiguousarray(camera, np.float64), numbers, paces, strides, float(fps), paths,
        )  # fmt: skip
    return paths


@compiled
def _put(rows, count, x, y, z, heading):
    """Turn the parts and move them to where the character stands."""
    cos, sin = math.cos(heading), math.sin(heading)
    for n in range(count):
        along, left = rows[n, 1], rows[n, 2]
        rows[n, 1], rows[n, 2] = x + along * cos - left * sin, y + along * sin + left * cos
        rows[n, 3] += z


@compiled
def place_all(paths, choices, ground, heights, gaits, tops, bottoms, parts, counts, spheres, kinds):
    """Fill a crowd's arrays (F, K, …), all zero before; ``choices`` int64 (K, choices)."""
    for f in range(len(paths)):
        for k in range(len(choices)):
            x, y = float(paths[f, k, 0]), float(paths[f, k, 1])
            heading, phase = float(paths[f, k, 2]), float(paths[f, k, 3])
            rows = parts[f, k]
            count = build(choices[k], heights, gaits, tops, bottoms, phase, rows)
            _put(rows, count, x, y, height_at(ground, x, y), heading)
            fill_bounding_sphere(rows, count, spheres[f, k])
            counts[f, k], kinds[f, k] = count, choices[k, 0]


def place(
    paths: NDArray[np.float32], seeds: Sequence[int] | NDArray, ground: NDArray[np.float32]
) -> Crowd:
    """Put characters together at every tick of their ways.

    Args:
        paths: float32 (T, K, 4), see :func:`stroll`.
        seeds: K seeds of 64 bits.
        ground: float32 (64, 64), floor heights [m].

    Returns:
        A crowd of T frames, feet on the floor.
    """
    crowd = empty(*paths.shape[:2])
    if len(seeds):
        choices = characters.draw_choices(_checked(seeds))  # (K, choices)
        ground = np.ascontiguousarray(ground, np.float32)
        place_all(np.ascontiguousarray(paths), choices, ground, *characters.TABLES, *crowd)
    return crowd


def part_of(crowd: Crowd | None, frames: slice) -> Crowd | None:
    """Some frames of a crowd."""
    if crowd is None:
        return None
    parts, counts, spheres, kinds = crowd
    return Crowd(parts[frames], counts[frames], spheres[frames], kinds[frames])


def join(crowds: Sequence[Crowd]) -> Crowd:
    """The frames of several crowds, one crowd after another."""
    shapes = [crowd.counts.shape for crowd in crowds]
    whole = empty(sum(frames for frames, _ in shapes), max(most for _, most in shapes))
    first = 0
    for crowd, (frames, most) in zip(crowds, shapes, strict=True):
        for all_of_them, some in zip(whole, crowd, strict=True):
            all_of_them[first : first + frames, :most] = some
        first += frames
    return whole
