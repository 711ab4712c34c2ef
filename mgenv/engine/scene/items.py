"""Tables, seats, beds, cupboards and desks, by name."""

from __future__ import annotations

from mgenv.engine.scene.parts import (
    ACCENT,
    ALL,
    AT_WALL,
    BLACK,
    CLOTH,
    DARK_MAIN,
    GREEN,
    IN_ROOM,
    LIGHT,
    MAIN,
    METAL,
    PALE_CLOTH,
    WHITE,
    Item,
    Part,
    first,
    inset,
    last,
    legs,
    middle,
    seat,
    vase,
)
from mgenv.engine.scene.shapes import CYLINDER
from mgenv.engine.textures import textures as tx

_TABLE = [Part(ALL, ALL, ((1, -0.07), (1, 0)), MAIN, DARK_MAIN, tx.PLANKS, 0.22)]
_BODY = ((0, 0.08), (1, 0))

FURNITURE: dict[str, Item] = {
    "table": Item(
        (1.0, 1.6),
        (0.7, 0.9),
        (0.7, 0.76),
        IN_ROOM,
        [*_TABLE, *legs(DARK_MAIN, (1, -0.07), 0.08), *vase(0.5, 0.5, (1, 0))],
    ),
    "dining set": Item(
        (1.5, 1.8),
        (1.9, 2.2),
        (0.74, 0.76),
        IN_ROOM,
        [
            Part(ALL, middle(0.85), ((1, -0.07), (1, 0)), MAIN, DARK_MAIN, tx.PLANKS, 0.25),
            Part(first(0.1, 0.05), middle(0.6), ((0, 0), (1, -0.07)), DARK_MAIN),
            Part(last(0.1, 0.05), middle(0.6), ((0, 0), (1, -0.07)), DARK_MAIN),
            *vase(0.4, 0.5, (1, 0)),
            *seat(0.27, 0.14, -1),
            *seat(0.73, 0.14, -1),
            *seat(0.27, 0.86, 1),
            *seat(0.73, 0.86, 1),
        ],
    ),
    "round table": Item(
        (0.9, 1.2),
        (0.9, 1.2),
        (0.6, 0.75),
        IN_ROOM,
        [
            Part(ALL, ALL, ((1, -0.07), (1, 0)), MAIN, DARK_MAIN, shape=CYLINDER),
            Part(middle(0.14), middle(0.14), ((0, 0), (1, -0.07)), DARK_MAIN, shape=CYLINDER),
            Part(middle(0.5), middle(0.5), ((0, 0), (0, 0.06)), DARK_MAIN, shape=CYLINDER),
            *vase(0.5, 0.5, (1, 0)),
        ],
    ),
    "coffee table": Item(
        (0.8, 1.2),
        (0.5, 0.7),
        (0.38, 0.45),
        IN_ROOM,
        [
            *_TABLE,
            Part(first(0.08, 0.05), inset(0.05), ((0, 0), (1, -0.07)), DARK_MAIN),
            Part(last(0.08, 0.05), inset(0.05), ((0, 0), (1, -0.07)), DARK_MAIN),
            Part(middle(0.3, 0.35), middle(0.22), ((1, 0), (1, 0.06)), ACCENT),
        ],
    ),
    "sofa": Item(
        (1.6, 2.3),
        (0.85, 1.0),
        (0.78, 0.9),
        AT_WALL,
        [
            Part(
                inset(0.18),
                ((0, 0.22), (1, 0)),
                ((0, 0.08), (0, 0.42)),
                CLOTH,
                PALE_CLOTH,
                tx.FABRIC,
                0.5,
            ),
            Part(ALL, first(0.24), ((0, 0.08), (1, 0)), CLOTH, PALE_CLOTH, tx.FABRIC, 0.5),
            Part(
                first(0.2),
                ((0, 0), (1, 0)),
                ((0, 0.08), (0, 0.6)),
                CLOTH,
                PALE_CLOTH,
                tx.FABRIC,
                0.5,
            ),
            Part(
                last(0.2),
                ((0, 0), (1, 0)),
                ((0, 0.08), (0, 0.6)),
                CLOTH,
                PALE_CLOTH,
                tx.FABRIC,
                0.5,
            ),
            Part(first(0.45, 0.24), ((0, 0.22), (0, 0.4)), ((0, 0.42), (0, 0.78)), ACCENT),
            Part(inset(0.1), inset(0.1), ((0, 0), (0, 0.08)), BLACK),
        ],
    ),
    "armchair": Item(
        (0.8, 0.95),
        (0.8, 0.9),
        (0.8, 0.95),
        AT_WALL,
        [
            Part(inset(0.16), ((0, 0.2), (1, 0)), ((0, 0.1), (0, 0.44)), PALE_CLOTH),
            Part(ALL, first(0.22), ((0, 0.1), (1, 0)), CLOTH),
            Part(first(0.17), ALL, ((0, 0.1), (0, 0.62)), CLOTH),
            Part(last(0.17), ALL, ((0, 0.1), (0, 0.62)), CLOTH),
        ],
    ),
    "bed": Item(
        (1.2, 1.9),
        (2.0, 2.15),
        (0.5, 0.58),
        AT_WALL,
        [
            Part(ALL, ALL, ((0, 0.1), (1, -0.22)), MAIN),
            Part(inset(0.04), inset(0.05), ((1, -0.22), (1, 0)), WHITE),
            Part(
                inset(0.02),
                ((0.35, 0), (1, -0.02)),
                ((1, -0.2), (1, 0.05)),
                CLOTH,
                PALE_CLOTH,
                tx.CHECKER,
                0.3,
            ),
            Part(middle(0.5, 0.28), first(0.36, 0.12), ((1, 0), (1, 0.12)), PALE_CLOTH),
            Part(middle(0.5, 0.72), first(0.36, 0.12), ((1, 0), (1, 0.12)), PALE_CLOTH),
            Part(ALL, first(0.08), ((0, 0), (1, 0.55)), MAIN, DARK_MAIN, tx.PLANKS, 0.2),
        ],
    ),
    "wardrobe": Item(
        (1.0, 1.9),
        (0.55, 0.65),
        (1.9, 2.2),
        AT_WALL,
        [
            Part(ALL, ALL, _BODY, MAIN, DARK_MAIN, tx.DOORS),
            Part(inset(0.04), inset(0.04), first(0.08), BLACK),
        ],
    ),
    "dresser": Item(
        (0.9, 1.4),
        (0.42, 0.5),
        (0.75, 1.0),
        AT_WALL,
        [
            Part(ALL, ALL, _BODY, MAIN, DARK_MAIN, tx.DRAWERS),
            Part(inset(0.04), inset(0.04), first(0.08), BLACK),
            *vase(0.25, 0.5, (1, 0)),
            Part(middle(0.25, 0.7), middle(0.25), ((1, 0), (1, 0.22)), ACCENT),
        ],
    ),
    "nightstand": Item(
        (0.45, 0.55),
        (0.4, 0.45),
        (0.5, 0.6),
        AT_WALL,
        [
            Part(ALL, ALL, _BODY, MAIN, DARK_MAIN, tx.DRAWERS),
            Part(inset(0.04), inset(0.04), first(0.08), BLACK),
            Part(middle(0.1), middle(0.1), ((1, 0), (1, 0.2)), METAL, shape=CYLINDER),
            Part(
                middle(0.3),
                middle(0.3),
                ((1, 0.2), (1, 0.45)),
                LIGHT,
                LIGHT,
                tx.GLOW,
                shape=CYLINDER,
            ),
        ],
    ),
    "bookshelf": Item(
        (0.9, 1.6),
        (0.3, 0.36),
        (1.7, 2.1),
        AT_WALL,
        [
            Part(first(0.07), ALL, ALL, MAIN),
            Part(last(0.07), ALL, ALL, MAIN),
            Part(ALL, first(0.06), ALL, DARK_MAIN),
            *[
                Part(inset(0.05), ALL, ((s, -0.035 if s else 0.0), (s, 0.035)), MAIN)
                for s in (0.0, 0.25, 0.5, 0.75, 0.985)
            ],
            *[
                Part(
                    ((0, 0.09), (e, 0)),
                    ((0, 0), (0.75, 0)),
                    ((s, 0.035), (s, 0.3)),
                    ACCENT,
                    c,
                    tx.BOOKS,
                    0.13,
                )
                for s, e, c in (
                    (0.0, 0.9, DARK_MAIN),
                    (0.25, 0.6, CLOTH),
                    (0.5, 0.8, WHITE),
                    (0.75, 0.45, GREEN),
                )
            ],
        ],
    ),
    "desk": Item(
        (1.2, 1.6),
        (0.65, 0.8),
        (0.72, 0.76),
        AT_WALL,
        [
            *_TABLE,
            Part(last(0.4, 0.03), inset(0.04), ((0, 0), (1, -0.07)), MAIN, DARK_MAIN, tx.DRAWERS),
            Part(first(0.08, 0.03), inset(0.04), ((0, 0), (1, -0.07)), DARK_MAIN),
            Part(
                middle(0.62, 0.4), first(0.06, 0.14), ((1, 0.1), (1, 0.5)), LIGHT, BLACK, tx.SCREEN
            ),
            Part(middle(0.2, 0.4), first(0.16, 0.1), ((1, 0), (1, 0.1)), BLACK),
        ],
    ),
    "office chair": Item(
        (0.5, 0.6),
        (0.5, 0.6),
        (0.95, 1.05),
        IN_ROOM,
        [
            Part(ALL, ALL, ((0, 0.42), (0, 0.52)), CLOTH),
            Part(ALL, first(0.1), ((0, 0.5), (1, 0)), CLOTH),
            Part(middle(0.1), middle(0.1), ((0, 0), (0, 0.42)), METAL, shape=CYLINDER),
            Part(inset(0.04), inset(0.04), first(0.06), BLACK, shape=CYLINDER),
        ],
    ),
}
