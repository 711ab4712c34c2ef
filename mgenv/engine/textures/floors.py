"""Recipes of floors indoors: each function draws one texture of its kind."""

from __future__ import annotations

from mgenv.engine.textures.colours import (
    beside,
    cloth_colour,
    hsv,
    lit,
    mixed,
    muted,
    paint_colour,
    stone_colour,
    wood_colour,
)
from mgenv.engine.textures.recipe import (
    BASKET,
    DAMASK,
    DOT,
    FLOWER,
    FRAME,
    GRID,
    HERRINGBONE,
    PLAID,
    POINTS,
    QUARTERS,
    RING,
    ROSETTE,
    STRIPE,
    TRELLIS,
    ZIGZAG,
    Draws,
    Recipe,
)


def boards(d: Draws) -> Recipe:
    """Long boards laid at random, planed or weathered."""
    base = wood_colour(d)
    rows = d.pick(5, 6, 7, 8, 10)
    grey = d.chance(0.2)
    base = mixed(base, (0.55, 0.53, 0.5), 0.6) if grey else base
    return Recipe(
        size=rows * d.between(0.12, 0.2),
        colours={"base": base,
                 "second": lit(mixed(base, wood_colour(d), 0.2), d.between(0.68, 0.85)),
                 "joint": lit(base, d.between(0.35, 0.6)), "stain": lit(base, 0.7)}, layout=GRID,
        columns=1, rows=rows, shift=-1, uneven_rows=d.pick(0.0, 0.0, 0.5),
        joint=d.between(0.7, 1.2), joint_soft=1.1, tint=d.between(0.03, 0.1),
        blend=d.between(0.4, 1.0), bevel=d.between(0.0, 0.08), grain=d.between(0.05, 0.1),
        grain_x=d.pick(9, 14, 20), grain_y=d.pick(0, 1, 1, 2), rings=d.pick(0.0, 0.0, 0.7, 1.1),
        mottle=0.02, stain=d.pick(0.0, 0.0, 0.3), blot=8, speckle=0.01,
    )  # fmt: skip


def _parquet_form(d: Draws) -> dict[str, float]:
    kind = d.whole(0, 3)
    if kind == 0:
        blocks, columns = d.pick((2, 8), (3, 6), (3, 12), (4, 8), (5, 10))
        return {"layout": HERRINGBONE, "blocks": blocks, "columns": columns,
                "askew": d.pick(0, 0, 1)}  # fmt: skip
    if kind == 1:
        columns = d.pick(2, 4)
        return {"layout": BASKET, "blocks": d.pick(3, 4, 5) if columns == 2 else d.pick(2, 3),
                "columns": columns, "askew": d.pick(0, 0, 1)}  # fmt: skip
    if kind == 2:
        return {"layout": GRID, "columns": d.pick(2, 4), "rows": d.pick(6, 8, 10),
                "chevron": d.pick(-1, 1) * d.between(0.6, 1.0)}  # fmt: skip
    count = d.pick(3, 4)
    return {"layout": GRID, "columns": count, "rows": count, "motif": FRAME,
            "motif_size": d.between(0.65, 0.85), "motif_detail": d.between(0.06, 0.12),
            "askew": d.pick(0, 1)}  # fmt: skip


def parquet(d: Draws) -> Recipe:
    """Herringbone, basket weave, chevron, and framed squares."""
    base = wood_colour(d)
    return Recipe(
        size=d.between(0.9, 1.5),
        colours={"base": base, "second": lit(base, d.between(0.65, 0.82)), "joint": lit(base, 0.45),
                 "accent": lit(base, 0.65), "motif": lit(base, d.between(0.55, 0.75))},
        **_parquet_form(d), joint=d.between(0.6, 1.0), joint_soft=1.1, tint=d.between(0.04, 0.1),
        blend=d.between(0.4, 1.0), accent=d.pick(0.0, 0.15), grain=d.between(0.04, 0.09),
        grain_x=10, grain_y=d.pick(0, 1), mottle=0.02, blot=8, speckle=0.01,
    )  # fmt: skip


