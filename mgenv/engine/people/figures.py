"""Bodies of characters: a person, a robot, a dog and a bird, from what was chosen about them."""

from __future__ import annotations

import math

import numpy as np

from mgenv.engine.people.limbs import (
    ARMS,
    BOUNCE,
    dye,
    paint,
    put,
    put_arm,
    put_hat,
    put_leg,
    put_shoe,
    step_of,
)
from mgenv.engine.scene.shapes import CYLINDER, ELLIPSOID
from mgenv.engine.textures.textures import GLOW
from mgenv.jit import compiled

CHOICES = {
    "plan": 4, "height": 8, "build": 6, "head": 4, "legs": 4, "skin": 12, "top": 48,
    "top_pattern": 5, "bottom": 48, "bottom_pattern": 3, "hat": 6, "held": 5, "back": 3, "gait": 6,
}  # fmt: skip
"""What is chosen, and from how many."""
PERSON, ROBOT, DOG, BIRD = range(4)

(PLAN, HEIGHT, BUILD, HEAD, LEGS, SKIN, TOP, TOP_PATTERN, BOTTOM, BOTTOM_PATTERN, HAT,
 HELD, BACK, GAIT) = range(len(CHOICES))  # fmt: skip


@compiled
def _legs(rows, choices, gait, phase, height, hip, body, bottom, dark):
    """Two legs with shoes, half a turn apart: the part count."""
    n, person = 0, choices[PLAN] == PERSON
    radius = 0.38 * body if person else max(0.16 * body, 0.014)
    reach = reach_of(choices)
    for side in range(2):
        foot, lift = step_of(phase + 0.5 * side, gait, height, reach)
        left = (0.5 - side) * body
        n = put_leg(rows, n, 0.0, left, hip, radius, foot, lift, 3, bottom)
        n = put_shoe(rows, n, foot, left, lift, radius, dark)
    return n


