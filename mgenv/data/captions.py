"""Captions of four levels from ground truth: scene, style, objects, motion.

Everything said is read off the scene's tables, the labelled pixels and the motions; nothing is
drawn, so the same recording always gets the same words.
"""

from __future__ import annotations

import colorsys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mgenv.data.episode import Captions, Episode
from mgenv.data.phrases import counted, joined, number_word, with_article
from mgenv.engine.estates.banks import estate_bank
from mgenv.engine.homes import layout
from mgenv.engine.render.daylight import SUNRISE, SUNSET
from mgenv.engine.render.raytrace import (
    FLOOR,
    FLOOR_MATERIAL,
    HOUR,
    KIND,
    LAMP_COLOUR,
    WALL_MATERIAL,
)
from mgenv.engine.render.segmentation import HOUSE, piece_names
from mgenv.engine.scene.batch import Scene
from mgenv.engine.textures import textures
from mgenv.engine.textures.bank import NUM_TEXTURES

ROOM_NAMES = {
    layout.CORRIDOR: "corridor",
    layout.LIVING: "living room",
    layout.BEDROOM: "bedroom",
    layout.KITCHEN: "kitchen",
    layout.OFFICE: "study",
    layout.STORAGE: "storage room",
    layout.BATH: "bathroom",
    layout.DINING: "dining room",
    layout.COURT: "courtyard",
}
WALLS = {
    textures.PLAIN: "painted walls",
    textures.TILES: "tiled walls",
    textures.STRIPES: "striped walls",
    textures.WAINSCOT: "panelled walls",
    textures.BRICKS: "brick walls",
}
FLOORS = {
    textures.PLANKS: "wooden boards",
    textures.TILES: "tiles",
    textures.CHECKER: "chequered tiles",
    textures.FABRIC: "carpet",
}
COVERED = {
    "plaster": "plastered", "wallpaper": "papered", "panelling": "panelled", "brick": "brick",
    "siding": "boarded", "ashlar": "stone", "rubble": "rough stone", "tile": "tiled",
    "mosaic": "mosaic", "concrete": "concrete", "walls": "patterned",
}  # fmt: skip
"""What walls are with an image texture of each category."""
LAID = {
    "boards": "wooden boards", "tile": "tiles", "mosaic": "mosaic tiles", "floors": "plates",
    "paving": "paving stones", "cobble": "cobbles",
}  # fmt: skip
"""What a floor with an image texture is of, where that is not the category's name."""
FIXED = ("door frame", "ceiling lamp", "window")
"""Labels of what is no furniture."""
STEPS = "stairs"
"""The label of steps, which are floor and no pieces."""
FIRST_LIGHT, LAST_LIGHT = 5.5, 19.5
"""Before and after these hours there is no twilight."""
DAYTIMES = (
    (FIRST_LIGHT, "before dawn"), (7.5, "at sunrise"), (11.0, "in the morning"), (13.0, "at noon"),
    (16.5, "in the afternoon"), (18.3, "at sunset"), (LAST_LIGHT, "at dusk"), (24.0, "at night"),
)  # fmt: skip
"""Times of day, each up to its hour."""
LEAST_SHARE = 0.005
"""A piece is seen if it fills this share of some picture."""
HUES = (
    (345, "red"), (290, "pink"), (250, "violet"), (195, "blue"), (160, "teal"), (65, "green"),
    (45, "yellow"), (15, "orange"),
)  # fmt: skip
"""Names of hues [degrees], each from there up to the one before."""
BRIGHT, DIM = 135.0, 105.0
"""Mean grey level of all pictures from which on light is bright, and up to which it is dim."""
WARM = 0.04
"""How much more red than green a lamp gives that is warm, as a share; cool is as much less."""