def _tile_form(d: Draws) -> dict[str, float]:
    kind, count = d.whole(0, 5), d.pick(2, 3, 4, 4, 5, 6)
    even = count // 2 * 2
    if kind == 0:  # subway
        rows = d.pick(6, 8, 10)
        return {"columns": rows // 2, "rows": rows, "shift": d.pick(0.0, 0.5, 0.5), "bevel": 0.12,
                "upright": d.pick(0, 0, 1)}  # fmt: skip
    if kind == 1:  # octagons with dots
        return {"columns": count, "rows": count, "cut": 64 / count * d.between(0.22, 0.32)}
    if kind == 2:  # checks
        return {"columns": max(even, 2), "rows": max(even, 2), "motif": QUARTERS, "joint": 0.0,
                "askew": d.pick(0, 1)}  # fmt: skip
    if kind == 3:  # painted
        return {"columns": min(count, 4), "rows": min(count, 4),
                "motif": d.pick(ROSETTE, ROSETTE, FLOWER, RING), "motif_size": 0.85,
                "motif_detail": 0.0, "motif_share": d.pick(1.0, 1.0, 0.4)}  # fmt: skip
    return {"columns": count, "rows": count, "askew": d.pick(0, 0, 1), "bevel": d.between(0, 0.1)}


def tile(d: Draws) -> Recipe:
    """Glazed or stone tiles: plain, subway, checks, octagons, painted."""
    base = paint_colour(d, 0.5, 0.92) if d.chance(0.65) else stone_colour(d, 0.5, 0.85)
    second = lit(base, d.between(0.82, 1.08))
    dark = mixed(
        hsv(d.between(0, 1), 0.4, d.between(0.3, 0.6)), lit(base, 0.55), d.between(0.0, 0.7)
    )
    form: dict[str, float] = {"joint": d.between(0.9, 1.5)} | _tile_form(d)
    if form.get("motif") == FLOWER:
        form["motif_detail"] = d.whole(4, 8)
    if form.get("motif") == RING:
        form |= {"motif_size": 0.6, "motif_detail": 0.14}
    return Recipe(
        size=max(0.6, max(form["columns"], form["rows"]) * d.between(0.16, 0.34)),
        colours={"base": base, "second": second,
                 "joint": hsv(0.1, 0.06, d.pick(0.4, 0.6, 0.75, 0.88)), "motif": beside(base, dark),
                 "accent": dark, "vein": lit(base, 0.75)}, layout=GRID, **form,
        tint=d.between(0.01, 0.06), blend=d.between(0.3, 1.0), accent=d.pick(0.0, 0.0, 0.0, 0.12),
        grain=d.between(0.0, 0.025), grain_x=2, grain_y=2, mottle=d.between(0.0, 0.04),
        blot=d.between(4, 10), vein=d.pick(0.0, 0.0, 0.4), vein_width=0.1, vein_radius=5,
    )  # fmt: skip


def mosaic(d: Draws) -> Recipe:
    """Hexagons, small squares and broken pieces in two or three colours."""
    base = paint_colour(d, 0.5, 0.92)
    hue = d.between(0, 1)
    kind, count = d.whole(0, 2), d.pick(6, 8, 10)
    if kind == 0:
        form = {"layout": POINTS, "columns": count, "rows": {6: 6, 8: 10, 10: 12}[count],
                "shift": 0.5}  # fmt: skip
    elif kind == 1:
        form = {"layout": GRID, "columns": count, "rows": count, "askew": d.pick(0, 0, 1)}
    else:
        form = {"layout": POINTS, "columns": count, "rows": count, "shift": 0.5,
                "uneven": d.between(0.4, 0.8)}  # fmt: skip
    second = mixed(lit(base, d.between(0.6, 1.1)), hsv(hue, 0.4, 0.6), d.between(0, 0.6))
    hue += d.between(-0.1, 0.1)
    accent = mixed(hsv(hue, d.between(0.15, 0.42), d.between(0.4, 0.75)), base, 0.15)
    return Recipe(
        size=count * d.between(0.08, 0.15),
        colours={"base": base, "second": second, "accent": accent,
                 "joint": hsv(0.1, 0.06, d.pick(0.45, 0.65, 0.85))}, **form,
        joint=d.between(0.8, 1.3), joint_soft=1.2, tint=d.between(0.02, 0.08),
        blend=d.between(0.4, 1.0), accent=d.pick(0.0, 0.1, 0.25, 0.4), bevel=d.between(0, 0.06),
        mottle=d.between(0.01, 0.05), blot=9,
    )  # fmt: skip


