"""From a recipe to a picture: random fields, cells, what is painted on them, then light and wear.

Only sums, products and square roots are used, so that a texture has the same bits everywhere.
"""

from __future__ import annotations

import math

from mgenv.engine.render.random_stream import between, new_stream, uniform
from mgenv.engine.textures.patterns import cell, hashed, motif, step, within
from mgenv.engine.textures.recipe import (
    ACCENT,
    BASE,
    DOT,
    FLOWER,
    FRAME,
    JOINT,
    MOTIF,
    PLAIN,
    RING,
    SECOND,
    STAIN,
    STROKE,
    STROKE_2,
    VEIN,
)
from mgenv.jit import compiled

SIDE, LAST = 64, 63
GRAIN, BLOT, VEINS, WARP, RUFFLE = range(5)
NUM_FIELDS = 5


@compiled
def blur_rows(picture, radius, scratch):
    """Take the mean over 2 · radius + 1 neighbours along each row, around the edge."""
    share = 1.0 / (2 * radius + 1)
    for y in range(SIDE):
        total = 0.0
        for x in range(-radius, radius + 1):
            total += picture[y, x & LAST]
        for x in range(SIDE):
            scratch[x] = total * share
            total += picture[y, (x + radius + 1) & LAST] - picture[y, (x - radius) & LAST]
        for x in range(SIDE):
            picture[y, x] = scratch[x]


@compiled
def blurred(state, radius_x, radius_y, out, scratch):
    """Fill ``out`` (64, 64) with random numbers blurred twice: mean 0, mean square 1."""
    for y in range(SIDE):
        for x in range(SIDE):
            out[y, x] = uniform(state) - 0.5
    for _ in range(2):
        if radius_x > 0:
            blur_rows(out, radius_x, scratch)
        if radius_y > 0:
            blur_rows(out.T, radius_y, scratch)
    mean, square = 0.0, 0.0
    for y in range(SIDE):
        for x in range(SIDE):
            mean += out[y, x] / (SIDE * SIDE)
            square += out[y, x] * out[y, x] / (SIDE * SIDE)
    scale = 1.0 / math.sqrt(square - mean * mean + 1e-12)
    for y in range(SIDE):
        for x in range(SIDE):
            out[y, x] = (out[y, x] - mean) * scale


@compiled
def fill_field(state, radius_x, radius_y, detail, out, spare, scratch):
    """A random field of these radii, and ``detail`` of a third of their size."""
    blurred(state, int(radius_x), int(radius_y), out, scratch)
    blurred(state, int(0.35 * radius_x), int(0.35 * radius_y), spare, scratch)
    scale = 1.0 / math.sqrt(1.0 + detail * detail)
    for y in range(SIDE):
        for x in range(SIDE):
            out[y, x] = scale * (out[y, x] + detail * spare[y, x])


@compiled
def fill_fields(state, recipe, out, spare, scratch):
    """The random fields (5, 64, 64) that a recipe uses."""
    if recipe.grain > 0.0:
        fill_field(state, recipe.grain_x, recipe.grain_y, 0.5, out[GRAIN], spare, scratch)
    if recipe.mottle > 0.0 or recipe.stain > 0.0 or recipe.vein > 0.0:
        fill_field(state, recipe.blot, recipe.blot, 0.5, out[BLOT], spare, scratch)
    if recipe.vein > 0.0:
        radius = recipe.vein_radius
        fill_field(state, radius, radius, 0.25, out[VEINS], spare, scratch)
    if recipe.warp > 0.0:
        blurred(state, 4, 4, out[WARP], scratch)
    if recipe.motif > 0.0:
        blurred(state, 2, 2, out[RUFFLE], scratch)


@compiled
def grain_at(recipe, fields, x, y, i, j, turned, seed):
    """The grain at a texel: in each cell a piece from elsewhere, along the cell."""
    if recipe.grain == 0.0:
        return 0.0
    if recipe.layout != PLAIN:
        h = hashed(i, j, seed + 5.0)
        x, y = x + int(h[0] * 64.0), y + int(h[1] * 64.0)
    if turned > 0.0:
        x, y = y, x
    value = fields[GRAIN, y & LAST, x & LAST]
    if recipe.rings > 0.0:
        value = value * recipe.rings
        value = 4.0 * abs(value - math.floor(value) - 0.5) - 1.0
    return value * recipe.grain