@compiled
def _paws(rows, choices, gait, phase, height, long, hip, body, bottom):
    """Four legs, crosswise in step: the part count."""
    n, reach = 0, reach_of(choices)
    for k in range(4):
        along, side = 0.7 * long if k < 2 else -0.7 * long, k % 2
        foot, lift = step_of(phase + 0.5 * ((side + k // 2) % 2), gait, height, reach)
        n = put_leg(rows, n, along, (0.5 - side) * body, hip, 0.3 * body, foot, lift, 2, bottom)
    return n


@compiled
def _wheel(rows, height, hip, body, skin, bottom):
    """What a robot stands on: the part count."""
    n = put(rows, 0, CYLINDER, 0.0, 0.0, 0.08 * height, 1.1 * body, 0.08 * height, bottom)
    return put(rows, n, CYLINDER, 0.0, 0.0, 0.5 * hip, 0.3 * body, 0.5 * hip, skin)


@compiled
def _face(rows, n, choices, crown, head, skin):
    """A head with hair at the back, or with a shining visor in front: the new part count."""
    other = np.empty(8)
    if choices[PLAN] == PERSON:
        n = put(rows, n, ELLIPSOID, 0.0, 0.0, crown - head, head, head, skin)
        kind = (5 * choices[SKIN] + 3 * choices[HEAD]) % 7
        paint(other, 0.03 + 0.015 * kind, 0.75 - 0.1 * kind, 0.12 + 0.1 * kind)
        return put(rows, n, ELLIPSOID, -0.3 * head, 0.0, crown - 0.8 * head, head, 0.95 * head,
                     other)  # fmt: skip
    n = put(rows, n, CYLINDER, 0.0, 0.0, crown - head, head, head, skin)
    paint(other, choices[TOP] / 16.0 + 0.4, 0.6, 1.0)
    other[0] = GLOW
    return put(rows, n, ELLIPSOID, 0.6 * head, 0.0, crown - 0.8 * head, 0.62 * head, 0.3 * head,
                 other)  # fmt: skip


@compiled
def _extras(rows, n, choices, hand, back, head, body, top, bottom):
    """What is held at ``hand`` (3,) and carried at ``back`` (3,): the new part count."""
    held, kind = choices[HELD], choices[BACK]
    if held > 0:
        size = 0.4 * body * (0.7 + 0.3 * held)
        shape = ELLIPSOID if held % 2 == 1 else CYLINDER
        n = put(rows, n, shape, hand[0], hand[1], hand[2] - size, size, size, bottom)
    if kind > 0:
        half = 0.9 * body if kind == 1 else 0.55 * head
        n = put(rows, n, CYLINDER, back[0], back[1], back[2], 0.6 * body, half, top)
    return n


@compiled
def _upright(rows, choices, gait, phase, height, body, head, skin, top, bottom, dark):
    """A person, or a robot on a wheeled foot: the part count."""
    bounce = gait[BOUNCE] * height * math.sin(2.0 * math.pi * phase) ** 2
    hip, chest = height * _hip_of(choices) + bounce, height - 2.0 * head + bounce
    if choices[PLAN] == PERSON:
        n = _legs(rows, choices, gait, phase, height, hip, body, bottom, dark)
    else:
        n = _wheel(rows, height, hip, body, skin, bottom)
    middle, half = 0.5 * (hip + chest), 0.5 * (chest - hip)
    n = put(rows, n, CYLINDER, 0.0, 0.0, middle, 0.9 * body, half, top)
    n = put(rows, n, ELLIPSOID, 0.0, 0.0, middle + 0.6 * half, 1.1 * body, 0.5 * half, top)
    swing = gait[ARMS] * height * math.cos(2.0 * math.pi * phase)
    for side in range(2):
        n = put_arm(rows, n, (1.0 - 2.0 * side) * 1.18 * body, chest, 0.42 * height, 0.3 * body,
                 (2.0 * side - 1.0) * swing, top, skin)  # fmt: skip
    n = _face(rows, n, choices, height + bounce, head, skin)
    n = put_hat(rows, n, choices[HAT], 0.0, height + bounce, head, bottom)
    hand, back = np.empty(3), np.empty(3)
    hand[0], hand[1], hand[2] = 0.9 * swing, -1.18 * body, chest - 0.42 * height
    back[0], back[1], back[2] = -1.2 * body, 0.0, middle + 0.2 * half
    return _extras(rows, n, choices, hand, back, head, body, bottom, bottom)


@compiled
def _sides(rows, n, choices, along, crown, head, long, middle, body, sway, bottom):
    """Ears of a dog, wings of a bird: the new part count."""
    for side in (-1.0, 1.0):
        if choices[PLAN] == DOG:
            n = put(rows, n, ELLIPSOID, along - 0.3 * head, 0.85 * head * side,
                      crown - 0.8 * head, 0.28 * head, 0.65 * head, bottom)  # fmt: skip
        else:
            n = put(rows, n, ELLIPSOID, -0.25 * long, side * (0.75 * body + abs(sway)),
                      middle + 0.1 * body, 0.55 * body, 0.5 * body, bottom)  # fmt: skip
    return n


@compiled
def _trunk(rows, n, long, middle, body, sway, four, top):
    """A row of rounds and a tail: the new part count."""
    count = 4 if four else 3
    for k in range(count):
        along = long * (1.5 * k / (count - 1) - 0.75) * (1.0 if four else 0.75)
        thick = body * (1.0 if 0 < k < count - 1 else 0.92)
        n = put(rows, n, ELLIPSOID, along, 0.0, middle, thick, 0.9 * body, top)
    return put(rows, n, ELLIPSOID, -0.6 * long - body, sway, middle + 0.5 * body, 0.32 * body,
                 0.7 * body, top)  # fmt: skip


@compiled
def _low(rows, choices, gait, phase, height, body, head, skin, top, bottom, dark):
    """A dog on four legs or a bird on two: the part count."""
    four = choices[PLAN] == DOG
    bounce = gait[BOUNCE] * height * math.sin(2.0 * math.pi * phase) ** 2
    hip, long = height * _hip_of(choices) + bounce, height * (0.5 if four else 0.22)
    if four:
        n = _paws(rows, choices, gait, phase, height, long, hip, body, bottom)
    else:
        n = _legs(rows, choices, gait, phase, height, hip, body, bottom, skin)
    middle, sway = hip + 0.6 * body, gait[ARMS] * body * math.cos(2.0 * math.pi * phase)
    n = _trunk(rows, n, long, middle, body, 3.0 * sway, four, top)
    front, crown = long + 0.4 * head, max(height, hip + 1.2 * body + head) + bounce
    n = put(rows, n, ELLIPSOID, 0.88 * long, 0.0, 0.5 * (middle + crown - head), 0.6 * head,
              0.5 * (crown - middle), top)  # fmt: skip
    n = put(rows, n, ELLIPSOID, front, 0.0, crown - head, head, head, top)
    n = _sides(rows, n, choices, front, crown, head, long, middle, body, sway, bottom)
    nose = front + (0.95 if four else 1.15) * head
    n = put(rows, n, ELLIPSOID, nose, 0.0, crown - 1.2 * head, (0.5 if four else 0.35) * head,
              (0.4 if four else 0.25) * head, skin)  # fmt: skip
    if four:
        n = put(rows, n, ELLIPSOID, nose + 0.45 * head, 0.0, crown - 1.1 * head, 0.18 * head,
                  0.15 * head, dark)  # fmt: skip
    n = put_hat(rows, n, choices[HAT], front, crown, head, bottom)
    hand, back = np.empty(3), np.empty(3)
    hand[0], hand[1], hand[2] = nose + 0.2 * head, 0.0, crown - 1.35 * head
    back[0], back[1], back[2] = -0.2 * long, 0.0, middle + 0.8 * body
    return _extras(rows, n, choices, hand, back, 0.8 * head, 0.6 * body, bottom, bottom)


@compiled
def _hip_of(choices):
    """How high the hip is, as a share of the height."""
    low = choices[PLAN] == DOG or choices[PLAN] == BIRD
    return 0.34 + 0.05 * choices[LEGS] if low else 0.40 + 0.03 * choices[LEGS]


@compiled
def reach_of(choices):
    """Short legs take short steps: a factor of the swing."""
    return min(1.0, _hip_of(choices) / 0.45)


@compiled
def _paint_skin(skin, choices):
    """Skin of a person, metal of a robot, muzzle of a dog, beak and feet of a bird."""
    tone, plan = choices[SKIN], choices[PLAN]
    if plan == ROBOT:
        paint(skin, 0.5 + 0.02 * tone, 0.12, 0.95 - 0.05 * tone)
    elif plan == BIRD:
        paint(skin, 0.02 + 0.01 * tone, 0.85, 0.95 - 0.03 * tone)
    else:
        paint(skin, 0.05 + 0.003 * tone, 0.45, 0.92 - 0.05 * tone)


@compiled
def build(choices, heights, gaits, top_patterns, bottom_patterns, phase, rows):
    """Fill ``rows`` (MAX_PARTS, 16), zero before, for a character that faces along x at the origin.

    Returns:
        The part count.
    """
    plan = choices[PLAN]
    height = heights[plan] * (0.82 + 0.05 * choices[HEIGHT])
    skin, top, bottom, dark = np.empty(8), np.empty(8), np.empty(8), np.empty(8)
    _paint_skin(skin, choices)
    paint(dark, 0.08, 0.3, 0.16)
    dye(top, top_patterns[choices[TOP_PATTERN]], choices[TOP], 0.12)
    dye(bottom, bottom_patterns[choices[BOTTOM_PATTERN]], choices[BOTTOM], 0.08)
    low = plan == DOG or plan == BIRD
    body = height * ((0.17 if low else 0.085) + 0.012 * choices[BUILD])
    head = height * ((0.13 if low else 0.062) + 0.009 * choices[HEAD])
    if low:
        return _low(rows, choices, gaits[choices[GAIT]], phase, height, body, head, skin, top,
                    bottom, dark)  # fmt: skip
    return _upright(rows, choices, gaits[choices[GAIT]], phase, height, body, head, skin, top,
                    bottom, dark)  # fmt: skip
