"""One character by itself, placed by the crowd's own code."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mgenv.engine.homes.layout import GRID
from mgenv.engine.people.characters import TABLES, draw_choices, fill_bounding_sphere
from mgenv.engine.people.crowd import place
from mgenv.engine.people.figures import CHOICES, build
from mgenv.engine.scene.shapes import MAX_PARTS, OBJECT_SIZE

FLAT = np.zeros((GRID, GRID), np.float32)


def choices_of(seed: int) -> dict[str, int]:
    """The choices of a 64-bit seed."""
    drawn = draw_choices(np.array([seed], np.uint64))[0]
    return dict(zip(CHOICES, drawn.tolist(), strict=True))


def body(choices: Mapping[str, int], phase: float) -> NDArray[np.float32]:
    """The parts (P, 16) of a character with these choices, about the origin."""
    rows = np.zeros((MAX_PARTS, OBJECT_SIZE), np.float32)
    numbers = np.array([choices[name] for name in CHOICES], np.int64)
    return rows[: build(numbers, *TABLES, phase, rows)]


def character(
    seed: int, phase: float, x: float = 0.0, y: float = 0.0, heading: float = 0.0
) -> NDArray[np.float32]:
    """The parts (P, 16) of a seed's character where it stands [m, rad]; ``phase`` in turns."""
    crowd = place(np.array([[[x, y, heading, phase]]], np.float32), [seed], FLAT)
    return crowd.parts[0, 0, : crowd.counts[0, 0]]


def bounding_sphere(rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """A sphere around all parts: its centre (3,) and its radius [m]."""
    sphere = np.zeros(4, np.float32)
    fill_bounding_sphere(rows, len(rows), sphere)
    return sphere[:3], float(sphere[3])
