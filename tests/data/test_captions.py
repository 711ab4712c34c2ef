"""Captions say what is so."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from mgenv.camera import DEFAULT_INTRINSICS, Pose
from mgenv.data.captions import (
    ROOM_NAMES,
    colour_name,
    describe,
    motion_caption,
    objects_caption,
    rooms_at,
    scene_caption,
    seen,
    steps_seen,
    style_caption,
)
from mgenv.data.episode import Episode
from mgenv.data.motions import motions_of
from mgenv.data.phrases import counted, joined, number_word, with_article
from mgenv.engine.homes.furniture import LABELS
from mgenv.engine.homes.layout import BEDROOM, CELL, CORRIDOR, COURT, DOORWAY
from mgenv.engine.homes.palette import set_colour
from mgenv.engine.render.raytrace import HOUR, KIND, LAMP_COLOUR, SKY_SIZE, WALL_MATERIAL
from mgenv.engine.render.renderer import render_surfaces
from mgenv.engine.render.segmentation import pieces
from mgenv.engine.scene.scenes import make_scenes
from mgenv.engine.textures.textures import BRICKS

TICKS = 20


@pytest.fixture(scope="module")
def homes():
    return make_scenes(range(12), workers=1)


def middle_of(scene, room: int) -> tuple[float, float]:
    x0, y0, x1, y1 = scene.rooms[room, :4]
    return float(x0 + x1) / 2, float(y0 + y1) / 2


def pose_at(*places: tuple[float, float]) -> np.ndarray:
    where = torch.tensor([(x, y, 1.0) for x, y in places], dtype=torch.float32)
    return Pose.create(where, torch.zeros(len(places))).matrix.numpy()


def still(pose: np.ndarray) -> Episode:
    """A recording along ``pose`` of nothing in particular."""
    grey = np.full((len(pose), 8, 8, 3), 120, np.uint8)
    return Episode.from_poses(grey, pose, intrinsics=DEFAULT_INTRINSICS, source="test", name="test")


def captioned(homes, s: int, pose: np.ndarray):
    """Captions of a recording along ``pose``."""
    index = np.full(len(pose), s)
    rgb, _, surface = render_surfaces(homes, index, pose, 32)
    motion = motions_of(pose)
    episode = Episode(
        rgb.numpy(), pose, motion, motion, tuple("abcde"), np.zeros(len(pose), bool),
        DEFAULT_INTRINSICS, "test", "test",
    )  # fmt: skip
    return describe(episode, homes[s], pieces(homes, index, surface).numpy())


def walking(speed: tuple[float, ...], ticks: int = TICKS) -> np.ndarray:
    """Motions at [m/s] and [rad/s], ten ticks a second; the last is 0."""
    motion = np.tile(np.float32(speed) / 10, (ticks, 1))
    motion[-1] = 0
    return motion


# -- the place ---------------------------------------------------------------------------------


def test_the_first_room_is_where_the_walk_begins(homes):
    for s in range(len(homes)):
        for room in range(homes[s].counts[0]):
            here = middle_of(homes[s], room)
            name = ROOM_NAMES[int(homes[s].rooms[room, KIND])]
            caption = scene_caption(homes[s], rooms_at(homes[s], pose_at(here)))
            assert caption.endswith(f"begins in {with_article(name)} and stays there")
            assert f"A home of {number_word(int(homes[s].counts[0]))} rooms." in caption


def test_rooms_are_named_once_and_in_order(homes):
    scene = homes[0]
    kinds = scene.rooms[: scene.counts[0], KIND].astype(int)
    order = [2, 0, 2, 1, 0]
    caption = scene_caption(scene, rooms_at(scene, pose_at(*(middle_of(scene, r) for r in order))))
    named = re.findall("|".join(set(ROOM_NAMES.values())), caption)
    assert named == [ROOM_NAMES[kinds[room]] for room in (2, 0, 1)]


def test_a_second_room_of_a_kind_is_another(homes):
    scene = homes[0]._replace(rooms=homes[0].rooms.copy())
    scene.rooms[:, KIND] = BEDROOM
    assert "in a bedroom and goes on to another bedroom" in scene_caption(scene, [0, 0, 1])


def test_standing_in_a_doorway_is_no_visit(homes):
    scene = homes[0]
    row, column = np.argwhere((scene.cells >= DOORWAY) & (scene.cells < 255))[0]
    doorway = ((column + 0.5) * CELL, (row + 0.5) * CELL)
    rooms = rooms_at(scene, pose_at(middle_of(scene, 1), doorway, doorway))
    assert rooms == [1, 1, 1]


# -- how it looks ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hue", "saturation", "value", "name"),
    [
        (0.0, 0.8, 0.8, "red"), (0.33, 0.6, 0.6, "green"), (0.6, 0.7, 0.4, "dark blue"),
        (0.6, 0.2, 0.9, "pale blue"), (0.08, 0.5, 0.4, "dark brown"), (0.1, 0.2, 0.8, "beige"),
        (0.3, 0.02, 0.95, "white"), (0.3, 0.02, 0.5, "grey"), (0.0, 0.2, 0.9, "pink"),
    ],
)  # fmt: skip
def test_colours_have_their_plain_names(hue, saturation, value, name):
    linear = np.empty(3)
    set_colour(linear, hue, saturation, value)
    assert colour_name(linear) == name


def test_style_is_that_of_the_room(homes):
    room = homes[0].rooms[0].copy()
    room[WALL_MATERIAL], room[LAMP_COLOUR : LAMP_COLOUR + 3] = BRICKS, (1.1, 1.0, 0.9)
    room[WALL_MATERIAL + 1 : WALL_MATERIAL + 4] = 0.0, 0.0, 0.5
    caption = style_caption(room, 90.0)
    assert caption.startswith("Blue brick walls, a floor of ")
    assert caption.endswith("dim, warm light")
    room[LAMP_COLOUR : LAMP_COLOUR + 3] = 0.9, 1.0, 1.1
    assert style_caption(room, 160.0).endswith("bright, cool light")


@pytest.mark.parametrize(
    ("hour", "words"),
    [
        (5.2, "and faint light before dawn"), (5.8, "and soft twilight at sunrise"),
        (12.0, "and soft daylight at noon"), (18.2, "and soft twilight at sunset"),
        (19.4, "and soft twilight at dusk"), (20.5, "and faint light at night"),
    ],
)  # fmt: skip
def test_light_in_the_open_is_that_of_the_hour(homes, hour, words):
    room, sky = homes[0].rooms[0].copy(), np.ones(SKY_SIZE, np.float32)
    room[KIND], sky[HOUR] = COURT, hour
    assert style_caption(room, 120.0, sky).endswith(words)


# -- what is seen ------------------------------------------------------------------------------


def test_a_bed_in_view_is_mentioned_and_one_behind_is_not(homes):
    looked = 0
    for s in range(len(homes)):
        scene = homes[s]
        for row in np.flatnonzero(scene.belongs[:, 0] == LABELS.index("bed"))[::6]:
            x, y, _ = scene.objects[row, 1:4]
            beds = (scene.belongs[: scene.counts[1], 0] == LABELS.index("bed")).sum() // 6
            above = torch.tensor([float(x), float(y), 2.2])
            down = Pose.create(above, torch.tensor(0.3), torch.tensor(-1.2)).matrix.numpy()
            up = Pose.create(above, torch.tensor(0.3), torch.tensor(1.2)).matrix.numpy()
            assert re.search(r"\b(a|A|two|Two) beds?\b", captioned(homes, s, down[None]).objects)
            assert beds > 1 or "bed" not in captioned(homes, s, up[None]).objects
            looked += 1
    assert looked >= 4


def test_things_are_counted_once_however_often_they_are_seen():
    frames = np.zeros((3, 10, 10), np.uint8)
    frames[0, :3], frames[1, :3], frames[1, 5:], frames[2, 9] = 1, 1, 2, 3
    names = ["bed", "window", "bed", "plant"]
    assert seen(names, frames) == {"window": 1, "bed": 2}
    assert list(seen(names, frames)) == ["bed", "window"]


def test_what_is_too_small_to_see_is_not_seen():
    frames = np.zeros((2, 64, 64), np.uint8)
    frames[:, :4, :5] = 1  # 20 of 4096 pixels
    assert seen(["bed"], frames) == {}
    frames[1, 4, 0] = 1
    assert seen(["bed"], frames) == {"bed": 1}


def test_furniture_comes_before_doorways():
    frames = np.zeros((1, 10, 10), np.uint8)
    frames[0, :6], frames[0, 6:] = 1, 2
    assert list(seen(["door frame", "bed"], frames)) == ["bed", "door frame"]


def test_objects_are_a_sentence():
    assert objects_caption({"bed": 1}) == "A bed is seen"
    assert objects_caption({"armchair": 1, "bookshelf": 2}) == (
        "An armchair and two bookshelves are seen"
    )
    assert objects_caption({}) == "Nothing but walls, floor and ceiling is seen"


def test_a_courtyard_has_a_sky_and_no_ceiling(homes):
    """The same empty view, of a room and then of a courtyard."""
    scene = homes[0]._replace(rooms=homes[0].rooms.copy(), belongs=homes[0].belongs.copy())
    pose = pose_at(middle_of(scene, 1))
    empty = np.zeros((1, 8, 8), np.uint8)
    assert describe(still(pose), scene, empty).objects.endswith("floor and ceiling is seen")
    scene.rooms[1, KIND] = COURT
    told = describe(still(pose), scene, empty).objects
    assert told == "Nothing but walls, ground and sky is seen"


def test_steps_are_told_of_if_they_fill_enough_of_a_picture(homes):
    shown = np.zeros((3, 20, 20), np.uint8)
    episode = still(pose_at(*[middle_of(homes[0], 0)] * 3))
    episode.segmentation, episode.labels = shown, ("floor", "stairs")
    shown[1, 0, 0] = 1  # one of 400 pixels
    assert steps_seen(episode) == {}
    shown[1, 0, 1] = 1
    assert describe(episode, homes[0], np.zeros_like(shown)).objects == (
        "A flight of steps is seen"
    )


def test_every_label_has_a_plural():
    for label in LABELS:
        one, two = counted(label, 1), counted(label, 2)
        assert one.startswith(("a ", "an ")) and two.startswith("two ")
        assert one.split(" ", 1)[1] != two.split(" ", 1)[1]


# -- what is done ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("speed", "words"),
    [
        ((2, 0, 0, 0, 0), "walks ahead"), ((-2, 0, 0, 0, 0), "walks backwards"),
        ((0, 2, 0, 0, 0), "strafes left"), ((0, -2, 0, 0, 0), "strafes right"),
        ((0, 0, 0, 1, 0), "turns left"), ((0, 0, 0, -1, 0), "turns right"),
        ((2, 0, 0, 1, 0), "bears left"), ((0, 0, 0.5, 0, 0), "rises"),
        ((0, 0, 0, 0, -0.5), "looks down"), ((0, 0, 0, 0, 0), "stands still"),
        ((0, -2, 0, 1, 0), "strafes right while turning left"),
    ],
)  # fmt: skip
def test_a_motion_has_its_words(speed, words):
    assert motion_caption(walking(speed), np.zeros(TICKS, bool), 10) == f"The camera {words}"


def test_one_motion_after_another_is_told_in_order():
    ahead, turn = walking((2, 0, 0, 0, 0)), walking((0, 0, 0, -1, 0))
    caption = motion_caption(np.concatenate([ahead, turn, ahead]), np.zeros(3 * TICKS, bool), 10)
    assert caption == "The camera walks ahead, turns right, then walks ahead"


def test_speed_is_a_second_s_whatever_the_rate():
    slow = walking((2, 0, 0, 0, 0)) / 10
    assert motion_caption(slow, np.zeros(TICKS, bool), 10) == "The camera stands still"
    assert motion_caption(slow, np.zeros(TICKS, bool), 100) == "The camera walks ahead"


def test_a_long_bump_is_one_bump():
    bumped = np.zeros(TICKS, bool)
    motion = walking((1, 0, 0, 0, 0))
    assert "bumps" not in motion_caption(motion, bumped, 10)
    bumped[0:4] = True
    assert motion_caption(motion, bumped, 10).endswith("It bumps into something once")
    bumped[[6, 8, 9]] = True
    assert motion_caption(motion, bumped, 10).endswith("It bumps into something three times")


@pytest.mark.parametrize("ticks", [1, 2])
def test_the_shortest_recordings_have_captions(homes, ticks):
    captions = captioned(homes, 0, pose_at(*[middle_of(homes[0], 0)] * ticks))
    assert captions.motion == "The camera stands still"


def test_a_corridor_is_where_it_says(homes):
    """A walk down a corridor, all four levels together."""
    s, room = next(
        (s, r)
        for s in range(len(homes))
        for r in range(homes[s].counts[0])
        if homes[s].rooms[r, KIND] == CORRIDOR
    )
    x, y = middle_of(homes[s], room)
    captions = captioned(homes, s, pose_at(*[(x - 0.6 + 0.06 * t, y) for t in range(TICKS)]))
    assert "begins in a corridor" in captions.scene and "walls" in captions.style
    assert captions.motion == "The camera walks ahead"
    assert str(captions).count(". ") == 4 and str(captions).endswith(".")
    assert joined(["a", "b", "c"]) == "a, b and c"
