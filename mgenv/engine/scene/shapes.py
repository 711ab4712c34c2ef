"""Boxes, upright cylinders and ellipsoids: where a ray meets them. Runs on CPU and CUDA alike.

An object is a row of numbers: shape, centre, half size, solidity, then a material.
"""

from __future__ import annotations

import math

import numpy as np

from mgenv.jit import ray_function

f32 = np.float32

BOX, CYLINDER, ELLIPSOID = 0, 1, 2
# Columns of the object table: shape, centre, half size, solidity, then a material.
SHAPE, CENTRE, HALF, SOLID, OBJECT_MATERIAL = 0, 1, 4, 7, 8
OBJECT_SIZE = 16
MAX_PARTS = 24
"""Objects that a character is made of at most."""
FAR = f32(1e9)


@ray_function
def hit_box(objects, s, i, ox, oy, oz, ix, iy, iz):
    """(depth, axis of the face) or FAR; ix, iy, iz are the inverse direction."""
    cx, cy, cz = objects[s, i, 1] - ox, objects[s, i, 2] - oy, objects[s, i, 3] - oz
    ax, ay, az = abs(ix) * objects[s, i, 4], abs(iy) * objects[s, i, 5], abs(iz) * objects[s, i, 6]
    tx, ty, tz = cx * ix - ax, cy * iy - ay, cz * iz - az
    near = max(tx, max(ty, tz))
    far = min(cx * ix + ax, min(cy * iy + ay, cz * iz + az))
    if near > far or near <= f32(1e-3):
        return FAR, 0
    if near == tx:
        return near, 0
    if near == ty:
        return near, 1
    return near, 2


@ray_function
def hit_cylinder(objects, s, i, ox, oy, oz, dx, dy, dz):
    """An upright elliptic cylinder: (depth, 3 for its side or 2 for an end) or FAR."""
    rx, ry, h = f32(1.0) / objects[s, i, 4], f32(1.0) / objects[s, i, 5], objects[s, i, 6]
    x, y, z = (ox - objects[s, i, 1]) * rx, (oy - objects[s, i, 2]) * ry, oz - objects[s, i, 3]
    ex, ey = dx * rx, dy * ry
    a, b, c = ex * ex + ey * ey, x * ex + y * ey, x * x + y * y - f32(1.0)
    root = b * b - a * c
    if root <= f32(0.0):
        return FAR, 3
    root = math.sqrt(root)
    t = (-b - root) / a
    if t > f32(1e-3) and abs(z + t * dz) <= h:
        return t, 3
    if abs(dz) > f32(1e-6):
        t = (-z - h) / dz if dz > f32(0.0) else (h - z) / dz
        px, py = x + t * ex, y + t * ey
        if t > f32(1e-3) and px * px + py * py <= f32(1.0):
            return t, 2
    return FAR, 3


@ray_function
def hit_ellipsoid(objects, s, i, ox, oy, oz, dx, dy, dz):
    rx, ry, rz = (
        f32(1.0) / objects[s, i, 4],
        f32(1.0) / objects[s, i, 5],
        f32(1.0) / objects[s, i, 6],
    )
    x, y, z = (
        (ox - objects[s, i, 1]) * rx,
        (oy - objects[s, i, 2]) * ry,
        (oz - objects[s, i, 3]) * rz,
    )
    ex, ey, ez = dx * rx, dy * ry, dz * rz
    a, b = ex * ex + ey * ey + ez * ez, x * ex + y * ey + z * ez
    root = b * b - a * (x * x + y * y + z * z - f32(1.0))
    if root <= f32(0.0):
        return FAR, 4
    t = (-b - math.sqrt(root)) / a
    return (t, 4) if t > f32(1e-3) else (FAR, 4)


@ray_function
def hit_object(objects, s, i, ox, oy, oz, dx, dy, dz, ix, iy, iz):
    shape = int(objects[s, i, 0])
    if shape == BOX:
        return hit_box(objects, s, i, ox, oy, oz, ix, iy, iz)
    if shape == CYLINDER:
        return hit_cylinder(objects, s, i, ox, oy, oz, dx, dy, dz)
    return hit_ellipsoid(objects, s, i, ox, oy, oz, dx, dy, dz)
