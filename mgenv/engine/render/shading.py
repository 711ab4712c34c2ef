"""Shading of a ray: materials, lamps, sky and sun. Runs on CPU and CUDA alike."""

from __future__ import annotations

import math

import numpy as np

from mgenv.engine.homes.layout import CELL, COURT, DOORWAY, GRID, PARAPET, ROOM_MASK, WALL
from mgenv.engine.render.raytrace import (
    CEILING,
    CEILING_MATERIAL,
    FACES,
    FIRST_OBJECT,
    FLOOR,
    FLOOR_MATERIAL,
    HIT_CEILING,
    HIT_FLOOR,
    HIT_SKY,
    HIT_STEP,
    HORIZON,
    KIND,
    LAMP,
    LAMP_COLOUR,
    LAMP_HEIGHT,
    MOST_OBJECTS,
    SKY_NUMBER,
    SUN,
    SUN_COLOUR,
    TEXEL,
    WALL_MATERIAL,
    ZENITH,
    meet,
    sunlit,
    surface_number,
    trace,
)
from mgenv.engine.scene.shapes import MAX_PARTS, OBJECT_MATERIAL
from mgenv.engine.textures.bank import sample
from mgenv.engine.textures.textures import (
    GLOW,
    IMAGE,
    SCREEN,
    WINDOW,
    clamp01,
    material,
    mix_of,
    mottle,
    smooth,
    wave,
    whole,
)
from mgenv.jit import inlined_ray_function, ray_function

f32 = np.float32

SKY_DEPTH = f32(60.0)
"""Depth of the sky and of all that is farther [m]."""
SUNLIT = 1 << 20
"""Flag of surface numbers: the sun shines there, so that shadows have smooth edges."""
FIRST_PART = FIRST_OBJECT + MOST_OBJECTS * FACES
"""Surface numbers from here on are of characters' parts."""


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
    """Light from the room's lamp and its walls, or the sky's, on a surface with this normal.

    Args:
        z: above the room's floor [m].
    """
    if rooms[s, room, KIND] >= f32(COURT):
        return f32(0.62) + f32(0.3) * nz + f32(0.06) * nx + f32(0.03) * ny
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
    if face == 2:
        at = FLOOR_MATERIAL if code == HIT_FLOOR else CEILING_MATERIAL
        return at, x, y, four, four, footprint(t, pixel, dx, dz), footprint(t, pixel, dy, dz)
    at = CEILING_MATERIAL if room & DOORWAY and room < PARAPET else WALL_MATERIAL
    if code == HIT_STEP:
        at = FLOOR_MATERIAL
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
def occlusion(rooms, light, s, code, face, flat, ceiling, x, y, z):
    """How much light reaches a point, for what is near it: corners, the floor, baked shadows.

    Args:
        ceiling, z: above the room's floor [m].
    """
    if code == HIT_FLOOR or (code >= 0 and z < f32(0.04)):
        return floor_light(light, s, x, y)
    if code >= 0:
        return f32(1.0) - f32(0.3) * falloff(z, f32(0.25))
    if code != HIT_CEILING and face != 2:
        beside = edge_distance(rooms, s, flat, y if face == 0 else x, 1 - face)
        low, high = falloff(z, f32(0.4)), falloff(ceiling - z, f32(0.5))
        if rooms[s, flat, KIND] >= f32(COURT):
            return f32(1.0) - f32(0.3) * low
        return f32(1.0) - f32(0.3) * low - f32(0.2) * high - f32(0.25) * falloff(beside, f32(0.5))
    if rooms[s, flat, KIND] >= f32(COURT):
        return f32(1.0)
    corner = falloff(edge_distance(rooms, s, flat, x, 0), f32(0.6))
    corner += falloff(edge_distance(rooms, s, flat, y, 1), f32(0.6))
    return f32(1.9) - f32(0.3) * corner


