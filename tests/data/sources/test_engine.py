"""Recordings of the procedural homes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mgenv.camera import DEFAULT_INTRINSICS, Pose
from mgenv.data.filters import FilterConfig, first_fault
from mgenv.data.sources import SourceOptions, make_source
from mgenv.data.sources.engine import EngineSource
from mgenv.engine.homes.furniture import LABELS
from mgenv.engine.render.renderer import render
from mgenv.engine.scene.scenes import ESTATES, FREEDOOM_ESTATES, HELD_OUT, make_scenes
from mgenv.errors import ClosedError, InvalidOptionError, UnknownNameError

FRAMES, SIZE = 60, 32
OPTIONS = SourceOptions(image_size=SIZE, episode_frames=FRAMES, seed=3)


@pytest.fixture(scope="module")
def source():
    return make_source("engine", OPTIONS)


@pytest.fixture(scope="module")
def episodes(source):
    return [source.record(number) for number in range(12)]


def test_an_episode_is_complete(source, episodes):
    assert isinstance(source, EngineSource) and source.count is None
    for episode in episodes:
        assert len(episode.check()) == FRAMES and episode.intrinsics == DEFAULT_INTRINSICS
        assert episode.depth is not None and (episode.depth > 0).all()
        assert episode.segmentation is not None and episode.segmentation.dtype == np.uint8
        assert episode.labels == LABELS and episode.segmentation.max() < len(LABELS)
        captions = episode.captions
        assert all((captions.scene, captions.style, captions.objects, captions.motion))


def test_pictures_are_the_worlds(source, episodes):
    for number in (0, 5):
        world_id, _ = source.world_of(number)
        batch = make_scenes([world_id], workers=1)
        rgb, depth = render(batch, np.zeros(FRAMES, int), episodes[number].pose, SIZE)
        np.testing.assert_array_equal(episodes[number].rgb, rgb)
        np.testing.assert_array_equal(episodes[number].depth, depth)
        assert str(world_id) in episodes[number].name


def test_motion_leads_from_each_tick_to_the_next(episodes):
    for episode in episodes:
        moved = Pose(torch.from_numpy(episode.pose)).move(torch.from_numpy(episode.motion)).matrix
        assert np.abs(moved[:-1].numpy() - episode.pose[1:]).max() < 1e-3
        assert (episode.motion[-1] == 0).all() and (episode.action[-1] == 0).all()
        assert not episode.bumped[-1]


def test_where_nothing_is_met_what_was_asked_for_happens(episodes):
    error = np.concatenate([np.abs(e.action - e.motion)[:-1].max(1) for e in episodes])
    bumped = np.concatenate([e.bumped[:-1] for e in episodes])
    assert error[~bumped].max() < 3e-3 and bumped.any()
    assert error[bumped].max() > 0.02, "nothing was shortened where something was met"
    assert all(first_fault(e, FilterConfig()) != "disagree" for e in episodes)


def test_worlds_do_not_repeat_and_keep_apart(source):
    held_out = EngineSource(SourceOptions(variant="held_out", seed=3))
    trained = [source.world_of(n)[0] for n in range(2000)]
    judged = [held_out.world_of(n)[0] for n in range(2000)]
    assert len(set(trained)) == 2000 and 0 <= min(trained) and max(trained) < HELD_OUT
    assert len(set(judged)) == 2000 and min(judged) >= HELD_OUT
    other = EngineSource(SourceOptions(seed=4))
    assert [other.world_of(n) for n in range(50)] != [source.world_of(n) for n in range(50)]


def test_the_same_number_is_the_same_episode_in_any_process(episodes):
    code = (
        "import hashlib, torch\n"
        "from mgenv.data.sources import SourceOptions, make_source\n"
        "torch.set_num_threads(1)\n"
        f"source = make_source('engine', {OPTIONS!r})\n"
        "source.record(2)\n"
        "e = source.record(7)\n"
        "arrays = (e.rgb, e.pose, e.motion, e.action, e.bumped, e.depth, e.segmentation)\n"
        "print(hashlib.sha256(b''.join(a.tobytes() for a in arrays)).hexdigest(), e.captions)\n"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, check=True, capture_output=True, text=True
    )
    e = episodes[7]
    arrays = (e.rgb, e.pose, e.motion, e.action, e.bumped, e.depth, e.segmentation)
    digest = hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()
    assert done.stdout.strip() == f"{digest} {e.captions}"


@pytest.mark.parametrize(
    "options", [{"image_size": 0}, {"episode_frames": 0}, {"seed": -1}, {"variant": "moon"}]
)
def test_bad_options_are_named(options):
    name = "variant" if "variant" in options else next(iter(options))
    with pytest.raises((InvalidOptionError, UnknownNameError), match=name):
        EngineSource(SourceOptions(**options))


def test_bad_numbers_and_closed_sources_are_named():
    source = EngineSource(SourceOptions(image_size=8, episode_frames=1))
    assert len(source.record(0)) == 1
    with pytest.raises(InvalidOptionError, match="number"):
        source.record(-1)
    source.close()
    with pytest.raises(ClosedError):
        source.record(0)


@pytest.fixture(scope="module")
def estates():
    source = make_source("engine", SourceOptions(**{**vars(OPTIONS), "variant": "estates"}))
    return source, [source.record(number) for number in range(16)]


def test_estates_are_complete_and_say_so(estates):
    source, episodes = estates
    for number, episode in enumerate(episodes):
        assert ESTATES <= source.world_of(number)[0] < ESTATES + HELD_OUT
        assert len(episode.check()) == FRAMES and (episode.depth > 0).all()
        assert "estate" in episode.captions.scene and "courtyard" in episode.captions.scene
    faults = [first_fault(episode, FilterConfig()) for episode in episodes]
    assert faults.count("action and pose disagree") == 0 and faults.count("pose jumps") == 0
    assert sum(fault is None for fault in faults) >= 13, faults


def test_characters_walk_about_estates_and_are_told_of(estates):
    _, episodes = estates
    people = [LABELS.index(name) for name in ("person", "robot", "dog", "bird")]
    told = 0
    for episode in episodes:
        shown = np.isin(episode.segmentation, people)
        large = shown.mean((1, 2)).max() > 0.02
        words = ("person", "people", "robot", "dog", "bird")
        assert not large or any(word in episode.captions.objects for word in words)
        told += large
    assert told >= 4


def test_an_estates_episode_is_the_same_in_another_source(estates):
    again = make_source("engine", SourceOptions(**{**vars(OPTIONS), "variant": "estates"}))
    one, other = estates[1][3], again.record(3)
    for name in ("rgb", "depth", "segmentation", "pose", "action"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_homes_have_nobody(episodes):
    people = [LABELS.index(name) for name in ("person", "robot", "dog", "bird")]
    assert not any(np.isin(episode.segmentation, people).any() for episode in episodes)


def test_freedooms_textures_make_other_worlds():
    pytest.importorskip("vizdoom")
    source = make_source("engine", SourceOptions(**{**vars(OPTIONS), "variant": "freedoom"}))
    episode = source.record(0)
    assert source.world_of(0)[0] >= FREEDOOM_ESTATES and len(episode.check()) == FRAMES