def describe(
    episode: Episode, scene: Scene, pieces: NDArray[np.uint8], characters: Sequence[str] = ()
) -> Captions:
    """What a recording of an engine's world shows.

    Args:
        scene: the world that it was recorded in.
        pieces: (T, H, W) of :func:`mgenv.engine.render.segmentation.pieces`.
        characters: the labels of those who walk about.
    """
    rooms = rooms_at(scene, episode.pose)
    main = scene.rooms[main_room(rooms)]
    names = piece_names(scene.belongs, int(scene.counts[1]))
    things = seen(names, pieces, characters) | steps_seen(episode)
    return Captions(
        scene=scene_caption(scene, rooms),
        style=style_caption(main, float(episode.rgb.mean()), scene.sky),
        objects=objects_caption(things, outdoors=int(main[KIND]) == layout.COURT),
        motion=motion_caption(episode.motion, episode.bumped, episode.fps),
    )


# -- the place ---------------------------------------------------------------------------------


def rooms_at(scene: Scene, pose: NDArray[np.float32]) -> list[int]:
    """The rooms that a camera (T, 4, 4) stands in, tick by tick; a doorway is the room before."""
    column, row = (pose[:, :2, 3] / layout.CELL).astype(int).T
    cells = scene.cells[row, column]
    rooms, here = [], int(cells[0]) & layout.ROOM_MASK
    for cell in cells:
        if cell < layout.DOORWAY:
            here = int(cell) & layout.ROOM_MASK
        rooms.append(here)
    return rooms


def main_room(rooms: Sequence[int]) -> int:
    """The room of most ticks, the earliest of equals."""
    return Counter(rooms).most_common(1)[0][0]


def scene_caption(scene: Scene, rooms: Sequence[int]) -> str:
    """How many rooms there are, and which of them are visited in which order."""
    kinds = [ROOM_NAMES[int(scene.rooms[room, KIND])] for room in dict.fromkeys(rooms)]
    begin = f"{place_name(scene)}. The walk begins in {with_article(kinds[0])}"
    if len(kinds) == 1:
        return f"{begin} and stays there"
    return f"{begin} and goes on to {joined(_each_new(kinds))}"


def place_name(scene: Scene) -> str:
    """A home, or an estate with its courtyards, its floors and the time of day."""
    total = int(scene.counts[0])
    courts = int((scene.rooms[:total, KIND] == layout.COURT).sum())
    indoors = total - courts
    rooms = f"{number_word(indoors)} {'room' if indoors == 1 else 'rooms'}"
    if not scene.sky.any():
        return f"A home of {rooms}"
    floors = len(np.unique(scene.levels[:total, FLOOR]))
    heights = f"on {number_word(floors)} floor heights" if floors > 1 else "on one floor"
    return f"An estate of {rooms} and {counted('courtyard', courts)} {heights}"


def daytime(hour: float) -> str:
    """A word for an hour.

    Example:
        >>> daytime(6.2), daytime(12.0), daytime(21.0)
        ('at sunrise', 'at noon', 'at night')
    """
    return next(name for end, name in DAYTIMES if hour <= end)


def _each_new(kinds: Sequence[str]) -> Iterable[str]:
    """All but the first, a kind that was there before as another of it."""
    for n, kind in enumerate(kinds[1:], 1):
        yield f"another {kind}" if kind in kinds[:n] else with_article(kind)


# -- how it looks ------------------------------------------------------------------------------


def style_caption(
    room: NDArray[np.float32], brightness: float, sky: NDArray[np.float32] | None = None
) -> str:
    """Walls, floor and light of the room of most ticks, and the time of day under a sky.

    Args:
        room: a row of the room table.
        brightness: mean grey level of the pictures, in [0, 255].
        sky: (16,) of its scene.
    """
    wall, floor = room[WALL_MATERIAL : WALL_MATERIAL + 8], room[FLOOR_MATERIAL : FLOOR_MATERIAL + 8]
    red, green, _ = room[LAMP_COLOUR : LAMP_COLOUR + 3]
    warmth = float(red / green) - 1.0
    tone = "warm" if warmth > WARM else "cool" if warmth < -WARM else "white"
    power = "bright" if brightness > BRIGHT else "dim" if brightness < DIM else "soft"
    light = f"{power}, {tone} light"
    hour = float(sky[HOUR]) if sky is not None and sky.any() else None
    if hour is not None:
        indoors = room[KIND] != layout.COURT
        light = f"{light if indoors else _open_light(hour, power)} {daytime(hour)}"
    sentence = f"{_walls(wall)}, a floor of {_ground(floor)}, and {light}"
    return sentence[0].upper() + sentence[1:]