@ray_function
def standing_on(counts, spheres, f, x, y, z):
    """How much light characters leave on the floor at a point: darker under each."""
    light = f32(1.0)
    for k in range(counts.shape[1]):
        if counts[f, k] > 0:
            dx, dy, radius = x - spheres[f, k, 0], y - spheres[f, k, 1], spheres[f, k, 3]
            if abs(spheres[f, k, 2] - radius - z) < f32(0.5):
                near = math.sqrt(dx * dx + dy * dy)
                light *= f32(1.0) - f32(0.55) * falloff(near, f32(0.4) * radius + f32(0.3))
    return light


@ray_function
def drift(u, v):
    """Slow waves that run in three directions, in [0, 1]."""
    a = wave(f32(0.61) * u + f32(0.23) * v + f32(0.35) * wave(f32(0.4) * v))
    b = wave(f32(0.52) * v - f32(0.31) * u + f32(0.35) * wave(f32(0.37) * u + f32(0.2)))
    c = wave(f32(0.33) * u - f32(0.57) * v + f32(0.4))
    return (a + b + c) * f32(1.0 / 3.0)


@ray_function
def sky_colour(sky, s, dx, dy, dz):
    """The sky in a direction: from the horizon to the zenith, with clouds and a glow at the sun."""
    scale = f32(1.0) / math.sqrt(dx * dx + dy * dy + dz * dz)
    x, y, z = dx * scale, dy * scale, max(dz * scale, f32(0.0))
    up = math.sqrt(z)
    u, v = x / (z + f32(0.25)), y / (z + f32(0.25))
    cloud = drift(u, v) + f32(0.5) * drift(f32(2.3) * v + f32(3.1), f32(1.9) * u)
    cloud = cloud + f32(0.25) * drift(f32(4.1) * u + f32(1.7), f32(4.7) * v)
    cloud = smooth(f32(2.4) * cloud - f32(1.9)) * clamp01(f32(3.0) * z) * f32(0.75)
    glow = clamp01(x * sky[s, SUN] + y * sky[s, SUN + 1] + z * sky[s, SUN + 2])
    glow = glow * glow
    glow = glow * glow
    glow = f32(0.35) * glow * glow
    r = sky[s, HORIZON] + (sky[s, ZENITH] - sky[s, HORIZON]) * up
    g = sky[s, HORIZON + 1] + (sky[s, ZENITH + 1] - sky[s, HORIZON + 1]) * up
    b = sky[s, HORIZON + 2] + (sky[s, ZENITH + 2] - sky[s, HORIZON + 2]) * up
    white = sky[s, HORIZON + 1] * f32(1.15)
    r, g, b = r + (white - r) * cloud, g + (white - g) * cloud, b + (white - b) * cloud
    return (
        r + glow * sky[s, SUN_COLOUR],
        g + glow * sky[s, SUN_COLOUR + 1],
        b + glow * sky[s, SUN_COLOUR + 2],
    )


@ray_function
def painted(table, texels, s, i, at, u, v, su, sv, fu, fv):
    """The linear colour of the material at ``table[s, i, at:at + 8]`` at a point of a face.

    Returns:
        The pattern; r, g, b.
    """
    kind, r, g, b, r2, g2, b2, scale = material(table, s, i, at)
    if kind == IMAGE:
        red, green, blue = sample(texels, int(scale), u, v, r2, max(fu, fv))
        return kind, r * red, g * green, b * blue
    m, shade = mix_of(kind, u, v, su, sv, scale, fu, fv), mottle(u, v)
    return kind, (r + (r2 - r) * m) * shade, (g + (g2 - g) * m) * shade, (b + (b2 - b) * m) * shade


@ray_function
def room_at(cells, s, x, y, otherwise):
    """The room of the cell at a point [m] of the map; another where that is a wall."""
    i, j = int(whole(x / f32(CELL))), int(whole(y / f32(CELL)))
    cell = int(cells[s, min(max(j, 0), GRID - 1), min(max(i, 0), GRID - 1)])
    return otherwise if cell == WALL else cell & ROOM_MASK


