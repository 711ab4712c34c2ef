"""Buttons that belong to the motion are never contradicted by it; others are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mgenv.camera import DEFAULT_INTRINSICS
from mgenv.data.buttons import contradiction, has_buttons
from mgenv.data.episode import Episode
from mgenv.data.filters import FilterConfig, disagrees, first_fault
from mgenv.data.motions import motions_of
from mgenv.data.sources import SourceOptions, make_source
from tests.data.test_actions import held, walked

NAMES = ("forward", "left", "turn", "use")


def game(seed=0, ticks=200, names=NAMES, momentum=0.9, speed=0.2, wall=np.inf) -> Episode:
    """A player who holds keys for a while each; where a wall is, nobody tells of the bumps."""
    keys, turns = held(seed, ticks)
    pose = walked(keys, turns, momentum, speed, wall=wall)
    action = np.column_stack([keys, np.sign(turns), np.zeros(ticks)]).astype(np.float32)
    rgb = np.random.default_rng(seed).integers(90, 160, (ticks, 8, 8, 3)).astype(np.uint8)
    return Episode(
        rgb=rgb, pose=pose, motion=motions_of(pose), action=action, action_names=names,
        bumped=np.zeros(ticks, bool), intrinsics=DEFAULT_INTRINSICS, source="game", name="1",
    ).check()  # fmt: skip


def signs(*signs):
    """Actions with their signs changed."""
    return lambda action: action * np.array(signs, np.float32)


CHANGES = {
    "shuffled": lambda action: np.random.default_rng(3).permutation(action),
    "mirrored": signs(1, -1, -1, 1),
    "backwards": signs(-1, 1, 1, 1),
    "strafing the other way": signs(1, -1, 1, 1),
    "turning the other way": signs(1, 1, -1, 1),
}


@pytest.mark.parametrize("momentum", [0.0, 0.7, 0.9, 0.95])
@pytest.mark.parametrize("wall", [np.inf, 0.5])
def test_momentum_and_walls_contradict_nothing(momentum, wall):
    shares = [contradiction(game(seed, momentum=momentum, wall=wall)) for seed in range(12)]
    assert max(shares) == 0


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_other_actions_are_contradicted(change, momentum):
    for seed in range(6):
        episode = game(seed, momentum=momentum)
        assert first_fault(episode, FilterConfig()) is None
        changed = replace(episode, action=change(episode.action))
        assert first_fault(changed, FilterConfig()) == "action and pose disagree"
        assert first_fault(changed, FilterConfig(disagree=1.0)) is None, "its threshold is read"


def test_a_game_that_answers_a_tick_later_is_believed():
    episode = game()
    pressed = np.concatenate([episode.action[1:], episode.action[-1:]])
    assert contradiction(replace(episode, action=pressed)) == 0


def test_buttons_of_one_side_each_are_the_same():
    episode = game()
    forward, left, turn, _ = episode.action.T
    sides = {"forward": forward, "backward": -forward, "strafe_left": left, "strafe_right": -left}
    sides |= {"turn_left": turn, "turn_right": -turn}
    action = np.stack([np.clip(side, 0, 1) for side in sides.values()], 1)
    sided = replace(episode, action=action, action_names=tuple(sides))
    assert contradiction(sided) == 0
    wrong = replace(sided, action_names=tuple(sides)[:4] + ("turn_right", "turn_left"))
    assert contradiction(wrong) > 0.9


def test_falling_and_bumping_tell_nothing():
    episode = replace(game(), action=CHANGES["backwards"](game().action))
    assert contradiction(episode) > 0.9
    bumped = replace(episode, bumped=np.ones(len(episode), bool))
    falling = replace(episode, motion=episode.motion - np.array([0, 0, 0.1, 0, 0], np.float32))
    assert contradiction(bumped) == contradiction(falling) == 0


@pytest.mark.parametrize("episode", [game(names=("a", "b", "c", "d")), game(ticks=2)])
def test_what_tells_nothing_is_kept(episode):
    assert not disagrees(replace(episode, action=-episode.action), FilterConfig())


def test_which_actions_are_buttons():
    assert has_buttons(game()) and not has_buttons(game(names=("a", "b", "c", "d")))


@pytest.mark.parametrize("variant", ["rooms", "freedoom"])
def test_doom(variant):
    pytest.importorskip("vizdoom")
    options = SourceOptions(image_size=8, episode_frames=150, variant=variant, seed=11)
    source = make_source("vizdoom", options)
    try:
        episodes = [source.record(number) for number in range(12)]
    finally:
        source.close()
    assert [contradiction(episode) for episode in episodes] == [0.0] * 12
    for name in ("shuffled", "mirrored", "backwards", "turning the other way"):
        changed = [replace(e, action=CHANGES[name](e.action)) for e in episodes]
        assert sum(disagrees(e, FilterConfig()) for e in changed) >= 11, name
    strafing = [e for e in episodes if (np.abs(e.action[:, 1]) > 0).sum() > 20]
    changed = [replace(e, action=CHANGES["strafing the other way"](e.action)) for e in strafing]
    assert sum(disagrees(e, FilterConfig()) for e in changed) >= len(strafing) - 1 >= 3