@compiled
def relief_of(recipe, x, y, half_width, half_height, edge):
    """What light falling from above adds to a cell: on its rim, its back and its borders."""
    light = -recipe.slope * y / half_height
    if recipe.bevel > 0.0:
        near = 1.0 - step((edge - 0.5 * recipe.joint) / 1.8)
        across = abs(x) / half_width - abs(y) / half_height
        side = (-0.4 if x > 0.0 else 0.3) if across > 0.0 else (1.0 if y > 0.0 else -1.0)
        light += recipe.bevel * near * side
    if recipe.dome > 0.0:
        rim = 1.0 - step((edge - 0.5 * recipe.joint) / recipe.dome)
        light += 0.12 * y / half_height - 0.4 * rim
    return light


@compiled
def vein_at(recipe, fields, x, y):
    """How much of the veins' colour there is: thin along one field's zeros, thick by another's."""
    if recipe.vein == 0.0:
        return 0.0
    wide = recipe.vein_width * max(1.0 + 0.7 * fields[BLOT, y, x], 0.15)
    main = max(1.0 - abs(fields[VEINS, y, x]) / wide, 0.0)
    fine = max(1.0 - abs(fields[VEINS, x, LAST - y] - 0.4) / (0.4 * wide), 0.0)
    return recipe.vein * max(main, 0.5 * fine)


@compiled
def motif_at(recipe, fields, x, y, half_width, half_height, chance):
    """How much of the motif's colour there is at a point of a cell: round things stay round."""
    if recipe.motif == 0.0 or chance > recipe.motif_share:
        return 0.0
    narrow = min(half_width, half_height)
    a, b = x / half_width, y / half_height
    if recipe.motif == FRAME:
        a, b = 1.0 - (half_width - abs(x)) / narrow, 1.0 - (half_height - abs(y)) / narrow
        a, b = max(a, 0.0), max(b, 0.0)
    elif recipe.motif == DOT or recipe.motif == RING or recipe.motif == FLOWER:
        a, b = x / narrow, y / narrow
    return motif(recipe, fields[RUFFLE], a, b, 1.5 / narrow)


@compiled
def place(recipe, fields, origin, x, y):
    """Where a texel lies on the surface that is cut into cells."""
    across, up = x + math.floor(64.0 * origin[0]) + 0.5, y + math.floor(64.0 * origin[1]) + 0.5
    if recipe.warp > 0.0:
        across += recipe.warp * fields[WARP, y, x]
        up += recipe.warp * fields[WARP, (y + 32) & LAST, (x + 32) & LAST]
    if recipe.upright > 0.0:
        across, up = up, across
    if recipe.askew > 0.0:
        across, up = across + up, across - up
    return across % 64.0, up % 64.0


@compiled
def paint(recipe, colours, state, seed, fields, picture):
    """Draw all cells of a picture (64, 64, 3)."""
    scale = 0.7071 if recipe.askew > 0.0 else 1.0
    scale = scale / math.sqrt(1.0 + recipe.chevron * recipe.chevron)
    slanted = recipe.askew > 0.0 or recipe.chevron != 0.0
    wide, soft = recipe.joint, recipe.joint_soft + (0.7 if slanted else 0.0)
    wide += 0.5 if slanted and wide > 0.0 else 0.0
    origin = hashed(-1.0, -1.0, seed + 3.0)
    for y in range(SIDE):
        for x in range(SIDE):
            across, up = place(recipe, fields, origin, x, y)
            i, j, lx, ly, hx, hy, edge, turned = cell(recipe, across, up, seed)
            a, b, c = hashed(i, j, seed + 1.0)
            covered = motif_at(recipe, fields, lx, ly, hx, hy, hashed(i, j, seed + 2.0)[0])
            blot = fields[BLOT, y, x]
            light = 1.0 + recipe.tint * (2.0 * b - 1.0) + recipe.mottle * blot
            light += relief_of(recipe, lx, ly, hx, hy, edge * scale)
            light += grain_at(recipe, fields, x, y, i, j, turned, seed)
            noise = recipe.speckle * (2.0 * uniform(state) - 1.0)
            vein, stain = vein_at(recipe, fields, x, y), recipe.stain * step(0.5 + 0.6 * blot)
            joint = within(edge * scale - 0.5 * wide, soft) if wide > 0.0 else 0.0
            first = ACCENT if c < recipe.accent else BASE
            for k in range(3):
                shown = colours[first, k]
                if first == BASE:
                    shown += recipe.blend * a * (colours[SECOND, k] - shown)
                shown += covered * (colours[MOTIF, k] - shown)
                shown += vein * (colours[VEIN, k] - shown)
                shown += stain * (colours[STAIN, k] - shown)
                shown *= light
                shown += joint * (colours[JOINT, k] * (1.0 + recipe.mottle * blot) - shown)
                picture[y, x, k] = shown * (1.0 + noise)


