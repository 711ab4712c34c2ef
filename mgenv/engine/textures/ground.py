"""Recipes of the ground outdoors: each function draws one texture of its kind."""

from __future__ import annotations

from mgenv.engine.textures.colours import (
    hsv,
    lit,
    mixed,
    stone_colour,
)
from mgenv.engine.textures.recipe import (
    BASKET,
    GRID,
    HERRINGBONE,
    POINTS,
    Draws,
    Recipe,
)


def paving(d: Draws) -> Recipe:
    """Slabs, setts and clinker outdoors, with dirt or moss between them."""
    base = (
        stone_colour(d, 0.42, 0.78)
        if d.chance(0.75)
        else hsv(d.between(0.0, 0.06), 0.45, d.between(0.5, 0.7))
    )
    count, kind = d.pick(2, 3, 4, 5), d.whole(0, 3)
    if kind == 0:
        blocks, columns = d.pick((2, 8), (3, 6), (2, 4))
        form = {"layout": HERRINGBONE, "blocks": blocks, "columns": columns, "askew": d.pick(0, 1)}
    elif kind == 1:
        form = {"layout": BASKET, "blocks": 2, "columns": d.pick(2, 4)}
    else:
        form = {"layout": GRID, "columns": count, "rows": count + d.pick(0, 1, 2),
                "shift": d.pick(0, 0.5, -1), "uneven": d.pick(0.0, 0.4),
                "uneven_rows": d.pick(0.0, 0.35), "askew": d.pick(0, 0, 0, 1)}  # fmt: skip
    moss = d.chance(0.35)
    return Recipe(
        size=d.between(1.0, 2.2),
        colours={"base": base,
                 "second": mixed(lit(base, d.between(0.75, 1.15)), stone_colour(d), 0.35),
                 "joint": hsv(0.22, 0.4, 0.36) if moss else lit(base, d.between(0.45, 0.7)),
                 "accent": lit(base, 0.75), "stain": (0.4, 0.41, 0.3) if moss else lit(base, 0.75)},
        **form, warp=d.between(0.1, 0.5), joint=d.between(1.0, 1.8), joint_soft=1.2,
        tint=d.between(0.04, 0.1), blend=d.between(0.3, 1.0), accent=d.pick(0.0, 0.0, 0.2),
        bevel=d.between(0.04, 0.14), grain=d.between(0.02, 0.05), grain_x=1, grain_y=1,
        mottle=d.between(0.02, 0.05), stain=d.pick(0.0, 0.3, 0.5), blot=d.between(4, 11),
        speckle=0.03,
    )  # fmt: skip


def cobble(d: Draws) -> Recipe:
    """Round stones set close."""
    base = stone_colour(d, 0.45, 0.75)
    columns = d.pick(5, 6, 7, 8)
    return Recipe(
        size=columns * d.between(0.1, 0.18),
        colours={"base": base,
                 "second": mixed(lit(base, d.between(0.7, 1.2)), stone_colour(d), 0.4),
                 "joint": mixed(lit(base, 0.45), d.pick((0.3, 0.34, 0.18), (0.35, 0.3, 0.24)), 0.5),
                 "accent": stone_colour(d, 0.35, 0.8)}, layout=POINTS, columns=columns,
        rows=columns + d.pick(0, 0, 1, 2), shift=0.5, uneven=d.between(0.2, 0.6), warp=0.3,
        joint=d.between(1.0, 1.7), joint_soft=1.4, dome=d.between(1.6, 2.8),
        tint=d.between(0.05, 0.12), blend=d.between(0.4, 1.0), accent=d.pick(0.0, 0.2), grain=0.04,
        grain_x=1, grain_y=1, mottle=0.03, blot=8, speckle=0.03,
    )  # fmt: skip


