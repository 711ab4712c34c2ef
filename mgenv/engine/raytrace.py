"""One ray: what it hits and how that looks. Scalars and arrays only: runs on CPU and CUDA alike.

Rays are ``origin + t * direction`` with a direction of length 1 along the optical axis, so that t
is the depth. Walls are found cell by cell on the map (Amanatides & Woo, 1987); each cell lists the
objects that reach into it.
"""

from __future__ import annotations

import math

import numpy as np

from mgenv.engine.compiling import inlined_ray_function, ray_function
from mgenv.engine.layout import CELL, DOOR_HEIGHT, DOORWAY, GRID, ROOM_MASK, WALL, WALL_HEIGHT
from mgenv.engine.textures import GLOW, SCREEN, WINDOW, clamp01, material, mix_of, mottle, whole

f32 = np.float32

BOX, CYLINDER, ELLIPSOID = 0, 1, 2
# Columns of the object table: shape, centre, half size, solidity, then a material.
SHAPE, CENTRE, HALF, SOLID, OBJECT_MATERIAL = 0, 1, 4, 7, 8
OBJECT_SIZE = 16
# Columns of the room table: bounds, the lamp's rectangle and colour, kind, three materials.
BOUNDS, LAMP, LAMP_COLOUR, KIND, FLOOR_MATERIAL, WALL_MATERIAL, CEILING_MATERIAL = (
    0,
    4,
    8,
    11,
    12,
    20,
    28,
)
ROOM_SIZE = 36
LAMP_HEIGHT = 2.3
TEXEL = 0.125
"""Metres along a side of the floor's light map."""

HIT_FLOOR, HIT_CEILING, HIT_WALL, HIT_LINTEL = -1, -2, -3, -4
FIRST_OBJECT, FACES = 1024, 8
"""Surface numbers: from the first on those of objects, ``FACES`` each; below it a room's."""
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


@ray_function
def trace(cells, objects, starts, items, s, ox, oy, oz, dx, dy, dz):
    """The nearest surface along a ray.

    Returns:
        depth [m]; object number or one of the ``HIT_*`` codes; face (axis of the normal 0, 1, 2,
        or 3 for a cylinder's side, 4 for an ellipsoid); room.
    """
    if abs(dx) < f32(1e-6):
        dx = f32(1e-6)
    if abs(dy) < f32(1e-6):
        dy = f32(1e-6)
    if abs(dz) < f32(1e-6):
        dz = f32(1e-6)
    inv_x, inv_y, inv_z = f32(1.0) / dx, f32(1.0) / dy, f32(1.0) / dz
    best, code, face = -oz * inv_z, HIT_FLOOR, 2
    if dz > f32(0.0):
        best, code = (f32(WALL_HEIGHT) - oz) * inv_z, HIT_CEILING
    x, y = int(whole(ox / f32(CELL))), int(whole(oy / f32(CELL)))
    step_x, step_y = (1 if dx > f32(0.0) else -1), (1 if dy > f32(0.0) else -1)
    next_x = (f32(x + (1 if step_x > 0 else 0)) * f32(CELL) - ox) * inv_x
    next_y = (f32(y + (1 if step_y > 0 else 0)) * f32(CELL) - oy) * inv_y
    delta_x, delta_y = abs(f32(CELL) * inv_x), abs(f32(CELL) * inv_y)
    t, axis, room, last = f32(0.0), 0, 0, -1
    while True:
        outside = x < 0 or y < 0 or x >= GRID or y >= GRID
        cell = WALL if outside else int(cells[s, y, x])
        if cell == WALL:
            return (t, HIT_WALL, axis, room) if t < best else (best, code, face, room)
        if cell & DOORWAY and oz + t * dz > f32(DOOR_HEIGHT):
            return (t, HIT_WALL, axis, room) if t < best else (best, code, face, room)
        room = cell
        leave = min(next_x, next_y)
        if cell & DOORWAY:
            under = (f32(DOOR_HEIGHT) - oz) * inv_z
            if dz > f32(0.0) and under < leave and under < best:
                best, code, face = under, HIT_LINTEL, 2
        here = y * GRID + x
        for k in range(int(starts[s, here]), int(starts[s, here + 1])):
            i = int(items[s, k])
            if i != last:
                last = i
                found, side = hit_object(objects, s, i, ox, oy, oz, dx, dy, dz, inv_x, inv_y, inv_z)
                if found < best:
                    best, code, face = found, i, side
        if best <= leave:
            return best, code, face, room
        t = leave
        if next_x < next_y:
            next_x += delta_x
            x += step_x
            axis = 0
        else:
            next_y += delta_y
            y += step_y
            axis = 1


