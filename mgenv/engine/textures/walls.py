"""Recipes of walls and roofs: each function draws one texture of its kind."""

from __future__ import annotations

from mgenv.engine.textures.colours import (
    beside,
    cloth_colour,
    hsv,
    lit,
    mixed,
    paint_colour,
    stone_colour,
    wood_colour,
)
from mgenv.engine.textures.recipe import (
    DAMASK,
    DOT,
    FLOWER,
    FRAME,
    GRID,
    PLAID,
    POINTS,
    RING,
    STRIPE,
    TRELLIS,
    ZIGZAG,
    Colour,
    Draws,
    Recipe,
)


def stained_or_painted(d: Draws, share: float) -> tuple[Colour, float]:
    """A wood's colour and the strength of its grain, which paint hides."""
    if d.chance(share):
        return paint_colour(d), 0.02
    return wood_colour(d), d.between(0.05, 0.1)


def plaster(d: Draws) -> Recipe:
    """Smooth, brushed, rough or blotched, in paint's colours."""
    base = paint_colour(d)
    worn = d.chance(0.3)
    brushed = d.pick(1.0, 1.0, 5.0, 9.0)
    return Recipe(
        size=d.between(1.6, 3.2),
        colours={"base": base,
                 "stain": mixed(lit(base, d.between(0.75, 1.2)), (0.6, 0.55, 0.5), 0.3)},
        grain=d.between(0.01, 0.05), grain_x=brushed, grain_y=d.pick(1.0, 2.0),
        mottle=d.between(0.012, 0.045), stain=d.between(0.4, 0.9) if worn else d.between(0.0, 0.3),
        blot=d.between(3.0, 13.0), vein=0.35 if d.chance(0.2) else 0.0, vein_width=0.05,
        vein_radius=9, speckle=d.between(0.0, 0.025),
    )  # fmt: skip


def _paper_motif(d: Draws) -> dict[str, float]:
    """What a wallpaper shows, in which cells."""
    kind = d.pick(
        STRIPE, STRIPE, DAMASK, DAMASK, DAMASK, FLOWER, FLOWER, DOT, TRELLIS, RING, ZIGZAG
    )
    many = d.pick(3, 4, 4, 6)
    half_drop = {"columns": many, "rows": d.pick(2, 4), "shift": 0.5, "motif": kind}
    if kind == STRIPE:
        thin = d.pick(0.0, 0.03, 0.07)
        return half_drop | {"rows": 1, "shift": 0, "columns": d.pick(3, 4, 5, 6, 8),
                            "motif_size": d.between(0.2, 0.55), "motif_detail": thin}  # fmt: skip
    if kind == DAMASK:
        return half_drop | {"columns": d.pick(2, 2, 3), "rows": d.pick(2, 2, 4),
                            "motif_size": d.between(0.45, 0.75)}  # fmt: skip
    if kind == TRELLIS:
        return half_drop | {"rows": many, "shift": 0, "motif_size": d.between(0.06, 0.16),
                            "motif_detail": d.pick(0.0, 0.2, 0.35)}  # fmt: skip
    if kind == ZIGZAG:
        return half_drop | {"columns": d.pick(2, 3, 4), "rows": d.pick(4, 6), "shift": 0,
                            "motif_size": d.between(0.25, 0.55)}  # fmt: skip
    detail = {FLOWER: d.whole(3, 8), RING: d.between(0.1, 0.2)}.get(kind, 0.0)
    many = d.pick(4, 6)
    size = d.between(0.3, 0.5) if kind == DOT else d.between(0.5, 0.85)
    return half_drop | {"columns": many, "rows": many, "motif_size": size, "motif_detail": detail}


def wallpaper(d: Draws) -> Recipe:
    """Stripes, damask, flowers, dots, trellis, zigzag on a painted ground."""
    base = paint_colour(d, 0.42, 0.92)
    light = d.between(0.68, 0.85) if d.chance(0.5) else d.between(1.15, 1.35)
    tone = mixed(lit(base, light), paint_colour(d, 0.4, 0.9), d.between(0.0, 0.25))
    if d.chance(0.3):
        tone = mixed(base, hsv(d.between(0.0, 1.0), 0.35, d.between(0.4, 0.85)), 0.5)
    return Recipe(
        size=d.between(0.9, 1.7), colours={"base": base, "motif": beside(base, tone)}, layout=GRID,
        **_paper_motif(d), grain=d.between(0.0, 0.03), grain_x=0, grain_y=d.pick(0, 5),
        mottle=d.between(0.0, 0.03), blot=10, speckle=0.01, soften=0.25,
    )  # fmt: skip


