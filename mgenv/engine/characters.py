"""Who walks about: people, robots, dogs and birds, put together from a seed.

A character is a few round primitives in the columns of the object table, so that it can face any
way. Everything about it is one of a few discrete choices; ``NUM_CHARACTERS`` is their product.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mgenv.engine.compiling import compiled
from mgenv.engine.palette import set_colour
from mgenv.engine.raytrace import CYLINDER, ELLIPSOID, OBJECT_SIZE
from mgenv.engine.stream import below, new_stream
from mgenv.engine.textures import CHECKER, FABRIC, LEAVES, PLAIN, STRIPES

CHOICES = {
    "plan": 4, "height": 8, "build": 6, "head": 4, "legs": 4, "skin": 12, "top": 48,
    "top_pattern": 5, "bottom": 48, "bottom_pattern": 3, "hat": 6, "held": 5, "back": 3, "gait": 6,
}  # fmt: skip
"""What is chosen, and from how many."""
NUM_CHARACTERS = math.prod(CHOICES.values())
PERSON, ROBOT, DOG, BIRD = range(4)
MAX_PARTS = 24

_CHARACTER = 51
_SIZES = np.array(list(CHOICES.values()), np.int64)
(_PLAN, _HEIGHT, _BUILD, _HEAD, _LEGS, _SKIN, _TOP, _TOP_PATTERN, _BOTTOM, _BOTTOM_PATTERN, _HAT,
 _HELD, _BACK, _GAIT) = range(len(CHOICES))  # fmt: skip
_HEIGHTS = np.array([1.65, 1.3, 0.7, 0.6])
"""Of a person, a robot, a dog and a bird of middling size [m]."""
_SWING, _LIFT, _BOUNCE, _ARMS = range(4)
_GAITS = np.array(
    [
        [0.13, 0.06, 0.02, 0.10],  # walks
        [0.11, 0.14, 0.03, 0.13],  # marches
        [0.07, 0.02, 0.01, 0.03],  # shuffles
        [0.06, 0.05, 0.12, 0.06],  # hops
        [0.17, 0.08, 0.05, 0.08],  # strides
        [0.09, 0.04, 0.06, 0.12],  # sways
    ]
)
"""How far feet swing, feet lift, the body bounces and hands swing, in shares of the height."""
_TOP_PATTERNS = np.array([PLAIN, STRIPES, CHECKER, FABRIC, LEAVES])
_BOTTOM_PATTERNS = np.array([PLAIN, STRIPES, FABRIC])


@compiled
def _draw(seed, sizes, choices):
    state = new_stream(seed, _CHARACTER)
    for n in range(len(sizes)):
        choices[n] = below(state, float(sizes[n]))


@compiled
def _part(rows, n, shape, along, left, up, radius, half, material):
    """Part ``n``: its centre ahead, left and up [m], round, ``half`` its half height."""
    row = rows[n]
    row[0], row[1], row[2], row[3] = shape, along, left, up
    row[4], row[5], row[6] = radius, radius, half
    row[8:16] = material
    return n + 1


@compiled
def _dye(material, pattern, number, scale):
    """Colour ``number`` of 48: sixteen hues in three tones."""
    hue, tone = (number % 16) / 16.0, number // 16
    material[0], material[7] = pattern, scale
    set_colour(material[1:4], hue, 0.35 + 0.2 * tone, 0.85 - 0.22 * tone)
    set_colour(material[4:7], hue + 0.08, 0.25, 0.9 - 0.1 * tone)


@compiled
def _leg(rows, n, along, left, hip, radius, angle, gait, height, material):
    """Thigh, shin and foot of a leg at ``angle`` of its stride: the new part count."""
    foot = gait[_SWING] * height * math.sin(angle) * min(1.0, hip / (0.45 * height))
    lift = gait[_LIFT] * height * max(math.cos(angle), 0.0)
    knee = 0.5 * (hip + lift)
    n = _part(rows, n, ELLIPSOID, along + 0.3 * foot, left, 0.5 * (hip + knee), radius,
              0.62 * (hip - knee), material)  # fmt: skip
    shin = 0.5 * (knee - lift)
    n = _part(rows, n, CYLINDER, along + 0.7 * foot, left, lift + shin, 0.8 * radius, shin,
              material)  # fmt: skip
    return _part(rows, n, ELLIPSOID, along + foot + 0.5 * radius, left, lift + 0.5 * radius,
                 1.3 * radius, 0.5 * radius, material)  # fmt: skip


@compiled
def _arm(rows, n, left, shoulder, length, radius, swing, sleeve, skin):
    """Upper arm, forearm and hand: the new part count."""
    n = _part(rows, n, ELLIPSOID, 0.2 * swing, left, shoulder - 0.25 * length, radius,
              0.3 * length, sleeve)  # fmt: skip
    n = _part(rows, n, ELLIPSOID, 0.55 * swing, left, shoulder - 0.6 * length, 0.9 * radius,
              0.22 * length, sleeve)  # fmt: skip
    return _part(rows, n, ELLIPSOID, 0.9 * swing, left, shoulder - 0.86 * length, 0.8 * radius,
                 0.14 * length, skin)  # fmt: skip


@compiled
def _hat(rows, n, kind, along, top, head, material):
    """One of six: none, cap, top hat, broad hat, bobble, crown: the new part count."""
    if kind == 0:
        return n
    if kind == 4:
        return _part(rows, n, ELLIPSOID, along, 0.0, top + 0.3 * head, 0.4 * head, 0.4 * head,
                     material)  # fmt: skip
    tall = 0.5 * head if kind == 2 else 0.22 * head
    n = _part(rows, n, CYLINDER, along, 0.0, top - 0.1 * head + tall, 0.75 * head, tall, material)
    if kind == 5:
        return n
    brim, ahead = (1.7, 0.0) if kind == 3 else (1.15, 0.0 if kind == 2 else 0.4 * head)
    return _part(rows, n, CYLINDER, along + ahead, 0.0, top - 0.1 * head, brim * head, 0.1 * head,
                 material)  # fmt: skip


@compiled
def _extras(rows, n, choices, hand, back, head, body, top, bottom):
    """What is held at ``hand`` (3,) and carried at ``back`` (3,): the new part count."""
    held, kind = choices[_HELD], choices[_BACK]
    if held > 0:
        size = 0.4 * body * (0.7 + 0.3 * held)
        shape = ELLIPSOID if held % 2 == 1 else CYLINDER
        n = _part(rows, n, shape, hand[0], hand[1], hand[2] - size, size, size, bottom)
    if kind > 0:
        half = 0.9 * body if kind == 1 else 0.55 * head
        n = _part(rows, n, CYLINDER, back[0], back[1], back[2], 0.6 * body, half, top)
    return n


@compiled
def _upright(rows, choices, gait, phase, height, body, head, skin, top, bottom):
    """A person, or a robot on a wheeled foot: the part count."""
    angle = 2.0 * math.pi * phase
    bounce = gait[_BOUNCE] * height * abs(math.sin(angle))
    hip = height * (0.40 + 0.03 * choices[_LEGS])
    chest = height - 2.0 * head
    n = 0
    if choices[_PLAN] == PERSON:
        for side in range(2):
            left = (0.5 - side) * body
            n = _leg(rows, n, 0.0, left, hip + bounce, 0.38 * body, angle + math.pi * side, gait,
                     height, bottom)  # fmt: skip
    else:
        n = _part(rows, n, CYLINDER, 0.0, 0.0, 0.08 * height, 1.1 * body, 0.08 * height, bottom)
        n = _part(rows, n, CYLINDER, 0.0, 0.0, 0.5 * (hip + bounce), 0.3 * body,
                  0.5 * (hip + bounce), skin)  # fmt: skip
    middle, half = 0.5 * (hip + chest) + bounce, 0.5 * (chest - hip)
    n = _part(rows, n, CYLINDER, 0.0, 0.0, middle, 0.9 * body, half, top)
    n = _part(rows, n, ELLIPSOID, 0.0, 0.0, middle + 0.6 * half, 1.1 * body, 0.5 * half, top)
    swing = gait[_ARMS] * height
    for side in range(2):
        reach = swing * math.sin(angle + math.pi * (1 - side))
        n = _arm(rows, n, (1.0 - 2.0 * side) * 1.25 * body, chest + bounce, 0.42 * height,
                 0.3 * body, reach, top, skin)  # fmt: skip
    shape = ELLIPSOID if choices[_PLAN] == PERSON else CYLINDER
    n = _part(rows, n, shape, 0.0, 0.0, height - head + bounce, head, head, skin)
    n = _hat(rows, n, choices[_HAT], 0.0, height + bounce, head, bottom)
    hand, back = np.empty(3), np.empty(3)
    hand[0], hand[1] = 0.9 * swing * math.sin(angle), -1.25 * body
    hand[2] = chest + bounce - 0.42 * height
    back[0], back[1], back[2] = -1.2 * body, 0.0, middle + 0.2 * half
    return _extras(rows, n, choices, hand, back, head, body, top, bottom)


@compiled
def _low(rows, choices, gait, phase, height, body, head, skin, top, bottom):
    """A dog on four legs or a bird on two: the part count."""
    angle, four = 2.0 * math.pi * phase, choices[_PLAN] == DOG
    bounce = gait[_BOUNCE] * height * abs(math.sin(angle))
    hip = height * (0.34 + 0.05 * choices[_LEGS])
    long = height * (0.5 if four else 0.22)
    thin, n = (0.3 if four else 0.16) * body, 0
    for k in range(4 if four else 2):
        along = (0.7 * long if k < 2 else -0.7 * long) if four else 0.0
        beat = angle + math.pi * ((k + k // 2) % 2)
        n = _leg(rows, n, along, (0.5 - k % 2) * body, hip + bounce, thin, beat, gait, height,
                 bottom)  # fmt: skip
    middle = hip + 0.6 * body + bounce
    for k in range(-1, 2):
        n = _part(rows, n, ELLIPSOID, 0.55 * long * k, 0.0, middle, body * (1.0 - 0.1 * abs(k)),
                  0.85 * body, top)  # fmt: skip
    sway = gait[_ARMS] * body * math.sin(angle)
    n = _part(rows, n, ELLIPSOID, -0.55 * long - body, sway, middle + 0.4 * body, 0.35 * body,
              0.6 * body, top)  # fmt: skip
    front, crown = long + 0.4 * head, height + bounce
    n = _part(rows, n, CYLINDER, 0.85 * long, 0.0, 0.5 * (middle + crown), 0.45 * head,
              0.5 * max(crown - middle, head), top)  # fmt: skip
    n = _part(rows, n, ELLIPSOID, front, 0.0, crown - head, head, head, skin)
    nose = front + 1.1 * head
    n = _part(rows, n, ELLIPSOID, nose, 0.0, crown - 1.2 * head, 0.4 * head, 0.3 * head, bottom)
    n = _hat(rows, n, choices[_HAT], front, crown, head, bottom)
    hand, back = np.empty(3), np.empty(3)
    hand[0], hand[1], hand[2] = nose + 0.2 * head, 0.0, crown - 1.2 * head
    back[0], back[1], back[2] = -0.2 * long, 0.0, middle + body
    return _extras(rows, n, choices, hand, back, head, body, skin, bottom)


@compiled
def build(choices, heights, gaits, top_patterns, bottom_patterns, phase, rows):
    """Fill ``rows`` (MAX_PARTS, 16), zero before, for a character that faces along x at the origin.

    Returns:
        The part count.
    """
    plan = choices[_PLAN]
    height = heights[plan] * (0.82 + 0.05 * choices[_HEIGHT])
    skin, top, bottom = np.empty(8), np.empty(8), np.empty(8)
    skin[0], skin[7] = PLAIN, 1.0
    hue, value = 0.05 + 0.003 * choices[_SKIN], 0.92 - 0.05 * choices[_SKIN]
    set_colour(skin[1:4], hue, 0.45, value)
    set_colour(skin[4:7], hue, 0.45, value)
    _dye(top, top_patterns[choices[_TOP_PATTERN]], choices[_TOP], 0.12)
    _dye(bottom, bottom_patterns[choices[_BOTTOM_PATTERN]], choices[_BOTTOM], 0.08)
    low = plan == DOG or plan == BIRD
    body = height * ((0.17 if low else 0.085) + 0.012 * choices[_BUILD])
    head = height * ((0.13 if low else 0.062) + 0.009 * choices[_HEAD])
    if low:
        return _low(rows, choices, gaits[choices[_GAIT]], phase, height, body, head, skin, top,
                    bottom)  # fmt: skip
    return _upright(rows, choices, gaits[choices[_GAIT]], phase, height, body, head, skin, top,
                    bottom)  # fmt: skip


TABLES = (_SIZES, _HEIGHTS, _GAITS, _TOP_PATTERNS, _BOTTOM_PATTERNS)
"""What the compiled functions look up: pass them as they are."""
_PACES = np.array([[0.7, 1.25], [0.6, 1.1], [0.9, 1.5], [0.4, 0.7]])


@compiled
def stride_of(choices, heights, gaits):
    """How far a character gets in a turn of phase without sliding its feet [m]."""
    plan = choices[_PLAN]
    height = heights[plan] * (0.82 + 0.05 * choices[_HEIGHT])
    low = plan == DOG or plan == BIRD
    hip = 0.34 + 0.05 * choices[_LEGS] if low else 0.40 + 0.03 * choices[_LEGS]
    return 4.0 * gaits[choices[_GAIT], _SWING] * height * min(1.0, hip / 0.45)


@compiled
def fill_gaits(seeds, sizes, heights, gaits, top_patterns, bottom_patterns):
    """The paces [m/s] and strides [m] of characters: float64 (K,) each."""
    paces, strides = np.empty(len(seeds)), np.empty(len(seeds))
    choices = np.empty(len(sizes), np.int64)
    for k in range(len(seeds)):
        _draw(seeds[k], sizes, choices)
        low, high = _PACES[choices[_PLAN], 0], _PACES[choices[_PLAN], 1]
        strides[k] = stride_of(choices, heights, gaits)
        paces[k] = min(max(1.1 * strides[k], low), high)
    return paces, strides


@compiled
def _draw_many(seeds, sizes, choices):
    for k in range(len(seeds)):
        _draw(seeds[k], sizes, choices[k])


def draw_choices(seeds: NDArray[np.uint64]) -> NDArray[np.int64]:
    """What seeds (K,) choose, in the order of ``CHOICES``: int64 (K, choices)."""
    choices = np.empty((len(seeds), len(CHOICES)), np.int64)
    _draw_many(seeds, _SIZES, choices)
    return choices


def choices_of(seed: int) -> dict[str, int]:
    """What a 64-bit seed chooses.

    Example:
        >>> sorted(choices_of(1)) == sorted(CHOICES)
        True
    """
    drawn = np.empty(len(CHOICES), np.int64)
    _draw(np.uint64(seed), _SIZES, drawn)
    return dict(zip(CHOICES, drawn.tolist(), strict=True))


def body(choices: Mapping[str, int], phase: float) -> NDArray[np.float32]:
    """The parts of a character with these choices: float32 (parts, 16); see :func:`character`."""
    rows = np.zeros((MAX_PARTS, OBJECT_SIZE), np.float32)
    numbers = np.array([choices[name] for name in CHOICES], np.int64)
    count = build(numbers, _HEIGHTS, _GAITS, _TOP_PATTERNS, _BOTTOM_PATTERNS, phase, rows)
    return rows[:count]


def character(
    seed: int, phase: float, x: float = 0.0, y: float = 0.0, heading: float = 0.0
) -> NDArray[np.float32]:
    """A character in the middle of its stride.

    Args:
        seed: 64 bits that choose everything about it.
        phase: of the stride, in turns: 0 and 1 are the same.
        x, y: where it stands [m].
        heading: where it goes [rad, 0 = +x, left +].

    Returns:
        float32 (parts, 16), at most ``MAX_PARTS`` rows of the object table; not solid.

    Example:
        >>> character(7, 0.25).shape[1]
        16
    """
    rows = body(choices_of(seed), phase)
    along, left = rows[:, 1].copy(), rows[:, 2].copy()
    cos, sin = math.cos(heading), math.sin(heading)
    rows[:, 1], rows[:, 2] = x + along * cos - left * sin, y + along * sin + left * cos
    return rows


@compiled
def fill_bounding_sphere(rows, count, sphere):
    """Fill ``sphere`` (4,), centre and radius [m], with one around the boxes of ``count`` parts."""
    square = 0.0
    for axis in range(1, 4):
        low, high = 1e9, -1e9
        for n in range(count):
            low = min(low, rows[n, axis] - rows[n, axis + 3])
            high = max(high, rows[n, axis] + rows[n, axis + 3])
        sphere[axis - 1] = 0.5 * (low + high)
    for n in range(count):
        reach = 0.0
        for axis in range(1, 4):
            reach += (abs(rows[n, axis] - sphere[axis - 1]) + rows[n, axis + 3]) ** 2
        square = max(square, reach)
    sphere[3] = math.sqrt(square) * 1.00001 + 1e-5


def bounding_sphere(rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """A sphere around all parts: its centre (3,) and its radius [m]."""
    sphere = np.zeros(4, np.float32)
    fill_bounding_sphere(rows, len(rows), sphere)
    return sphere[:3], float(sphere[3])