@inlined_ray_function
def light_at(view, s, f, code, face, flat, x, y, z, nx, ny, nz):
    """Light of lamps, sky and sun on a point with this normal.

    Returns:
        Linear r, g, b; whether the sun shines there.
    """
    floor = view.levels[s, flat, FLOOR]
    height, ceiling = z - floor, view.levels[s, flat, CEILING] - floor
    e = irradiance(view.rooms, s, flat, x, y, height, nx, ny, nz)
    e = e * occlusion(view.rooms, view.light, s, code, face, flat, ceiling, x, y, height)
    if code == HIT_FLOOR and view.counts.shape[1] > 0:
        e = e * standing_on(view.counts, view.spheres, f, x, y, z)
    red = e * view.rooms[s, flat, LAMP_COLOUR]
    green = e * view.rooms[s, flat, LAMP_COLOUR + 1]
    blue = e * view.rooms[s, flat, LAMP_COLOUR + 2]
    sun = sunlit(view, s, f, x, y, z, nx, ny, nz)
    if sun > f32(0.0):
        red += sun * view.sky[s, SUN_COLOUR]
        green += sun * view.sky[s, SUN_COLOUR + 1]
        blue += sun * view.sky[s, SUN_COLOUR + 2]
    return red, green, blue, sun > f32(0.0)


@inlined_ray_function
def look(view, s, f, ox, oy, oz, dx, dy, dz, pixel):
    """The colour of a ray of frame ``f`` in scene ``s``.

    Args:
        view: a :class:`mgenv.engine.render.raytrace.View`.
        pixel: width of a pixel at depth 1 m.

    Returns:
        Linear r, g, b; depth [m]; surface number.
    """
    t, code, face, room = trace(
        view.cells, view.levels, view.objects, view.starts, view.items, s, ox, oy, oz, dx, dy, dz
    )
    who, part = -1, 0
    if view.counts.shape[1] > 0:
        t, who, part, side = meet(
            view.parts, view.counts, view.spheres, f, ox, oy, oz, dx, dy, dz, t
        )
    if who < 0 and code == HIT_SKY:
        r, g, b = sky_colour(view.sky, s, dx, dy, dz)
        return r, g, b, SKY_DEPTH, SKY_NUMBER
    x, y, z, flat = ox + t * dx, oy + t * dy, oz + t * dz, room & ROOM_MASK
    if who >= 0:
        face, code, flat = side, 0, room_at(view.cells, s, x, y, flat)
        number = FIRST_PART + ((who % view.counts.shape[1]) * MAX_PARTS + part) * FACES + face
        u, v, su, sv, fu, fv = on_object(view.parts, who, part, face, t, pixel, x, y, z, dx, dy, dz)
        kind, r, g, b = painted(
            view.parts, view.texels, who, part, OBJECT_MATERIAL, u, v, su, sv, fu, fv
        )
        nx, ny, nz = normal_of(view.parts, who, part, face, x, y, z, dx, dy, dz)
    elif code >= 0:
        number = surface_number(code, face, room)
        u, v, su, sv, fu, fv = on_object(view.objects, s, code, face, t, pixel, x, y, z, dx, dy, dz)
        kind, r, g, b = painted(
            view.objects, view.texels, s, code, OBJECT_MATERIAL, u, v, su, sv, fu, fv
        )
        if kind == GLOW or kind == WINDOW or kind == SCREEN:
            return r, g, b, t, number
        nx, ny, nz = normal_of(view.objects, s, code, face, x, y, z, dx, dy, dz)
    else:
        number = surface_number(code, face, room)
        at, u, v, su, sv, fu, fv = on_room(code, face, room, t, pixel, x, y, z, dx, dy, dz)
        kind, r, g, b = painted(view.rooms, view.texels, s, flat, at, u, v, su, sv, fu, fv)
        nx, ny, nz = normal_of(view.objects, s, code, face, x, y, z, dx, dy, dz)
    red, green, blue, sunny = light_at(view, s, f, code, face, flat, x, y, z, nx, ny, nz)
    if sunny:
        number |= SUNLIT
    return r * red, g * green, b * blue, min(t, SKY_DEPTH), number