def panelling(d: Draws) -> Recipe:
    """Framed panels of wood, bare or painted."""
    base, grain = stained_or_painted(d, 0.45)
    columns, rows = d.pick((2, 1), (2, 2), (3, 2), (3, 3), (4, 2), (1, 2), (4, 4), (3, 1))
    return Recipe(
        size=d.between(0.5, 0.75) * max(columns, 2),
        colours={"base": base, "second": lit(base, 0.85), "joint": lit(base, 0.4),
                 "motif": lit(base, d.between(0.6, 0.75))}, layout=GRID, columns=columns, rows=rows,
        joint=1.0, joint_soft=1.2, bevel=d.between(0.1, 0.2), motif=FRAME,
        motif_size=d.between(0.6, 0.75), motif_detail=0.07 + 0.02 * columns / 2, tint=0.04,
        blend=0.6, grain=grain, grain_x=1, grain_y=14, rings=d.pick(0.0, 1.2), mottle=0.03, blot=9,
    )  # fmt: skip


def siding(d: Draws) -> Recipe:
    """Weatherboards across, or boards with dark gaps upright."""
    base, grain = stained_or_painted(d, 0.6)
    rows, upright = d.pick(6, 8, 10, 12), d.chance(0.45)
    return Recipe(
        size=rows * d.between(0.13, 0.22),
        colours={"base": base, "second": mixed(lit(base, 0.75), (0.5, 0.48, 0.45), 0.2),
                 "joint": lit(base, 0.45), "stain": mixed(lit(base, 0.7), (0.45, 0.42, 0.38), 0.5)},
        layout=GRID, columns=d.pick(1, 1, 2), rows=rows, shift=-1, uneven=0.4,
        uneven_rows=d.pick(0.0, 0.3) if upright else 0.0, upright=float(upright),
        joint=d.between(0.9, 1.4), slope=0.0 if upright else -d.between(0.05, 0.12),
        bevel=0.1 if upright else 0.0, tint=d.between(0.02, 0.07), blend=d.between(0.2, 0.9),
        grain=grain, grain_x=1 if upright else 14, grain_y=14 if upright else 1, mottle=0.03,
        stain=d.pick(0.0, 0.25, 0.5), blot=7,
    )  # fmt: skip


def _brick_colour(d: Draws) -> Colour:
    """Red, orange, brown, yellow, grey, or washed white."""
    hue, saturation, value = d.pick(
        (0.02, 0.6, 0.6), (0.03, 0.55, 0.68), (0.05, 0.55, 0.55), (0.1, 0.4, 0.75),
        (0.07, 0.15, 0.5), (0.01, 0.5, 0.48), (0.1, 0.06, 0.88),
    )  # fmt: skip
    return hsv(hue + d.spread(0, -0.02, 0.02), saturation * d.spread(1, 0.7, 1.25),
               value * d.spread(2, 0.82, 1.1))  # fmt: skip


def brick(d: Draws) -> Recipe:
    """Running, stack, or uneven old bond."""
    base = _brick_colour(d)
    old, rows = d.chance(0.3), d.pick(6, 8, 8, 10, 12)
    second = mixed(base, hsv(d.between(0.0, 0.1), 0.4, 0.45), 0.5)
    second = lit(second, d.between(0.75, 1.15))
    joint = hsv(0.1, d.between(0.02, 0.18), d.pick(0.3, 0.55, 0.68, 0.8) + d.between(-0.06, 0.06))
    return Recipe(
        size=rows * d.between(0.085, 0.14),
        colours={"base": base, "second": second, "joint": mixed(joint, base, 0.2),
                 "accent": lit(base, d.between(0.6, 0.85)), "stain": joint}, layout=GRID,
        columns=rows // 2 - d.pick(0, 1), rows=rows, shift=d.pick(0.5, 0.5, 0.5, 0.25, 0.0),
        uneven=0.35 if old else 0.0, warp=0.45 if old else 0.12, joint=d.between(0.9, 1.5),
        joint_soft=1.1, tint=d.between(0.04, 0.14), blend=d.between(0.3, 1.0),
        accent=d.pick(0.0, 0.0, 0.1, 0.25), bevel=d.between(0.0, 0.14), grain=d.between(0.02, 0.06),
        grain_x=1, grain_y=1, mottle=d.between(0.01, 0.06), stain=d.pick(0.0, 0.0, 0.2, 0.4),
        blot=d.between(4, 12), speckle=0.03,
    )  # fmt: skip


