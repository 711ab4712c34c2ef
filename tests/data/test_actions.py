"""Poses tell what was asked for, whatever momentum and walls do to it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mgenv.data.actions import DIRECTIONS, direction_of, infer_actions
from mgenv.data.sources.base import SourceOptions
from mgenv.engine.motion.explorer import pose_of


def walked(keys, turns, momentum=0.0, speed=0.2, late=True, wall=math.inf):
    """Poses of a player who holds ``keys`` (T, 2), forward and left, and turns by ``turns`` (T,).

    Keys act along the heading after the turn if ``late``; ``wall`` stops what goes beyond x.
    """
    place, velocity, yaw, poses = np.zeros(2), np.zeros(2), 0.3, []
    for (forward, left), turn in zip(keys, turns, strict=True):
        poses.append(pose_of((*place, 1.0), yaw))
        heading = yaw + (turn if late else 0.0)
        cos, sin = math.cos(heading), math.sin(heading)
        key = np.array([forward * cos - left * sin, forward * sin + left * cos])
        velocity = momentum * velocity + speed * (1 - momentum) * key
        if place[0] + velocity[0] > wall:
            velocity[0] = 0.0
        place, yaw = place + velocity, yaw + turn
    return np.stack(poses).astype(np.float32)


def held(seed: int, ticks: int = 300):
    """Keys and turns, each held for a while."""
    rng = np.random.default_rng(seed)
    keys, turns = [], []
    while len(keys) < ticks:
        run = int(rng.integers(4, 25))
        keys += [rng.integers(-1, 2, 2)] * run
        turns += [rng.integers(-1, 2) * rng.uniform(0.02, 0.15)] * run
    return np.array(keys[:ticks], float), np.array(turns[:ticks])


def shares(actions, keys, turns):
    """Of ticks that are sure and right, of sure ones; and of all ticks that are sure."""
    right = actions.direction == direction_of(keys[:, 0], keys[:, 1])
    right &= actions.turn == np.sign(turns)
    sure = actions.sure[:-1]
    return right[:-1][sure].mean(), sure.mean()


@pytest.mark.parametrize("momentum", [0.0, 0.7, 0.90625, 0.95])
@pytest.mark.parametrize("late", [True, False])
def test_held_keys_are_found_under_any_momentum(momentum, late):
    keys, turns = held(0)
    actions = infer_actions(walked(keys, turns, momentum, late=late))
    assert actions.momentum == pytest.approx(momentum, abs=0.006)
    right, sure = shares(actions, keys, turns)
    assert right >= 0.99 and sure >= 0.95


def test_taking_displacements_for_keys_would_not_do():
    """What the momentum is found for."""
    keys, turns = held(0)
    right, _ = shares(infer_actions(walked(keys, turns, 0.90625), momentum=0.0), keys, turns)
    assert right < 0.8


def test_walls_are_noticed():
    keys, turns = held(1, 600)
    pose = walked(keys, turns, 0.90625, wall=0.5)
    assert (pose[:, 0, 3] > 0.4).mean() > 0.04, "it does reach the wall"
    right, sure = shares(infer_actions(pose), keys, turns)
    assert right >= 0.99 and sure > 0.7


def test_what_is_known_to_have_bumped_is_not_sure_and_keeps_the_last():
    keys, turns = np.tile([1.0, 0.0], (20, 1)), np.zeros(20)
    pose, bumped = walked(keys, turns), np.zeros(20, bool)
    pose[10:, :2, 3] = pose[9, :2, 3]
    bumped[9:] = True
    actions = infer_actions(pose, bumped=bumped)
    assert not actions.sure[9:19].any() and actions.sure[:9].all()
    assert (actions.direction[:19] == DIRECTIONS.index("forward")).all()


def test_falling_is_not_sure():
    keys, turns = np.tile([1.0, 0.0], (20, 1)), np.zeros(20)
    pose = walked(keys, turns)
    pose[12:, 2, 3] -= np.arange(8) * 0.1
    sure = infer_actions(pose).sure
    assert not sure[12:19].any() and sure[:12].all()


def test_eight_directions_and_none():
    for index, name in enumerate(DIRECTIONS):
        angle = (index - 1) * math.pi / 4
        size = 0.0 if name == "none" else 1.0
        assert direction_of(size * np.cos(angle), size * np.sin(angle)) == index
    assert DIRECTIONS.index("left") == 3 and DIRECTIONS.index("right") == 7


def test_one_who_stands_asks_for_nothing():
    actions = infer_actions(np.tile(pose_of((1.0, 2.0, 1.0), 0.5), (5, 1, 1)).astype(np.float32))
    assert not actions.direction.any() and not actions.turn.any()
    assert len(infer_actions(np.eye(4, dtype=np.float32)[None]).direction) == 1


def test_engine_walks():
    """Their speed varies, so that only the direction is held against what was asked for."""
    from mgenv.engine.motion import navigation
    from mgenv.engine.scene import scenes

    seeds = list(range(12))
    walks = navigation.explore_many(scenes.make_scenes(seeds), 128, seeds)
    right = []
    for pose, motion, bumped in zip(walks.pose, walks.motion, walks.bumped, strict=True):
        asked = np.asarray(motion[1:], np.float64)  # motion[t] leads from t - 1
        actions = infer_actions(
            np.asarray(pose, np.float32), bumped=np.append(np.asarray(bumped)[1:], False)
        )
        size = np.hypot(asked[:, 0], asked[:, 1])
        usual = np.median(size[size > 0.35 * np.median(size[size > 1e-4])])
        plain = (size < 0.2 * usual) | (size > 0.5 * usual)  # neither pressed nor not
        plain &= actions.sure[:-1]
        same = actions.direction[:-1] == direction_of(asked[:, 0] / usual, asked[:, 1] / usual)
        same &= actions.turn[:-1] == np.sign(asked[:, 3]) * (np.abs(asked[:, 3]) > 2e-3)
        right.append(same[plain])
    assert np.concatenate(right).mean() >= 0.99 and len(np.concatenate(right)) > 1000


@pytest.mark.parametrize("variant", ["rooms", "freedoom"])
def test_doom(variant):
    pytest.importorskip("vizdoom")
    from mgenv.data.sources.vizdoom import VizdoomSource

    source = VizdoomSource(SourceOptions(image_size=16, episode_frames=250, variant=variant))
    right, free, sure = [], [], []
    try:
        for number in range(6):
            episode = source.record(number)
            actions = infer_actions(episode.pose)
            assert actions.momentum == pytest.approx(0.90625, abs=0.006)
            forward, left, turn, _ = episode.action.T
            good = (actions.direction == direction_of(forward, left)) & (
                actions.turn == np.sign(turn)
            )
            right.append(good[:-1])
            free.append(~episode.bumped[:-1])
            sure.append(actions.sure[:-1])
    finally:
        source.close()
    right, free, sure = (np.concatenate(parts) for parts in (right, free, sure))
    assert right[sure & free].mean() >= 0.99, "without wall contacts"
    assert right[sure].mean() >= 0.98, "from poses alone"
    assert sure[free].mean() > 0.85 and sure.mean() > 0.75
