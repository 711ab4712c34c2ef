"""What stands in courtyards: trees, hedges, benches, planters, wells, fountains, lanterns."""

from __future__ import annotations

from mgenv.engine.scene.parts import (
    ACCENT,
    ALL,
    AT_WALL,
    BLACK,
    CLOTH,
    DARK_MAIN,
    EARTH,
    GREEN,
    IN_ROOM,
    LIGHT,
    METAL,
    PALE_CLOTH,
    WHITE,
    WOOD,
    Item,
    Part,
    first,
    inset,
    last,
    legs,
    middle,
)
from mgenv.engine.scene.shapes import CYLINDER, ELLIPSOID
from mgenv.engine.textures import textures as tx

OUTDOORS: dict[str, Item] = {
    "tree": Item(
        (1.3, 1.8),
        (1.3, 1.8),
        (2.3, 2.58),
        IN_ROOM,
        [
            Part(middle(0.2), middle(0.2), ((0, 0), (0.6, 0)), EARTH, shape=CYLINDER),
            Part(ALL, ALL, ((0.5, 0), (0.92, 0)), GREEN, EARTH, tx.LEAVES, shape=ELLIPSOID),
            Part(
                ((0, 0.1), (0.7, 0)), ((0.2, 0), (1, -0.1)), ((0.62, 0), (1, 0)), GREEN, EARTH,
                tx.LEAVES, shape=ELLIPSOID,
            ),
        ],
    ),
    "cypress": Item(
        (0.5, 0.7),
        (0.5, 0.7),
        (1.9, 2.5),
        AT_WALL,
        [
            Part(middle(0.14), middle(0.14), first(0.25), EARTH, shape=CYLINDER),
            Part(ALL, ALL, ((0, 0.15), (1, 0)), GREEN, BLACK, tx.LEAVES, shape=ELLIPSOID),
        ],
    ),
    "hedge": Item(
        (1.2, 2.6),
        (0.45, 0.6),
        (0.7, 1.2),
        AT_WALL,
        [Part(ALL, ALL, ALL, GREEN, EARTH, tx.LEAVES)],
    ),
    "planter": Item(
        (0.7, 1.3),
        (0.45, 0.6),
        (0.7, 1.0),
        AT_WALL,
        [
            Part(ALL, ALL, ((0, 0), (0.5, 0)), DARK_MAIN),
            Part(inset(0.04), inset(0.04), ((0.45, 0), (0.52, 0)), EARTH),
            *[
                Part(
                    middle(0.4, u), inset(0.03), ((0.4, 0), (1, 0)), GREEN, ACCENT, tx.LEAVES,
                    shape=ELLIPSOID,
                )
                for u in (0.28, 0.72)
            ],
        ],
    ),
    "bench": Item(
        (1.2, 1.8),
        (0.45, 0.55),
        (0.8, 0.9),
        AT_WALL,
        [
            Part(ALL, ALL, ((0, 0.4), (0, 0.46)), WOOD, DARK_MAIN, tx.PLANKS, 0.12),
            Part(ALL, first(0.06), ((0, 0.5), (1, 0)), WOOD, DARK_MAIN, tx.PLANKS, 0.12),
            *legs(METAL, (0, 0.4), 0.06),
        ],
    ),
    "well": Item(
        (1.0, 1.2),
        (1.0, 1.2),
        (2.0, 2.3),
        IN_ROOM,
        [
            Part(ALL, ALL, ((0, 0), (0, 0.8)), METAL, EARTH, tx.BRICKS, 0.3, CYLINDER),
            Part(inset(0.16), inset(0.16), ((0, 0.79), (0, 0.82)), BLACK, shape=CYLINDER),
            Part(first(0.1), middle(0.1), ((0, 0.8), (1, -0.2)), WOOD),
            Part(last(0.1), middle(0.1), ((0, 0.8), (1, -0.2)), WOOD),
            Part(inset(-0.1), inset(-0.05), ((1, -0.2), (1, -0.08)), ACCENT),
            Part(inset(0.1), inset(0.25), ((1, -0.08), (1, 0)), ACCENT),
        ],
    ),
    "fountain": Item(
        (1.3, 1.7),
        (1.3, 1.7),
        (1.2, 1.5),
        IN_ROOM,
        [
            Part(ALL, ALL, ((0, 0), (0, 0.4)), WHITE, METAL, shape=CYLINDER),
            Part(inset(0.12), inset(0.12), ((0, 0.39), (0, 0.42)), CLOTH, METAL, tx.LEAVES,
                 shape=CYLINDER),
            Part(middle(0.24), middle(0.24), ((0, 0.4), (1, -0.1)), WHITE, shape=CYLINDER),
            Part(middle(0.7), middle(0.7), ((1, -0.2), (1, -0.1)), WHITE, shape=CYLINDER),
            Part(middle(0.3), middle(0.3), ((1, -0.2), (1, 0)), METAL, shape=ELLIPSOID),
        ],
    ),
    "lantern": Item(
        (0.3, 0.36),
        (0.3, 0.36),
        (1.9, 2.4),
        AT_WALL,
        [
            Part(inset(0.02), inset(0.02), first(0.1), BLACK, shape=CYLINDER),
            Part(middle(0.08), middle(0.08), ((0, 0), (1, -0.35)), BLACK, shape=CYLINDER),
            Part(inset(0.04), inset(0.04), ((1, -0.35), (1, -0.06)), LIGHT, LIGHT, tx.GLOW),
            Part(ALL, ALL, ((1, -0.06), (1, 0)), BLACK),
        ],
    ),
    "parasol": Item(
        (1.3, 1.6),
        (1.3, 1.6),
        (2.2, 2.45),
        IN_ROOM,
        [
            Part(inset(0.25), inset(0.25), ((0, 0.7), (0, 0.74)), WOOD, shape=CYLINDER),
            Part(middle(0.4), middle(0.4), first(0.06), METAL, shape=CYLINDER),
            Part(middle(0.06), middle(0.06), ((0, 0), (1, -0.05)), WOOD, shape=CYLINDER),
            Part(ALL, ALL, ((1, -0.5), (1, 0)), CLOTH, PALE_CLOTH, tx.STRIPES, 0.5, ELLIPSOID),
        ],
    ),
    "statue": Item(
        (0.6, 0.7),
        (0.6, 0.7),
        (1.7, 2.2),
        AT_WALL,
        [
            Part(ALL, ALL, ((0, 0), (0.35, 0)), WHITE, METAL),
            Part(middle(0.34), middle(0.3), ((0.35, 0), (0.8, 0)), METAL, shape=ELLIPSOID),
            Part(middle(0.22), middle(0.22), ((0.78, 0), (1, 0)), METAL, shape=ELLIPSOID),
        ],
    ),
}  # fmt: skip