@compiled
def strew(recipe, colours, state, picture):
    """Draw blades, pebbles, chips or fibres one over another, around the edges."""
    for _ in range(int(recipe.strokes)):
        x, y = between(state, 0.0, 64.0), between(state, 0.0, 64.0)
        dx, dy = between(state, -1.0, 1.0), between(state, -1.0, 1.0)
        dx, dy = dx * (1.0 - recipe.lean), dy + (abs(dy) + 1.0 - dy) * recipe.lean
        long = recipe.length * between(state, 0.5, 1.1) / math.sqrt(dx * dx + dy * dy + 1e-6)
        half = 0.5 * recipe.width * between(state, 0.6, 1.4)
        part, light = uniform(state), between(state, 0.9, 1.1)
        stroke(recipe, colours, picture, x, y, dx * long, dy * long, half, part, light)


@compiled
def stroke(recipe, colours, picture, x, y, dx, dy, half, part, light):
    """One stroke from (x, y) along (dx, dy): lit above, dark at its foot and its rim."""
    reach = half + 1.0
    square = dx * dx + dy * dy + 1e-6
    for py in range(int(min(y, y + dy) - reach), int(max(y, y + dy) + reach) + 2):
        for px in range(int(min(x, x + dx) - reach), int(max(x, x + dx) + reach) + 2):
            ax, ay = px - x, py - y
            t = min(max((ax * dx + ay * dy) / square, 0.0), 1.0)
            ax, ay = ax - t * dx, ay - t * dy
            distance = math.sqrt(ax * ax + ay * ay)
            cover = within(distance - half, 1.2)
            if cover > 0.0:
                rim = min(distance / (half + 0.5), 1.0)
                shade = light + recipe.relief * (0.35 * ay / half - 0.5 * rim * rim * rim)
                shade += recipe.lean * 0.5 * (t - 0.6)
                for k in range(3):
                    tone = colours[STROKE, k] + part * (colours[STROKE_2, k] - colours[STROKE, k])
                    under = picture[py & LAST, px & LAST, k]
                    picture[py & LAST, px & LAST, k] = under + cover * (tone * shade - under)


@compiled
def soften(picture, part, spare):
    """Give each texel ``part`` of its four neighbours, so that none stands out alone."""
    for k in range(3):
        for y in range(SIDE):
            for x in range(SIDE):
                around = picture[y, (x + 1) & LAST, k] + picture[y, (x - 1) & LAST, k]
                around += picture[(y + 1) & LAST, x, k] + picture[(y - 1) & LAST, x, k]
                spare[y, x] = picture[y, x, k] + part * (0.25 * around - picture[y, x, k])
        for y in range(SIDE):
            for x in range(SIDE):
                picture[y, x, k] = spare[y, x]


@compiled
def draw(recipes, colours, number, fields, spare, scratch, picture):
    """Draw texture ``number`` of the recipes into a picture (64, 64, 3) of display values."""
    recipe = recipes[number]
    state = new_stream(number, 8101)
    seed = float(int(uniform(state) * 4294967296.0))
    fill_fields(state, recipe, fields, spare, scratch)
    paint(recipe, colours[number], state, seed, fields, picture)
    strew(recipe, colours[number], state, picture)
    soften(picture, recipe.soften, spare)