@ray_function
def falloff(distance, reach):
    """1 at a corner, 0 beyond ``reach``: how much a corner darkens."""
    x = clamp01(f32(1.0) - distance / reach)
    return x * x


@ray_function
def floor_light(light, s, x, y):
    """The baked light at a point of the floor, bilinear."""
    u, v = x / f32(TEXEL) - f32(0.5), y / f32(TEXEL) - f32(0.5)
    i, j = int(whole(u)), int(whole(v))
    a, b = u - f32(i), v - f32(j)
    i, j = min(max(i, 0), 2 * GRID - 2), min(max(j, 0), 2 * GRID - 2)
    top = f32(light[s, j, i]) * (f32(1.0) - a) + f32(light[s, j, i + 1]) * a
    bottom = f32(light[s, j + 1, i]) * (f32(1.0) - a) + f32(light[s, j + 1, i + 1]) * a
    return (top * (f32(1.0) - b) + bottom * b) * f32(1.0 / 255.0)


@ray_function
def edge_distance(rooms, s, room, p, axis):
    """Metres from coordinate ``p`` to the nearer wall of a room along one axis (0: x, 1: y)."""
    return max(min(p - rooms[s, room, axis], rooms[s, room, 2 + axis] - p), f32(0.0))


@ray_function
def irradiance(rooms, s, room, x, y, z, nx, ny, nz):
    """Light from the room's lamp and its walls on a surface with this normal."""
    lx = min(max(x, rooms[s, room, LAMP]), rooms[s, room, LAMP + 2]) - x
    ly = min(max(y, rooms[s, room, LAMP + 1]), rooms[s, room, LAMP + 3]) - y
    lz = f32(LAMP_HEIGHT) - z
    square = lx * lx + ly * ly + lz * lz + f32(0.05)
    facing = (lx * nx + ly * ny + lz * nz) / math.sqrt(square)
    lamp = max(f32(0.0), f32(0.25) + f32(0.75) * facing) / (f32(1.0) + f32(0.09) * square)
    fill = f32(0.30) + f32(0.05) * nz + f32(0.03) * nx + f32(0.015) * ny
    return fill + f32(0.85) * lamp


@ray_function
def normal_of(objects, s, code, face, x, y, z, dx, dy, dz):
    """Unit normal towards the eye."""
    if face == 0:
        return (f32(-1.0) if dx > f32(0.0) else f32(1.0)), f32(0.0), f32(0.0)
    if face == 1:
        return f32(0.0), (f32(-1.0) if dy > f32(0.0) else f32(1.0)), f32(0.0)
    if face == 2:
        return f32(0.0), f32(0.0), (f32(-1.0) if dz > f32(0.0) else f32(1.0))
    nx = (x - objects[s, code, 1]) / (objects[s, code, 4] * objects[s, code, 4])
    ny = (y - objects[s, code, 2]) / (objects[s, code, 5] * objects[s, code, 5])
    nz = f32(0.0)
    if face == 4:
        nz = (z - objects[s, code, 3]) / (objects[s, code, 6] * objects[s, code, 6])
    scale = f32(1.0) / math.sqrt(nx * nx + ny * ny + nz * nz + f32(1e-12))
    return nx * scale, ny * scale, nz * scale


@ray_function
def footprint(t, pixel, along, across):
    """How far a point on a plane moves per pixel, in metres."""
    return t * pixel * (f32(1.0) + min(abs(along) / max(abs(across), f32(1e-3)), f32(30.0)))


@ray_function
def on_room(code, face, room, t, pixel, x, y, z, dx, dy, dz):
    """Where a point lies on a floor, ceiling or wall.

    Returns:
        Material column; u, v and the face's size [m]; footprint along u and v [m].
    """
    four = f32(4.0)
    if code != HIT_WALL:
        at = FLOOR_MATERIAL if code == HIT_FLOOR else CEILING_MATERIAL
        return at, x, y, four, four, footprint(t, pixel, dx, dz), footprint(t, pixel, dy, dz)
    at = CEILING_MATERIAL if room & DOORWAY else WALL_MATERIAL
    u, du, dn = (y, dy, dx) if face == 0 else (x, dx, dy)
    return at, u, z, four, four, footprint(t, pixel, du, dn), footprint(t, pixel, dz, dn)