def _open_light(hour: float, power: str) -> str:
    """The light under the sky; at night it is faint, however bright the rooms beside it are."""
    if SUNRISE < hour < SUNSET:
        return f"{power} daylight"
    return f"{power} twilight" if FIRST_LIGHT < hour <= LAST_LIGHT else "faint light"


def _walls(material: NDArray[np.float32]) -> str:
    if int(material[0]) != textures.IMAGE:
        return f"{colour_name(material[1:4])} {WALLS[int(material[0])]}"
    category, colour = _image(material)
    return f"{colour_name(colour)} {COVERED[category]} walls"


def _ground(material: NDArray[np.float32]) -> str:
    if int(material[0]) != textures.IMAGE:
        return f"{colour_name(material[1:4])} {FLOORS[int(material[0])]}"
    category, colour = _image(material)
    return f"{colour_name(colour)} {LAID.get(category, category)}"


def _image(material: NDArray[np.float32]) -> tuple[str, NDArray[np.floating]]:
    """The category of an image texture and its mean linear colour (3,)."""
    number = int(material[7])
    bank = estate_bank(number >= NUM_TEXTURES)
    category = next(name for name, numbers in bank.categories.items() if number in numbers)
    return category, material[1:4] * (bank.texels[number, -1] / 255.0) ** 2


def colour_name(linear: NDArray[np.floating]) -> str:
    """A plain word or two for a linear colour (3,).

    Example:
        >>> colour_name(np.array([0.0, 0.0, 0.16])), colour_name(np.ones(3))
        ('dark blue', 'white')
    """
    hue, saturation, value = colorsys.rgb_to_hsv(*np.sqrt(linear.clip(0.0, 1.0)).tolist())
    degrees = 360.0 * hue
    pale = value > 0.65 and saturation < 0.35
    if saturation < 0.1:
        return _first_above(value, ((0.85, "white"), (0.6, "light grey"), (0.35, "grey")), "black")
    if 15.0 <= degrees < 65.0 and saturation < 0.7:
        return _earth_name(degrees, saturation, value)
    name = _first_above(degrees, HUES, "red")
    if name == "red" and pale:
        return "pink"
    return ("dark " if value < 0.5 else "pale " if pale else "") + name


def _earth_name(degrees: float, saturation: float, value: float) -> str:
    if saturation < 0.35 and value > 0.6:
        return "cream" if degrees >= 40.0 or value > 0.85 else "beige"
    return _first_above(value, ((0.7, "light brown"), (0.45, "brown")), "dark brown")


def _first_above(x: float, names: Sequence[tuple[float, str]], otherwise: str) -> str:
    return next((name for least, name in names if x >= least), otherwise)


# -- what is seen ------------------------------------------------------------------------------


def seen(
    names: Sequence[str], pieces: NDArray[np.uint8], characters: Sequence[str] = ()
) -> dict[str, int]:
    """How many pieces of each label fill enough of some picture.

    Characters come first, then furniture, then doorways and lamps, the most shown first.

    Args:
        names: the label of each piece, see :func:`mgenv.engine.render.segmentation.piece_names`.
        pieces: (T, H, W).
        characters: the labels of the pieces from 255 down.
    """
    called = dict(enumerate(names, 1)) | {255 - n: name for n, name in enumerate(characters)}
    ticks = len(pieces)
    slots = pieces.reshape(ticks, -1) + 256 * np.arange(ticks, dtype=np.int32)[:, None]
    pixels = np.bincount(slots.ravel(), minlength=256 * ticks).reshape(ticks, 256)
    pixels[:, HOUSE] = 0
    shown = np.flatnonzero(pixels.max(0) >= LEAST_SHARE * pieces[0].size).tolist()
    total = pixels.sum(0)

    def rank(piece: int) -> tuple[bool, bool, int, int]:
        return piece <= len(names), called[piece] in FIXED, -total[piece], piece

    return dict(Counter(called[piece] for piece in sorted(shown, key=rank)))


