"""Houses around courtyards, on several floor heights, under a sun."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from mgenv.camera import CAMERA_HEIGHT, DEFAULT_INTRINSICS, Pose
from mgenv.engine.estates.banks import estate_bank
from mgenv.engine.estates.freedoom import freedoom
from mgenv.engine.estates.layout import ROOM_HEIGHT
from mgenv.engine.estates.terrain import CLIMB, STEP, height_at
from mgenv.engine.homes.furniture import LABELS
from mgenv.engine.homes.layout import (
    BARRED,
    BEYOND,
    CELL,
    COURT,
    DOORWAY,
    GRID,
    PARAPET,
    ROOM_MASK,
    STAIRS,
    WALL,
    WINDOW_SILL,
)
from mgenv.engine.motion import navigation
from mgenv.engine.people.crowd import place
from mgenv.engine.render.daylight import fill_sky
from mgenv.engine.render.random_stream import new_stream
from mgenv.engine.render.raytrace import (
    FLOOR_MATERIAL,
    HIT_SKY,
    HOUR,
    KIND,
    LAMP_COLOUR,
    SKY_SIZE,
    SUN,
    SUN_COLOUR,
    WALL_MATERIAL,
    trace,
)
from mgenv.engine.render.renderer import render, render_surfaces
from mgenv.engine.render.segmentation import classes
from mgenv.engine.render.shading import FIRST_PART, SKY_DEPTH, SUNLIT
from mgenv.engine.scene.baking import ROBOT_RADIUS, overlap
from mgenv.engine.scene.batch import empty_batch
from mgenv.engine.scene.scenes import make_scene, make_scenes
from mgenv.engine.scene.world_ids import ESTATES, FREEDOOM_ESTATES, HELD_OUT, is_held_out
from mgenv.engine.textures.bank import NUM_TEXTURES
from mgenv.engine.textures.textures import IMAGE
from mgenv.errors import MissingExtraError
from mgenv.worlds.engine import EngineWorld
from mgenv.worlds.sources import engine_view
from tests.engine.rooms import box_room, level_pose

COUNT, FRAMES, SIZE = 24, 60, 32


@pytest.fixture(scope="module")
def estates():
    return make_scenes([ESTATES + n for n in range(COUNT)], workers=1)


@pytest.fixture(scope="module")
def walks(estates):
    return navigation.explore_many(estates, FRAMES, np.arange(COUNT), workers=1)


@pytest.fixture(scope="module")
def shown(estates, walks):
    """(classes, depth, surface) of every frame."""
    index = np.repeat(np.arange(COUNT), FRAMES)
    _, depth, surface = render_surfaces(estates, index, walks.pose.reshape(-1, 4, 4), SIZE)
    return classes(estates, index, surface), depth, surface


def rooms_of(scene) -> range:
    return range(int(scene.counts[0]))


def test_an_id_names_one_estate(estates):
    again = make_scene(ESTATES + 5)
    for one, other in zip(estates[5], again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(estates[5].cells, make_scene(ESTATES + HELD_OUT + 5).cells)


def test_every_estate_has_rooms_courts_and_floors_of_several_heights(estates):
    heights = []
    for n in range(COUNT):
        scene = estates[n]
        kinds = scene.rooms[: scene.counts[0], KIND]
        assert (kinds == COURT).any() and (kinds != COURT).sum() >= 3
        heights.append(len(np.unique(scene.levels[list(rooms_of(scene)), 0])))
        courts = [room for room in rooms_of(scene) if kinds[room] == COURT]
        assert (scene.levels[courts, 1] > 100).all(), "a court has a ceiling"
    assert np.mean(heights) > 2.0 and max(heights) >= 4
    cells = estates.arrays.cells
    for flag, end in ((STAIRS, DOORWAY), (DOORWAY, WINDOW_SILL), (WINDOW_SILL, PARAPET)):
        share = ((cells >= flag) & (cells < end)).any((1, 2)).mean()
        assert share > 0.9, flag
    assert (cells == BEYOND).any((1, 2)).all()


def test_neighbouring_free_cells_are_a_step_apart_at_most(estates):
    free, ground = estates.arrays.free > 0, estates.arrays.ground
    for axis in (1, 2):
        both = np.diff(free.astype(int), axis=axis) == 0
        both &= np.take(free, range(GRID - 1), axis)
        assert np.abs(np.diff(ground, axis=axis))[both].max() <= CLIMB


def test_stairs_are_climbed(estates):
    """Free floor joins at least two heights, in most estates."""
    joined = [len(np.unique(estates[n].ground[estates[n].free > 0])) > 1 for n in range(COUNT)]
    assert np.mean(joined) > 0.9
    area = (estates.arrays.free > 0).sum((1, 2)) * CELL**2
    assert area.min() > 20.0 and area.mean() > 70.0


def test_the_camera_follows_the_floor_and_touches_nothing(estates, walks):
    aside, climbed = np.empty(2), 0.0
    for n in range(COUNT):
        scene, count = estates[n], int(estates[n].counts[1])
        for pose in walks.pose[n, ::3]:
            x, y, z = pose[:3, 3].astype(float)
            depth = overlap(
                scene.cells, scene.ground, scene.objects, count, x, y, z, ROBOT_RADIUS, aside
            )
            assert depth < 0.01
        climbed = max(climbed, float(np.ptp(walks.pose[n, :, 2, 3])))
    assert climbed > 2 * STEP


@pytest.mark.parametrize("style", ["differential", "holonomic"])
def test_a_level_robot_stays_at_its_height_above_the_floor(estates, style):
    walk = navigation.explore_many(estates, FRAMES, np.arange(COUNT), 1, style)
    for n in range(COUNT):
        x, y, z = walk.pose[n, :, :3, 3].T
        floor = [height_at(estates[n].ground, *spot) for spot in zip(x, y, strict=True)]
        np.testing.assert_allclose(z - floor, CAMERA_HEIGHT, atol=2e-3)


def test_nothing_is_entered_that_is_barred(estates):
    assert not (estates.arrays.free[estates.arrays.cells >= BARRED]).any()


def test_the_sky_is_seen_from_courts_and_not_from_above_the_walls_of_rooms(estates, shown):
    kinds, depth, surface = shown
    sky = kinds == LABELS.index("sky")
    assert 0.05 < sky.float().mean() < 0.5
    assert (depth[sky] == SKY_DEPTH).all() and (depth <= SKY_DEPTH).all() and (depth > 0).all()
    for n in range(COUNT):
        scene = estates[n]
        for room in rooms_of(scene):
            far = _looked_up(estates, n, room)
            if scene.rooms[room, KIND] == COURT:
                assert (far == SKY_DEPTH).any()
            else:
                assert (far < ROOM_HEIGHT).all()


def _looked_up(estates, n: int, room: int) -> torch.Tensor:
    """Depths straight up from places all over a room."""
    scene = estates[n]
    spots = np.argwhere(scene.cells == room)[::9]
    poses = np.tile(np.eye(4, dtype=np.float32), (len(spots), 1, 1))
    poses[:, :2, 3] = (spots[:, ::-1] + 0.5) * CELL
    poses[:, 2, 3] = scene.levels[room, 0] + 2.0
    return render(estates, np.full(len(spots), n), poses, 1)[1]


def test_steps_windows_and_doors_are_labelled(shown):
    seen = set(torch.unique(shown[0]).tolist())
    for name in ("stairs", "sky", "window", "door frame", "tree", "bench", "wall", "ceiling"):
        assert LABELS.index(name) in seen, name


def _sunny(estates) -> int:
    a = estates.arrays
    return int(np.argmax(a.sky[:, SUN_COLOUR] * (a.sky[:, SUN + 2] > 0.5)))


def test_the_sun_casts_shadows(estates, walks):
    """Lit is what faces the sun and sees it: each point against rays of its own."""
    s = _sunny(estates)
    a, sun = estates.arrays, estates[s].sky[SUN : SUN + 3]
    poses = walks.pose[s, ::6]
    _, depth, surface = render_surfaces(estates, np.full(len(poses), s), poses, SIZE)
    points = Pose(torch.from_numpy(poses)).do(
        DEFAULT_INTRINSICS.unproject(depth).reshape(len(poses), -1, 3)
    )
    flat = (surface & (SUNLIT - 1)).flatten(1)
    lit, found = (surface & SUNLIT).flatten(1) > 0, [0, 0]
    for f, n in np.argwhere((flat % 8 == 0).numpy() & (flat < 1024).numpy())[::2]:
        start = points[f, n].numpy().astype(np.float32) + np.float32([0, 0, 0.01])
        code = trace(a.cells, a.levels, a.objects, a.starts, a.items, s, *start, *sun)[1]
        assert bool(lit[f, n]) == (code == HIT_SKY)
        found[int(lit[f, n])] += 1
    assert min(found) > 20


def test_no_sun_no_shadows(estates, shown):
    dark = np.flatnonzero(estates.arrays.sky[:, SUN_COLOUR] == 0)
    assert len(dark) and not (shown[2].view(COUNT, -1)[dark] & SUNLIT).any()


def test_characters_cast_shadows_too(estates):
    s = _sunny(estates)
    scene = estates[s]
    court = next(room for room in rooms_of(scene) if scene.rooms[room, KIND] == COURT)
    spots = np.argwhere((scene.cells == court) & (scene.free > 0))
    y, x = (spots[len(spots) // 2] + 0.5) * CELL
    path = np.float32([[[x, y, 0.0, 0.0]]])
    height = float(scene.levels[court, 0])
    poses = _looking_down(x, y, height + 3.5)
    for seed in range(4):
        crowd = place(path, [seed], scene.ground)
        _, _, bare = render_surfaces(estates, [s], poses, 64)
        _, _, surface = render_surfaces(estates, [s], poses, 64, crowd=crowd)
        floor = (surface & (SUNLIT - 1)) == court * 8
        darker = floor & ((bare & SUNLIT) > 0) & ((surface & SUNLIT) == 0)
        lighter = floor & ((bare & SUNLIT) == 0) & ((surface & SUNLIT) > 0)
        assert darker.sum() > 5 and not lighter.any()


def test_a_character_is_lit_by_the_room_it_stands_in(estates):
    """Whatever is behind it: the same part is as bright before a dark court as before a room."""
    batch = box_room()
    scene = batch[0]
    scene.cells[16:32, 26:32] = 1
    scene.rooms[1] = scene.rooms[0]
    scene.rooms[1, LAMP_COLOUR : LAMP_COLOUR + 3] = 0.05
    crowd = place(np.float32([[[6.2, 6.0, 0.0, 0.0]]]), [3], np.zeros((GRID, GRID), np.float32))
    view = level_pose(4.6, 6.0, 0.0)
    dim, _, surface = render_surfaces(batch, [0], view, SIZE, 1, crowd=crowd)
    scene.rooms[1, LAMP_COLOUR : LAMP_COLOUR + 3] = 1.0
    bright, _, _ = render_surfaces(batch, [0], view, SIZE, 1, crowd=crowd)
    on_it = (surface & (SUNLIT - 1)) >= FIRST_PART
    assert on_it.any() and torch.equal(dim[on_it], bright[on_it])
    assert (bright[~on_it].float().mean() - dim[~on_it].float().mean()) > 10


@pytest.mark.parametrize("world_id", [7, ESTATES + 3])
def test_a_generated_worlds_first_frame_is_the_engines(world_id):
    rgb, depth, pose = engine_view(world_id, SIZE)
    frame = EngineWorld(num_envs=1, image_size=SIZE).begin([0], [world_id])
    np.testing.assert_array_equal(rgb, frame.rgb[0])
    np.testing.assert_array_equal(depth, frame.depth[0])
    np.testing.assert_array_equal(pose, frame.pose[0])


def test_freedoms_estates_need_their_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "vizdoom", None)
    freedoom.cache_clear()
    estate_bank.cache_clear()
    with pytest.raises(MissingExtraError, match="games"):
        make_scenes([FREEDOOM_ESTATES])


def test_held_out_are_the_last_of_each_family():
    assert not is_held_out(HELD_OUT - 1) and is_held_out(HELD_OUT) and is_held_out(ESTATES - 1)
    assert not is_held_out(ESTATES) and is_held_out(ESTATES + HELD_OUT)
    assert not is_held_out(FREEDOOM_ESTATES + HELD_OUT - 1)


def test_worlds_of_all_families_share_a_batch(estates):
    batch = empty_batch(3).replaced([0, 2], [7, ESTATES + 5], [make_scene(7), estates[5]])
    pose = navigation.first_pose(estates[5])[None]
    one, _ = render(batch, [2], pose, SIZE)
    other, _ = render(estates, [5], pose, SIZE)
    assert torch.equal(one, other)


def test_what_is_in_the_sun_is_brighter(estates):
    s = _sunny(estates)
    scene = estates[s]
    court = next(room for room in rooms_of(scene) if scene.rooms[room, KIND] == COURT)
    spots = np.argwhere((scene.cells == court) & (scene.free > 0))
    poses = np.concatenate(
        [
            _looking_down((x + 0.5) * CELL, (y + 0.5) * CELL, float(scene.ground[y, x]) + 1.5)
            for y, x in spots[::7]
        ]
    )
    rgb, _, surface = render_surfaces(estates, np.full(len(poses), s), poses, 8)
    lit, floor = (surface & SUNLIT) > 0, (surface & (SUNLIT - 1)) == court * 8
    bright, dim = rgb[lit & floor].float().mean(), rgb[~lit & floor].float().mean()
    assert lit.any() and (~lit & floor).any() and bright > 1.25 * dim


def _looking_down(x: float, y: float, z: float) -> np.ndarray:
    pose = np.array([[1, 0, 0, x], [0, -1, 0, y], [0, 0, -1, z], [0, 0, 0, 1]], np.float32)
    return pose[None]


def test_the_day_goes_from_dark_to_light_to_dark():
    skies = np.zeros((400, SKY_SIZE), np.float32)
    for n in range(400):
        fill_sky(new_stream(n, 9), skies[n])
    hour, height = skies[:, HOUR], skies[:, SUN + 2]
    noon, night = np.abs(hour - 12) < 2, (hour < 5.6) | (hour > 19.0)
    assert (height[noon] > 0.6).all() and (height[night] < 0).all()
    np.testing.assert_allclose(np.linalg.norm(skies[:, SUN : SUN + 3], axis=1), 1.0, atol=1e-5)
    assert (skies[night, SUN_COLOUR] == 0).all() and skies[noon, SUN_COLOUR].mean() > 1.0
    low = (height > 0.03) & (height < 0.2)
    red, blue = skies[low, SUN_COLOUR], skies[low, SUN_COLOUR + 2]
    assert (red > 1.5 * blue).all()


def test_textures_are_many_and_in_range(estates):
    many = make_scenes([ESTATES + 100 + n for n in range(300)], workers=1)
    rooms = many.arrays.rooms.reshape(-1, many.arrays.rooms.shape[-1])
    numbers = [
        rooms[rooms[:, at] == IMAGE, at + 7].astype(int) for at in (FLOOR_MATERIAL, WALL_MATERIAL)
    ]
    numbers.append(many.arrays.objects[many.arrays.objects[..., 8] == IMAGE][:, 15].astype(int))
    used = np.unique(np.concatenate(numbers))
    assert used.min() >= 0 and used.max() < NUM_TEXTURES and len(used) > 0.5 * NUM_TEXTURES


def test_pieces_stay_apart_from_characters(estates):
    assert estates.arrays.belongs[..., 1].max() <= 240
    for n in range(COUNT):
        assert estates[n].counts[1] < 511, "objects were left out"


def test_a_wall_between_courts_can_be_looked_over(estates):
    cells = estates.arrays.cells
    low = (cells >= PARAPET) & (cells < BEYOND)
    assert low.any((1, 2)).mean() > 0.5
    for n in range(COUNT):
        for value in np.unique(cells[n][low[n]]):
            room = int(value) & ROOM_MASK
            tall = estates[n].levels[value, 0] - estates[n].levels[room, 0]
            assert 0.9 <= tall <= 2.0 < estates[n].levels[WALL, 0]


def test_a_frame_does_not_depend_on_its_batch(estates, walks):
    index = np.repeat(np.arange(4), 3)
    poses = walks.pose[:4, :3].reshape(-1, 4, 4)
    rgb, depth = render(estates, index, poses, SIZE, workers=2)
    alone = make_scenes([ESTATES + 2], workers=1)
    one, near = render(alone, [0], poses[6:7], SIZE)
    assert torch.equal(rgb[6], one[0]) and torch.equal(depth[6], near[0])


@pytest.mark.gpu
def test_a_gpu_renders_the_same(estates, walks):
    index, poses = np.repeat(np.arange(COUNT), 4), walks.pose[:, :4].reshape(-1, 4, 4)
    rgb, _ = render(estates, index, poses, SIZE)
    other, _ = render(estates, index, poses, SIZE, device="cuda")
    apart = (rgb.int() - other.cpu().int()).abs().amax(-1)
    assert (apart <= 2).float().mean() > 0.99


def test_homes_have_neither_sky_nor_steps():
    homes = make_scenes([1, 2, HELD_OUT + 1], workers=1)
    assert not homes.arrays.sky.any() and not homes.arrays.ground.any()
    assert homes.texels().shape[0] == 1
    _, depth = render(homes, [0], level_pose(8.0, 8.0, 0.0), SIZE)
    assert (depth < 25).all()