def ashlar(d: Draws) -> Recipe:
    """Hewn blocks in courses, even or not."""
    base = stone_colour(d)
    rows, rough = d.pick(2, 3, 4, 4, 5, 6), d.chance(0.5)
    return Recipe(
        size=rows * d.between(0.22, 0.42),
        colours={"base": base,
                 "second": mixed(lit(base, d.between(0.75, 1.2)), stone_colour(d), 0.3),
                 "joint": lit(base, d.pick(0.5, 0.6, 1.2)),
                 "stain": mixed(base, (0.35, 0.36, 0.3), 0.6)}, layout=GRID,
        columns=max(rows - d.pick(0, 1, 2), 1), rows=rows, shift=d.pick(0.5, -1, -1),
        uneven=d.pick(0.0, 0.4, 0.55), uneven_rows=d.pick(0.0, 0.3, 0.5),
        warp=d.between(0.3, 0.8) if rough else 0.1, joint=d.between(1.0, 1.8),
        tint=d.between(0.04, 0.12), blend=d.between(0.3, 1.0), bevel=d.between(0.06, 0.2),
        dome=3.0 if rough and d.chance(0.5) else 0.0, grain=d.between(0.02, 0.07),
        grain_x=d.pick(1, 2, 4), grain_y=d.pick(1, 2), mottle=d.between(0.02, 0.06),
        stain=d.pick(0.0, 0.2, 0.45), blot=d.between(3, 10), speckle=0.025,
    )  # fmt: skip


def rubble(d: Draws) -> Recipe:
    """A wall of stones as they were found."""
    base = stone_colour(d, 0.42, 0.75)
    columns = d.pick(4, 5, 6, 7)
    return Recipe(
        size=columns * d.between(0.17, 0.3),
        colours={"base": base, "second": mixed(stone_colour(d), lit(base, 0.7), 0.5),
                 "accent": stone_colour(d, 0.3, 0.8), "joint": lit(base, d.pick(0.45, 0.55, 1.15)),
                 "stain": (0.36, 0.38, 0.26)}, layout=POINTS, columns=columns,
        rows=columns + d.pick(0, 1, 2, 3), shift=0.5, uneven=d.between(0.55, 0.9),
        warp=d.between(0.3, 0.7), joint=d.between(1.2, 2.2), joint_soft=1.4,
        tint=d.between(0.06, 0.14), blend=d.between(0.5, 1.0), accent=d.pick(0.0, 0.15, 0.3),
        dome=d.between(2.0, 3.5), grain=d.between(0.03, 0.07), grain_x=2, grain_y=1, mottle=0.04,
        stain=d.pick(0.0, 0.0, 0.4), blot=d.between(4, 9), speckle=0.03,
    )  # fmt: skip


def concrete(d: Draws) -> Recipe:
    """Cast in slabs with tie holes, or in one piece; streaked and stained."""
    base = hsv(d.pick(0.07, 0.1, 0.13, 0.6), d.spread(0, 0.01, 0.13), d.spread(2, 0.42, 0.8))
    slabs, count = d.chance(0.55), d.pick(2, 2, 3)
    form = {"layout": GRID, "columns": count, "rows": d.pick(1, 2, count),
            "joint": d.between(0.8, 1.4), "shift": d.pick(0.0, 0.5), "motif": DOT,
            "motif_size": d.between(0.06, 0.1), "motif_share": d.pick(0.0, 1.0),
            "tint": 0.05}  # fmt: skip
    boards = {"layout": GRID, "rows": d.pick(6, 8, 10), "tint": 0.07, "joint": 0.8, "shift": -1,
              "columns": 1}  # fmt: skip
    return Recipe(
        size=d.between(1.6, 3.4),
        colours={"base": base,
                 "stain": mixed(lit(base, d.between(0.7, 0.85)), (0.45, 0.4, 0.33), 0.25),
                 "joint": lit(base, 0.7), "motif": lit(base, 0.6), "vein": lit(base, 0.55)},
        **(form if slabs else boards if d.chance(0.5) else {}), grain=d.between(0.015, 0.05),
        grain_x=1, grain_y=d.pick(1, 1, 10), mottle=d.between(0.02, 0.055),
        stain=d.between(0.1, 0.7), blot=d.between(3, 12), vein=d.pick(0.0, 0.0, 0.5),
        vein_width=0.05, vein_radius=d.pick(7, 11), speckle=d.between(0.01, 0.03),
    )  # fmt: skip


def _metal_form(d: Draws) -> dict[str, float]:
    kind, count = d.whole(0, 3), d.pick(2, 2, 3, 4)
    if kind == 0:  # corrugated
        return {"columns": d.pick(8, 10, 12, 16), "rows": d.pick(1, 2), "upright": 0,
                "motif": STRIPE, "motif_size": 0.45, "joint": 0.8}  # fmt: skip
    if kind == 1:  # ribbed sheets
        return {"columns": d.pick(3, 4, 5), "rows": 1, "motif": STRIPE, "motif_size": 0.12,
                "joint": 0.9, "bevel": 0.15}  # fmt: skip
    if kind == 2:  # plates with a raised middle
        return {"columns": count, "rows": count, "shift": d.pick(0.0, 0.5), "motif": FRAME,
                "motif_size": 0.8, "motif_detail": 0.05, "joint": 1.0, "bevel": 0.16}  # fmt: skip
    return {"columns": count, "rows": d.pick(1, 2, 4), "shift": d.pick(0.0, 0.5), "motif": DOT,
            "motif_size": 0.12, "motif_share": d.pick(0.0, 0.4), "joint": 1.1,
            "bevel": 0.14}  # fmt: skip


