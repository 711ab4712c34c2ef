"""Any game with the four methods is recorded, by number, whatever came before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mgenv.camera import DEFAULT_INTRINSICS
from mgenv.data.motions import motions_of
from mgenv.data.sources.agent import WanderingAgent
from mgenv.data.sources.base import SourceOptions
from mgenv.data.sources.game import GameSource
from mgenv.data.sources.game_interface import Action, Observation
from mgenv.engine.motion.explorer import pose_of
from mgenv.errors import ClosedError, DataError

SIZE, HALF = 8, 4.0
OPTIONS = SourceOptions(image_size=SIZE, episode_frames=60, seed=1)


class Room:
    """A game: a square room with walls 4 m from its middle, in which nothing slides."""

    intrinsics, labels, fps, levels = DEFAULT_INTRINSICS, ("wall",), 10, 3

    def __init__(self, ends: int = 10**6, leaps: int = 10**6, tells: bool = True) -> None:
        self.ends, self.leaps, self.tells = ends, leaps, tells
        self.closed = False

    def start(self, level, seed):
        rng = np.random.default_rng([level, seed])
        self.place, self.ticks = rng.uniform(-3, 3, 2), 0
        self.yaw, self.colour = rng.uniform(-3, 3), 50 * level
        return self._look(None)

    def act(self, action):
        self.ticks += 1
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        step = 0.2 * np.array([action.forward, action.left])
        wanted = self.place + [step[0] * cos - step[1] * sin, step[0] * sin + step[1] * cos]
        if self.ticks == self.leaps:
            wanted = -self.place
        self.place = np.clip(wanted, -HALF, HALF)
        self.yaw += 0.2 * action.turn
        return self._look(bool((self.place != wanted).any()) if self.tells else None)

    def describe(self, level):
        return f"Room {level}"

    def close(self):
        self.closed = True

    def _look(self, bumped):
        toward = np.array([np.cos(self.yaw), np.sin(self.yaw)])
        ahead = ((HALF - np.sign(toward) * self.place) / np.abs(toward).clip(1e-6)).min()
        return Observation(
            rgb=np.full((SIZE, SIZE, 3), self.colour, np.uint8),
            pose=pose_of((*self.place, 1.0), self.yaw),
            depth=np.full((SIZE, SIZE), ahead, np.float32),
            segmentation=np.zeros((SIZE, SIZE), np.uint8),
            bumped=bumped,
            over=self.ticks >= self.ends,
        )


def same(one, two) -> bool:
    names = ("rgb", "pose", "motion", "action", "bumped", "depth", "segmentation")
    return all(np.array_equal(getattr(one, n), getattr(two, n)) for n in names)


def test_the_same_number_is_the_same_episode_whatever_came_before():
    first, second = GameSource("room", Room(), OPTIONS), GameSource("room", Room(), OPTIONS)
    early = first.record(4)
    for number in (0, 7):
        second.record(number)
    assert same(early, second.record(4))
    assert not same(early, first.record(7)), "another number is another walk"
    other = GameSource("room", Room(), replace(OPTIONS, seed=2))
    assert not same(early, other.record(4))


def test_everything_of_a_tick_belongs_together():
    episode = GameSource("room", Room(), OPTIONS).record(4)
    assert len(episode) == OPTIONS.episode_frames and episode.name == "000004"
    assert episode.captions.scene == "Room 1" and (episode.rgb == 50).all(), "levels take turns"
    assert np.array_equal(episode.motion, motions_of(episode.pose))
    free = ~episode.bumped
    free[-1] = False
    asked = episode.action[:, :3] * 0.2
    np.testing.assert_allclose(episode.motion[free][:, [0, 1, 3]], asked[free], atol=1e-5)
    assert not episode.action[-1].any() and not episode.bumped[-1]


def test_the_agent_walks_turns_both_ways_pauses_and_goes_everywhere():
    source = GameSource("room", Room(), replace(OPTIONS, episode_frames=1500))
    episode = source.record(0)
    forward, left, turn, _ = episode.action.T
    assert (forward > 0).mean() > 0.4 and 0.02 < (forward < 0).mean() < 0.3
    assert (left > 0).any() and (left < 0).any() and (turn > 0).any() and (turn < 0).any()
    runs = 1 + (np.abs(np.diff(episode.action, axis=0)) > 0).any(1).sum()
    assert 5 < len(episode) / runs < 40, "actions are held"
    cells = {tuple(c) for c in np.floor(episode.pose[:, :2, 3] / 2).astype(int)}
    assert len(cells) >= 12, "of 16 squares of 2 m"
    assert episode.bumped.mean() < 0.3


def test_the_agent_turns_from_what_is_near_towards_the_free_side():
    agent = WanderingAgent(np.random.default_rng(0))
    depth = np.full((16, 16), 0.5, np.float32)
    depth[:, 11:] = 5.0
    seen = Observation(np.zeros((16, 16, 3), np.uint8), np.eye(4), depth)
    agent._begin(100, Action(forward=1.0))
    assert agent.act(seen).turn < 0
    agent._begin(100, Action(forward=1.0))
    assert agent.act(replace(seen, depth=depth[:, ::-1])).turn > 0


def test_the_agent_frees_itself_without_depth():
    agent = WanderingAgent(np.random.default_rng(3))
    seen = Observation(np.zeros((8, 8, 3), np.uint8), np.eye(4))
    actions = [agent.act(seen) for _ in range(400)]
    assert any(a.use for a in actions) and any(a.forward < 0 for a in actions)


def test_bumps_are_seen_in_games_that_do_not_tell():
    told = GameSource("room", Room(), replace(OPTIONS, episode_frames=400)).record(1)
    game = Room(tells=False)
    found = GameSource("room", game, replace(OPTIONS, episode_frames=400)).record(1)
    assert np.array_equal(told.pose, found.pose)
    walks = np.abs(told.action[:, :2]).max(1) > 0
    stopped = walks & (np.linalg.norm(told.motion[:, :2], axis=1) < 0.04)
    assert told.bumped[stopped[:-1].nonzero()[0]].all() and stopped.any()
    assert np.array_equal(found.bumped[:-1], stopped[:-1])


def test_a_level_that_ends_makes_a_shorter_episode():
    assert len(GameSource("room", Room(ends=20), OPTIONS).record(0)) == 20
    with pytest.raises(DataError, match="level 0 ended"):
        GameSource("room", Room(ends=0), OPTIONS).record(0)


def test_a_teleporter_begins_the_recording_anew():
    game = Room(leaps=25)
    episode = GameSource("room", game, OPTIONS).record(0)
    assert len(episode) == OPTIONS.episode_frames and game.ticks > OPTIONS.episode_frames
    assert np.linalg.norm(episode.motion[:, :2], axis=1).max() < 0.5


def test_no_recording_after_close():
    game = Room()
    source = GameSource("room", game, OPTIONS)
    source.close()
    assert game.closed
    with pytest.raises(ClosedError):
        source.record(0)