def steps_seen(episode: Episode) -> dict[str, int]:
    """A flight of steps, if steps fill enough of some picture; flights are not told apart."""
    if episode.segmentation is None or STEPS not in episode.labels:
        return {}
    share = (episode.segmentation == episode.labels.index(STEPS)).mean((1, 2))
    return {STEPS: 1} if share.max() >= LEAST_SHARE else {}


def objects_caption(counts: Mapping[str, int], outdoors: bool = False) -> str:
    """What is seen, in the order given; of nothing, what is there in a room or ``outdoors``."""
    if not counts:
        return f"Nothing but walls, {'ground and sky' if outdoors else 'floor and ceiling'} is seen"
    things = [counted(label, count) for label, count in counts.items()]
    verb = "is" if len(things) == 1 and next(iter(counts.values())) == 1 else "are"
    sentence = f"{joined(things)} {verb} seen"
    return sentence[0].upper() + sentence[1:]


# -- what is done ------------------------------------------------------------------------------

WALKING, TURNING, TILTING = 0.3, 0.3, 0.2
"""From these speeds on [m/s], [rad/s], [rad/s] a camera walks, turns, tilts."""
MOST_PHASES = 6
"""Phases that are told apart at most."""


def motion_caption(motion: NDArray[np.float32], bumped: NDArray[np.bool_], fps: int) -> str:
    """What the camera does, second by second, alike seconds told once, and how often it bumps.

    Args:
        motion: (T, 5) of :class:`mgenv.data.episode.Episode`.
        bumped: (T,).
        fps: ticks a second.

    Example:
        >>> walk = np.tile(np.float32([0.1, 0, 0, 0, 0]), (20, 1))
        >>> motion_caption(walk, np.zeros(20, bool), 10)
        'The camera walks ahead'
    """
    steps = motion[:-1]
    window = max(fps, -(-len(steps) // (2 * MOST_PHASES)), 1)
    phases = [
        phase_words(steps[start : start + window].mean(0) * fps)
        for start in range(0, max(len(steps) - window // 2, 1), window)
        if len(steps)
    ]
    told = [p for n, p in enumerate(phases) if n == 0 or p != phases[n - 1]] or ["stands still"]
    kept = told[:MOST_PHASES]
    sentence = f"The camera {joined(kept, 'then')}" + (", and so on" if kept != told else "")
    hits = int(bumped[0]) + int((bumped[1:] & ~bumped[:-1]).sum())
    if hits:
        often = {1: "once", 2: "twice"}.get(hits, f"{number_word(hits)} times")
        sentence += f". It bumps into something {often}"
    return sentence


def phase_words(speed: NDArray[np.float32]) -> str:
    """What a camera does that moves at ``speed`` (5,) [m/s, rad/s]."""
    forward, left, up, yaw, pitch = speed.tolist()
    move = turn = ""
    if max(abs(forward), abs(left)) >= WALKING:
        if abs(forward) >= abs(left):
            move = "walks ahead" if forward > 0 else "walks backwards"
        else:
            move = "strafes left" if left > 0 else "strafes right"
    if abs(yaw) >= TURNING:
        turn = "left" if yaw > 0 else "right"
    if move == "walks ahead" and turn:
        return f"bears {turn}"
    if move or turn:
        return f"{move} while turning {turn}" if move and turn else move or f"turns {turn}"
    if abs(up) >= WALKING / 2:
        return "rises" if up > 0 else "sinks"
    if abs(pitch) >= TILTING:
        return "looks up" if pitch > 0 else "looks down"
    return "stands still"