def metal(d: Draws) -> Recipe:
    """Corrugated, ribbed, riveted or plated sheets; steel, copper, rust or paint."""
    steel = hsv(d.pick(0.1, 0.55, 0.6), d.spread(0, 0.02, 0.15), d.spread(2, 0.42, 0.75))
    copper = hsv(d.pick(0.06, 0.1, 0.42), d.spread(1, 0.3, 0.5), d.spread(2, 0.45, 0.75))
    painted = paint_colour(d, 0.4, 0.8)
    base = d.pick(steel, steel, copper, painted)
    rust = d.chance(0.35)
    return Recipe(
        size=d.between(1.2, 2.4),
        colours={"base": base, "motif": lit(base, d.pick(0.72, 1.25)), "joint": lit(base, 0.5),
                 "stain": hsv(d.between(0.03, 0.07), 0.6, 0.45) if rust else lit(base, 0.85)},
        layout=GRID, **_metal_form(d), tint=d.between(0.01, 0.06), grain=d.between(0.01, 0.05),
        grain_x=d.pick(1, 12), grain_y=d.pick(1, 12), mottle=d.between(0.01, 0.04),
        stain=d.between(0.4, 0.9) if rust else d.between(0.0, 0.4), blot=d.between(3, 10),
        speckle=0.015,
    )  # fmt: skip


def shingles(d: Draws) -> Recipe:
    """Slates, wooden shakes, beaver tails and round tiles in overlapping rows."""
    slate = hsv(d.pick(0.58, 0.65, 0.08, 0.4), d.spread(1, 0.04, 0.22), d.spread(2, 0.38, 0.62))
    clay = hsv(d.spread(0, 0.01, 0.07), d.spread(1, 0.45, 0.65), d.spread(2, 0.5, 0.75))
    base = d.pick(slate, clay, wood_colour(d, 0.4, 0.65))
    rounding, rows = d.pick(0.0, 0.0, 0.25, 0.5, 0.8), d.pick(6, 8, 8, 10)
    return Recipe(
        size=rows * d.between(0.12, 0.22),
        colours={"base": base, "second": lit(base, d.between(0.65, 1.3)), "joint": lit(base, 0.4),
                 "accent": mixed(base, stone_colour(d), 0.5), "stain": (0.36, 0.38, 0.24)},
        layout=GRID, overlap=1, rounding=rounding, columns=rows - d.pick(0, 0, 1, 2), rows=rows,
        shift=0.5 if rounding else d.pick(0.5, -1), uneven=0.0 if rounding else d.pick(0.0, 0.4),
        joint=d.between(1.2, 1.9), joint_soft=1.4, slope=d.between(0.06, 0.16),
        tint=d.between(0.04, 0.14), blend=d.between(0.3, 1.0), accent=d.pick(0.0, 0.15),
        grain=d.between(0.02, 0.07), grain_x=1, grain_y=d.pick(1, 6), mottle=0.03,
        stain=d.pick(0.0, 0.0, 0.35), blot=6, speckle=0.02,
    )  # fmt: skip


def fabric(d: Draws) -> Recipe:
    """Hangings and covers: plain weave, plaid, stripes, dots or flowers."""
    base = cloth_colour(d)
    other = hsv(d.between(0, 1), d.between(0.05, 0.4), d.between(0.35, 0.85))
    kind, count = d.pick(PLAID, PLAID, STRIPE, 0, DOT, FLOWER, DAMASK, ZIGZAG), d.pick(2, 3, 4, 5)
    size = {DOT: 0.35, FLOWER: 0.7, DAMASK: 0.55}.get(kind, d.between(0.25, 0.5))
    detail = {PLAID: d.between(0.3, 0.8), FLOWER: d.whole(4, 7)}.get(kind, 0.0)
    return Recipe(
        size=d.between(0.6, 1.2),
        colours={"base": base, "motif": beside(base, mixed(base, other, d.between(0.4, 0.8)))},
        layout=GRID, columns=count, rows=count + count % 2 * (kind != PLAID),
        shift=0.5 if kind in (DOT, FLOWER, DAMASK) else 0.0, motif=kind, motif_size=size,
        motif_detail=detail, grain=d.between(0.03, 0.08), grain_x=d.pick(0, 3),
        grain_y=d.pick(0, 3), mottle=d.between(0.02, 0.06), blot=d.between(4, 10), speckle=0.03,
        soften=0.3,
    )  # fmt: skip