@ray_function
def on_object(objects, s, i, face, t, pixel, x, y, z, dx, dy, dz):
    """Where a point lies on an object: as :func:`on_room`, without the column."""
    hx, hy, hz, two = objects[s, i, 4], objects[s, i, 5], objects[s, i, 6], f32(2.0)
    px, py, pz = x - objects[s, i, 1] + hx, y - objects[s, i, 2] + hy, z - objects[s, i, 3] + hz
    size_x, size_y, size_z = two * hx, two * hy, two * hz
    if face == 0:
        return py, pz, size_y, size_z, footprint(t, pixel, dy, dx), footprint(t, pixel, dz, dx)
    if face == 1:
        return px, pz, size_x, size_z, footprint(t, pixel, dx, dy), footprint(t, pixel, dz, dy)
    if face == 2:
        return px, py, size_x, size_y, footprint(t, pixel, dx, dz), footprint(t, pixel, dy, dz)
    return px, pz, size_x, size_z, t * pixel * two, t * pixel * two


@ray_function
def occlusion(rooms, light, s, code, face, flat, x, y, z):
    """How much light reaches a point, for what is near it: corners, the floor, baked shadows."""
    if code == HIT_FLOOR or (code >= 0 and z < f32(0.04)):
        return floor_light(light, s, x, y)
    if code >= 0:
        return f32(1.0) - f32(0.3) * falloff(z, f32(0.25))
    if code == HIT_WALL:
        beside = edge_distance(rooms, s, flat, y if face == 0 else x, 1 - face)
        low, high = falloff(z, f32(0.4)), falloff(f32(WALL_HEIGHT) - z, f32(0.5))
        return f32(1.0) - f32(0.3) * low - f32(0.2) * high - f32(0.25) * falloff(beside, f32(0.5))
    corner = falloff(edge_distance(rooms, s, flat, x, 0), f32(0.6))
    corner += falloff(edge_distance(rooms, s, flat, y, 1), f32(0.6))
    return f32(1.9) - f32(0.3) * corner


@ray_function
def surface_number(code, face, room):
    """The same whole number for all points of one smooth surface."""
    if code >= 0:
        return FIRST_OBJECT + code * FACES + face
    return room * FACES + (-1 - code) * 2 + (face if code == HIT_WALL else 0)


@inlined_ray_function
def look(cells, rooms, objects, starts, items, light, s, ox, oy, oz, dx, dy, dz, pixel):
    """The colour of a ray.

    Args:
        pixel: width of a pixel at depth 1 m.

    Returns:
        Linear r, g, b; depth [m]; surface number.
    """
    t, code, face, room = trace(cells, objects, starts, items, s, ox, oy, oz, dx, dy, dz)
    x, y, z, flat = ox + t * dx, oy + t * dy, oz + t * dz, room & ROOM_MASK
    number = surface_number(code, face, room)
    if code >= 0:
        u, v, su, sv, fu, fv = on_object(objects, s, code, face, t, pixel, x, y, z, dx, dy, dz)
        kind, r, g, b, r2, g2, b2, scale = material(objects, s, code, OBJECT_MATERIAL)
    else:
        at, u, v, su, sv, fu, fv = on_room(code, face, room, t, pixel, x, y, z, dx, dy, dz)
        kind, r, g, b, r2, g2, b2, scale = material(rooms, s, flat, at)
    m, shade = mix_of(kind, u, v, su, sv, scale, fu, fv), mottle(u, v)
    r, g, b = (r + (r2 - r) * m) * shade, (g + (g2 - g) * m) * shade, (b + (b2 - b) * m) * shade
    if code >= 0 and (kind == GLOW or kind == WINDOW or kind == SCREEN):
        return r, g, b, t, number
    nx, ny, nz = normal_of(objects, s, code, face, x, y, z, dx, dy, dz)
    e = irradiance(rooms, s, flat, x, y, z, nx, ny, nz)
    e = e * occlusion(rooms, light, s, code, face, flat, x, y, z)
    r = r * e * rooms[s, flat, LAMP_COLOUR]
    g = g * e * rooms[s, flat, LAMP_COLOUR + 1]
    b = b * e * rooms[s, flat, LAMP_COLOUR + 2]
    return r, g, b, t, number


@ray_function
def display(x):
    """Linear light to a display value in [0, 255], with a soft shoulder."""
    x = max(x, f32(0.0))
    shown = math.sqrt(x * (f32(1.0) + x * f32(0.25)) / (f32(1.0) + x))
    return f32(254.9) * min(shown, f32(1.0))