def marble(d: Draws) -> Recipe:
    """Polished slabs with veins and clouds."""
    value = d.spread(2, 0.35, 0.9)
    hue = d.pick(0.02, 0.06, 0.09, 0.12, 0.4, 0.6) + d.between(-0.02, 0.02)
    base = hsv(hue, muted(hue, d.spread(1, 0.02, 0.3)) * (1.3 - 0.6 * value), value)
    vein = (
        lit(base, d.between(0.55, 0.8))
        if value > 0.6 or d.chance(0.3)
        else mixed(base, (0.9, 0.88, 0.84), 0.6)
    )
    count = d.pick(1, 1, 2, 2, 3)
    radius = d.between(4, 12)
    slabs = {"layout": GRID, "columns": count, "rows": count, "joint": 0.9, "tint": 0.04,
             "askew": d.pick(0, 0, 1)}  # fmt: skip
    return Recipe(
        size=d.between(0.8, 1.8),
        colours={"base": base, "stain": mixed(lit(base, d.between(0.75, 1.15)), vein, 0.35),
                 "vein": vein, "joint": lit(base, 0.65), "second": lit(base, 0.9)},
        **(slabs if count > 1 else {}), vein=d.between(0.45, 0.95),
        vein_width=d.between(0.8, 2.4) / radius, vein_radius=radius, stain=d.between(0.3, 0.9),
        mottle=d.between(0.01, 0.05), blot=d.between(4, 10), grain=0.02, grain_x=2, grain_y=2,
        speckle=0.01,
    )  # fmt: skip


def terrazzo(d: Draws) -> Recipe:
    """Chips of stone in cement, or granite's grains."""
    base = (
        stone_colour(d, 0.45, 0.88)
        if d.chance(0.75)
        else mixed(paint_colour(d, 0.5, 0.88), (0.7, 0.7, 0.68), 0.4)
    )
    fine = d.chance(0.4)
    chip = mixed(lit(base, d.pick(0.6, 1.25)), hsv(d.between(0, 1), 0.3, 0.6), 0.4)
    return Recipe(
        size=d.between(0.5, 0.9),
        colours={"base": base, "stroke": stone_colour(d, 0.3, 0.9), "stroke_2": chip},
        strokes=d.whole(450, 700) if fine else d.whole(90, 220),
        length=1.0 if fine else d.between(1.5, 3.5), width=1.6 if fine else d.between(2.2, 3.8),
        mottle=d.between(0.01, 0.05), blot=9, speckle=0.02, soften=d.between(0.25, 0.4),
    )  # fmt: skip


def _carpet_motif(d: Draws) -> dict[str, float]:
    kind, count = (
        d.pick(0, 0, DAMASK, ROSETTE, TRELLIS, PLAID, ZIGZAG, RING, DOT, STRIPE),
        d.pick(2, 2, 3, 4),
    )
    size = {TRELLIS: d.between(0.1, 0.25), ROSETTE: 0.9, DAMASK: 0.6}.get(kind, d.between(0.3, 0.6))
    detail = {TRELLIS: d.pick(0.0, 0.3), RING: 0.15, PLAID: 0.5, STRIPE: d.pick(0.0, 0.08)}.get(
        kind, 0.0
    )
    shifted = kind in (DAMASK, DOT, RING)
    return {"motif": kind, "columns": count, "rows": count + count % 2 * shifted,
            "motif_size": size, "motif_detail": detail, "shift": 0.5 * shifted}  # fmt: skip


def carpet(d: Draws) -> Recipe:
    """Pile with tufts, flecked, looped or patterned."""
    base = cloth_colour(d, 0.34, 0.74)
    other = hsv(d.between(0, 1), d.between(0.1, 0.4), d.between(0.35, 0.8))
    return Recipe(
        size=d.between(0.7, 1.6),
        colours={"base": base, "motif": beside(base, mixed(base, other, d.between(0.35, 0.8))),
                 "stroke": lit(base, 0.7), "stroke_2": mixed(lit(base, 1.3), other, 0.2)},
        layout=GRID, **_carpet_motif(d), grain=d.between(0.05, 0.12), grain_x=d.pick(0, 1, 4),
        grain_y=d.pick(0, 1, 1), mottle=d.between(0.03, 0.08), blot=d.between(3, 9), speckle=0.05,
        strokes=d.pick(0, 0, 150, 300), length=1.0, width=1.2, soften=0.35,
    )  # fmt: skip
