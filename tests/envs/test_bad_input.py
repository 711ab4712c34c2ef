"""Errors of the user's are named, say what was expected, and change nothing."""

import numpy as np
import pytest

from mgenv.envs.vector_env import VectorEnv
from mgenv.errors import (
    CheckpointError,
    ClosedError,
    InvalidActionError,
    InvalidOptionError,
    MgenvError,
    NotResetError,
    UnknownNameError,
)
from tests.fake_world import FakeWorld
from tests.same import assert_same


@pytest.mark.parametrize(
    ("option", "value", "error", "says"),
    [
        ("task", "pointnaw", UnknownNameError, "Did you mean 'pointnav'"),
        ("world", "nanno", UnknownNameError, "Unknown world 'nanno'"),
        ("world", "engin", UnknownNameError, "Did you mean 'engine'"),
        ("world", "no/such.safetensors", CheckpointError, "no/such.safetensors"),
        ("world", 3.5, InvalidOptionError, "3.5"),
        ("robot", "diferential", UnknownNameError, "Did you mean 'differential'"),
        ("memory", "scann", UnknownNameError, "Did you mean 'scan'"),
        ("memory", "no/such/file", CheckpointError, "no/such/file"),
        ("memory", 3, InvalidOptionError, "3"),
        ("obs_type", "pixel", UnknownNameError, "Did you mean 'pixels'"),
        ("autoreset_mode", "nextstep", UnknownNameError, "Did you mean 'next_step'"),
        ("render_mode", "human", UnknownNameError, "rgb_array"),
        ("num_envs", 0, InvalidOptionError, "at least 1"),
        ("num_worlds", 0, InvalidOptionError, "at least 1"),
        ("world_ids", [], InvalidOptionError, "at least one"),
        ("world_ids", [-1], InvalidOptionError, "at least 0"),
        ("world_ids", [0.5], InvalidOptionError, "integer"),
        ("scan_frames", 0, InvalidOptionError, "at least 1"),
        ("max_episode_steps", 0, InvalidOptionError, "at least 1"),
        ("memory_frames", 0, InvalidOptionError, "memory_frames"),
        ("memory_slots", 0, InvalidOptionError, "memory_slots"),
        ("sampling_steps", -2, InvalidOptionError, "sampling_steps"),
        ("image_size", 0, InvalidOptionError, "image_size"),
        ("device", "cdua", InvalidOptionError, "device"),
    ],
)
def test_bad_arguments(option, value, error, says):
    with pytest.raises(error, match=says):
        VectorEnv(**({"num_envs": 2, "world": "engine"} | {option: value}))


def test_a_world_of_another_number_of_slots_is_refused():
    with pytest.raises(InvalidOptionError, match="expected 2 slots, got 3"):
        VectorEnv(2, world=FakeWorld(3))


@pytest.mark.parametrize(
    ("actions", "says"),
    [
        (np.full((2, 2), np.nan), "finite"),
        (np.array([[0, 0], [0, -np.inf]]), "finite"),
        (np.array([[0, 0], [0, 1.01]]), "expected"),
        (np.zeros(2), r"shape \(2, 2\), got \(2,\)"),
        (np.zeros((3, 2)), "shape"),
        ([["a", "b"], ["c", "d"]], "numbers"),
        (None, "numbers"),
    ],
)
def test_bad_actions_change_no_slot(make_tiny, actions, says):
    envs = make_tiny(2)
    envs.reset(seed=0)
    before = envs.get_state()
    with pytest.raises(InvalidActionError, match=says):
        envs.step(actions)
    assert_same(envs.get_state(), before)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"options": {"reset_mask": np.array([True])}}, r"bool \(2,\), got bool \(1,\)"),
        ({"options": {"reset_mask": np.zeros(2, bool)}}, "all False"),
        ({"options": {"reset_mask": np.ones(2, int)}}, "bool"),
        ({"options": {"reset_mask": "all"}}, "bool"),
        ({"options": {"world_id": -1}}, "world_id"),
        ({"options": {"world_id": [1, 2, 3]}}, "world_id"),
        ({"options": {"world_id": [1, "a"]}}, "world_id"),
        ({"options": {"memory": "cler"}}, "Did you mean 'clear'"),
        ({"options": {"memory": "no/such.safetensors"}}, "no/such.safetensors"),
        ({"options": {"wolrd_id": 3}}, "Did you mean 'world_id'"),
        ({"options": [1]}, "dict"),
        ({"seed": -1}, "seed"),
        ({"seed": 0.5}, "seed"),
        ({"seed": True}, "seed"),
        ({"seed": [1]}, "seed"),
        ({"seed": [1, "a"]}, "seed"),
    ],
)
def test_bad_resets_change_no_slot(make_tiny, arguments, says):
    envs = make_tiny(2)
    envs.reset(seed=0)
    before = envs.get_state()
    with pytest.raises(MgenvError, match=says):
        envs.reset(**({"seed": 9} | arguments))
    assert_same(envs.get_state(), before)


def test_nothing_works_before_the_first_reset(make_tiny):
    envs = make_tiny(2, render_mode="rgb_array")
    for use in (lambda: envs.step(np.zeros((2, 2))), envs.render, lambda: envs.fork(0, [1])):
        with pytest.raises(NotResetError):
            use()
    with pytest.raises(NotResetError, match="every slot"):
        envs.reset(options={"reset_mask": np.array([True, False])})


def test_stepping_past_the_end_is_refused_where_resets_are_the_callers(make_tiny):
    envs = make_tiny(2, max_episode_steps=1, autoreset_mode="disabled")
    envs.reset(seed=0)
    envs.step(np.zeros((2, 2)))
    before = envs.get_state()
    with pytest.raises(NotResetError, match="over"):
        envs.step(np.zeros((2, 2)))
    assert_same(envs.get_state(), before)


def test_nothing_works_after_close(make_tiny):
    envs = make_tiny(2)
    envs.reset(seed=0)
    state = envs.get_state()
    envs.close()
    envs.close()
    uses = [
        lambda: envs.step(np.zeros((2, 2))),
        lambda: envs.reset(),
        lambda: envs.set_state(state),
        envs.get_state,
        envs.render,
    ]
    for use in uses:
        with pytest.raises(ClosedError):
            use()
