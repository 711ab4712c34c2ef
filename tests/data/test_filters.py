"""A filter drops what it is for, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from mgenv.data.filters import FILTERS, FilterConfig, first_fault
from tests.data.fake_source import make_episode


def jumps(episode):
    episode.motion[7, 0] = 3.0


def turns(episode):
    episode.motion[7, 3] = -2.0


def darkens(episode):
    episode.rgb[: len(episode) * 3 // 5] = 5


def sticks(episode):
    episode.motion[4:] = 0
    episode.bumped[:] = True


def stands(episode):
    episode.rgb[1:] = episode.rgb[:1]
    episode.motion[:] = episode.action[:] = 0


def deviates(episode):
    episode.action[:, 3] = 0.2


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (jumps, "pose jumps"),
        (turns, "pose jumps"),
        (darkens, "too dark"),
        (sticks, "stuck"),
        (stands, "static"),
        (deviates, "action and pose disagree"),
    ],
)
def test_each_fault_has_its_filter(change, name):
    episode = make_episode(1, 20, 32)
    assert first_fault(episode, FilterConfig()) is None
    change(episode)
    assert first_fault(episode, FilterConfig()) == name


def test_a_wall_in_the_way_is_no_disagreement():
    episode = make_episode(1, 20, 32)
    episode.bumped[:] = np.arange(20) < 8
    episode.motion[:8] = 0
    assert first_fault(episode, FilterConfig()) is None


def test_thresholds_are_read():
    episode = make_episode(1, 20, 32)
    jumps(episode)
    assert first_fault(episode, FilterConfig(jump=4.0, disagree=0.5)) is None


def test_actions_in_other_units_are_not_compared():
    episode = make_episode(1, 20, 32)
    episode.action_names = ("a", "b", "c", "d", "e")
    deviates(episode)
    assert first_fault(episode, FilterConfig()) is None


def test_all_filters_have_a_case():
    assert set(FILTERS) == {
        "pose jumps", "too dark", "stuck", "static", "action and pose disagree"
    }  # fmt: skip


@pytest.mark.parametrize("asked", [0.0, 0.02, -0.1])
def test_steps_lift_and_lower_whatever_height_is_asked_for(asked):
    episode = make_episode(1, 20, 32)
    episode.action[:, 2] = asked
    for floor in (0.156, -0.156):
        episode.motion[:, 2] = asked + floor
        assert first_fault(episode, FilterConfig()) is None
    for leap in (0.25, -0.25):
        episode.motion[:, 2] = asked + leap
        assert first_fault(episode, FilterConfig()) == "action and pose disagree"
