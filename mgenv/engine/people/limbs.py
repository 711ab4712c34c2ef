"""Limbs and clothes of characters: round parts, one after another, in rows of the object table."""

from __future__ import annotations

import math

from mgenv.engine.homes.palette import set_colour
from mgenv.engine.scene.shapes import CYLINDER, ELLIPSOID
from mgenv.engine.textures.textures import PLAIN
from mgenv.jit import compiled

SWING, LIFT, BOUNCE, ARMS = range(4)
"""Columns of a gait: how far feet swing, feet lift, the body bounces, hands swing."""


@compiled
def put(rows, n, shape, along, left, up, radius, half, material):
    """Part ``n``: its centre ahead, left and up [m], round, ``half`` its half height."""
    row = rows[n]
    row[0], row[1], row[2], row[3] = shape, along, left, up
    row[4], row[5], row[6] = radius, radius, half
    row[8:16] = material
    return n + 1


@compiled
def dye(material, pattern, number, scale):
    """Colour ``number`` of 48: sixteen hues, each light, vivid and dark."""
    hue, tone = (number % 16) / 16.0, number // 16
    material[0], material[7] = pattern, scale
    saturation, value = (0.25, 1.0) if tone == 0 else (0.9, 0.85) if tone == 1 else (0.6, 0.28)
    set_colour(material[1:4], hue, saturation, value)
    set_colour(material[4:7], hue + 0.08, 0.4, 0.45 if tone == 0 else 0.95)


@compiled
def paint(material, hue, saturation, value):
    """One plain colour."""
    material[0], material[7] = PLAIN, 1.0
    set_colour(material[1:4], hue, saturation, value)
    set_colour(material[4:7], hue, saturation, value)


@compiled
def step_of(phase, gait, height, reach):
    """How far ahead and how high a foot is; half a turn on the floor, straight back, then up.

    On the floor it goes back ``4 * swing`` metres a turn: at that pace nothing slides.
    """
    turn = phase - math.floor(phase)
    swing = gait[SWING] * height * reach
    if turn < 0.5:
        return swing * (1.0 - 4.0 * turn), 0.0
    angle = 2.0 * math.pi * (turn - 0.5)
    return -swing * math.cos(angle), gait[LIFT] * height * math.sin(angle)


@compiled
def put_leg(rows, n, along, left, hip, radius, foot, lift, parts, material):
    """A leg of ``parts`` pieces from the hip to the foot, bent at the knee: the new part count."""
    length = (hip - lift) / parts
    for k in range(parts):
        share = (k + 0.5) / parts
        ahead = along + share * foot + 0.7 * lift * math.sin(math.pi * share)
        last, thick = k == parts - 1, radius * (1.1 - 0.3 * share)
        shape, half = (CYLINDER, 0.5 * length) if last else (ELLIPSOID, 0.75 * length)
        n = put(rows, n, shape, ahead, left, hip - (k + 0.5) * length, thick, half, material)
    return n


@compiled
def put_shoe(rows, n, along, left, lift, radius, material):
    return put(rows, n, ELLIPSOID, along + 0.5 * radius, left, lift + 0.5 * radius,
                 1.3 * radius, 0.5 * radius, material)  # fmt: skip


@compiled
def put_arm(rows, n, left, shoulder, length, radius, swing, sleeve, skin):
    """Upper arm, forearm and hand: the new part count."""
    n = put(rows, n, ELLIPSOID, 0.2 * swing, left, shoulder - 0.28 * length, radius,
              0.3 * length, sleeve)  # fmt: skip
    n = put(rows, n, ELLIPSOID, 0.55 * swing, left, shoulder - 0.6 * length, 0.9 * radius,
              0.22 * length, sleeve)  # fmt: skip
    return put(rows, n, ELLIPSOID, 0.9 * swing, left, shoulder - 0.86 * length, 0.8 * radius,
                 0.14 * length, skin)  # fmt: skip


@compiled
def put_hat(rows, n, kind, along, top, head, material):
    """One of six: none, cap, top hat, broad hat, bobble, crown: the new part count."""
    if kind == 0:
        return n
    if kind == 4:
        return put(rows, n, ELLIPSOID, along, 0.0, top + 0.3 * head, 0.4 * head, 0.4 * head,
                     material)  # fmt: skip
    tall = 0.5 * head if kind == 2 else 0.22 * head
    n = put(rows, n, CYLINDER, along, 0.0, top - 0.1 * head + tall, 0.75 * head, tall, material)
    if kind == 5:
        return n
    brim, ahead = (1.7, 0.0) if kind == 3 else (1.15, 0.0 if kind == 2 else 0.4 * head)
    return put(rows, n, CYLINDER, along + ahead, 0.0, top - 0.1 * head, brim * head, 0.1 * head,
                 material)  # fmt: skip