def grass(d: Draws) -> Recipe:
    """Lawn and meadow, with dry patches, bare soil or flowers."""
    green = hsv(d.spread(0, 0.17, 0.33), d.spread(1, 0.35, 0.62), d.spread(2, 0.36, 0.6))
    return Recipe(
        size=d.between(0.8, 1.6),
        colours={"base": lit(green, 0.75),
                 "stain": mixed(green, hsv(0.11, 0.4, 0.5), d.between(0.2, 0.8)),
                 "stroke": lit(green, 0.72),
                 "stroke_2": mixed(lit(green, 1.3), hsv(0.16, 0.4, 0.75), 0.25)},
        strokes=d.whole(350, 650), length=d.between(4.5, 9.0), width=d.between(1.1, 1.6),
        lean=d.pick(0.0, 0.3, 0.6, 0.9), mottle=0.08, stain=d.between(0.2, 0.9),
        blot=d.between(4, 9), speckle=0.05, soften=0.3,
    )  # fmt: skip


def gravel(d: Draws) -> Recipe:
    """Pebbles heaped on each other."""
    base = stone_colour(d, 0.5, 0.8)
    width = d.between(2.2, 5.0)
    return Recipe(
        size=d.between(0.5, 1.2),
        colours={"base": lit(base, 0.5), "stroke": lit(base, 0.85),
                 "stroke_2": mixed(lit(base, 1.15), stone_colour(d, 0.4, 0.8), 0.5)},
        strokes=int(2.6 * 4096 / (width * width)), length=0.5 * width, width=width,
        relief=d.between(0.4, 0.7), mottle=0.05, blot=8, speckle=0.04, soften=0.25,
    )  # fmt: skip


def sand(d: Draws) -> Recipe:
    """Sand, smooth, in ripples or trodden."""
    base = hsv(d.spread(0, 0.07, 0.135), d.spread(1, 0.15, 0.45), d.spread(2, 0.6, 0.88))
    ripples = d.chance(0.6)
    return Recipe(
        size=d.between(1.0, 2.2),
        colours={"base": base, "stain": lit(base, 0.87), "joint": lit(base, 0.92),
                 "stroke": lit(base, 0.75), "stroke_2": lit(base, 1.1)}, layout=GRID,
        rows=d.pick(5, 7, 9, 11) if ripples else 1, slope=d.between(0.05, 0.1) if ripples else 0.0,
        joint=1.0 if ripples else 0.0, joint_soft=3.5, warp=d.between(1.2, 2.4),
        grain=d.between(0.02, 0.05), grain_x=1, grain_y=1, mottle=d.between(0.03, 0.07),
        stain=d.between(0.2, 0.8), blot=d.between(3, 10), speckle=0.05,
        strokes=d.pick(0, 0, 40, 120), length=0.6, width=1.3, soften=0.35,
    )  # fmt: skip


def soil(d: Draws) -> Recipe:
    """Earth with stones, roots, leaves or cracks."""
    base = hsv(d.spread(0, 0.045, 0.11), d.spread(1, 0.22, 0.5), d.spread(2, 0.38, 0.62))
    leaf = hsv(d.pick(0.05, 0.09, 0.13, 0.25), d.between(0.2, 0.5), d.between(0.4, 0.7))
    dry = d.chance(0.35)
    cracks = {"layout": POINTS, "columns": 5, "rows": d.pick(4, 5, 6), "uneven": 0.8, "warp": 0.8,
              "joint": 1.3, "joint_soft": 1.6, "tint": 0.05}  # fmt: skip
    return Recipe(
        size=d.between(0.8, 1.8),
        colours={"base": base, "stain": lit(base, d.between(0.65, 0.85)), "joint": lit(base, 0.5),
                 "stroke": mixed(leaf, base, 0.5), "stroke_2": lit(leaf, 0.9)},
        **(cracks if dry else {}), grain=d.between(0.06, 0.12), grain_x=1, grain_y=1,
        mottle=d.between(0.05, 0.1), stain=d.between(0.4, 0.9), blot=d.between(2.5, 8),
        speckle=0.08, strokes=d.pick(0, 60, 150, 260), length=d.pick(0.8, 3.0),
        width=d.between(1.3, 2.6), relief=0.3, soften=0.3,
    )  # fmt: skip
