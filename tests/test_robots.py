import math

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from mgenv.errors import InvalidActionError, UnknownNameError
from mgenv.robots import (
    ROBOTS,
    STEP_ANGLE,
    STEP_LENGTH,
    ChunkRobot,
    StoppingRobot,
    make_robot,
)


def test_differential_drives_ahead_and_turns_left():
    motion = make_robot("differential").motion(np.array([[1.0, 0.0], [-0.5, 1.0]]), (2,))
    expected = [[0.25, 0, 0, 0, 0], [-0.125, 0, 0, math.radians(15), 0]]
    np.testing.assert_allclose(motion, expected, atol=1e-7)
    assert motion.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "action", "expected"),
    [
        ("holonomic", [0.0, 1.0, 0.0], [0, STEP_LENGTH, 0, 0, 0]),
        ("fpv", [0.0, 0.0, 0.0, -1.0], [0, 0, 0, 0, -STEP_ANGLE]),
        ("drone", [0.0, 0.0, 1.0, 0.0], [0, 0, STEP_LENGTH, 0, 0]),
    ],
)
def test_each_axis_moves_its_own_component(name, action, expected):
    np.testing.assert_allclose(make_robot(name).motion(action), expected, atol=1e-7)


def test_keyboard_follows_wsad_and_mouse_up_right():
    robot = make_robot("keyboard_mouse")
    keys = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 1, 0, 0]])
    motion = robot.motion({"keyboard": keys, "mouse": np.zeros((5, 2))}, (5,))
    steps = [[0.25, 0], [-0.25, 0], [0, 0.25], [0, -0.25], [0, 0]]
    np.testing.assert_allclose(motion[:, :2], steps, atol=1e-7)
    look = robot.motion({"keyboard": np.zeros(4), "mouse": [1.0, 1.0]})
    np.testing.assert_allclose(look, [0, 0, 0, -STEP_ANGLE, STEP_ANGLE], atol=1e-7)


def test_small_mouse_movements_do_nothing():
    action = {"keyboard": np.zeros(4), "mouse": [0.015, -0.015]}
    assert not make_robot("keyboard_mouse").motion(action).any()


@pytest.mark.parametrize("name", ROBOTS)
@given(seed=st.integers(0, 1000))
def test_no_action_exceeds_full_scale(name, seed):
    robot = make_robot(name)
    space = robot.action_space
    space.seed(seed)
    motion = robot.motion(space.sample())
    assert np.linalg.norm(motion[:3]) <= STEP_LENGTH + 1e-6
    assert np.abs(motion[3:]).max() <= STEP_ANGLE + 1e-6


@pytest.mark.parametrize("name", ROBOTS)
def test_batched_actions_move_as_single_ones(name):
    robot = make_robot(name)
    actions = [robot.action_space.sample() for _ in range(7)]
    if isinstance(robot.action_space, spaces.Dict):
        batch = {key: np.stack([action[key] for action in actions]) for key in actions[0]}
    else:
        batch = np.stack(actions)
    np.testing.assert_array_equal(
        robot.motion(batch, (7,)), np.stack([robot.motion(action) for action in actions])
    )


@pytest.mark.parametrize("name", ROBOTS)
def test_every_named_move_is_a_valid_action_that_moves(name):
    robot = make_robot(name)
    for move, action in robot.moves.items():
        assert action in robot.action_space, move
        assert np.count_nonzero(robot.motion(action)) == 1, move


@pytest.mark.parametrize(
    ("action", "says"),
    [
        ([0.0, np.nan], "finite"),
        ([0.0, np.inf], "finite"),
        ([0.0, 1.5], "-1.0, 1.0"),
        ([0.0], r"shape \(2,\), got \(1,\)"),
        (["a", "b"], "numbers"),
        ([[0.0], [0.0, 1.0]], "numbers of shape"),
        (None, "numbers"),
    ],
)
def test_bad_actions_are_named_errors(action, says):
    with pytest.raises(InvalidActionError, match=says):
        make_robot("differential").motion(action)


@pytest.mark.parametrize(
    "action",
    [
        np.zeros(6),
        {"keyboard": np.zeros(4)},
        {"keyboard": np.full(4, 0.5), "mouse": np.zeros(2)},
        {"keyboard": np.zeros(4), "mouse": np.full(2, np.nan)},
        {"keyboard": np.zeros(6), "mouse": np.zeros(2)},
    ],
)
def test_bad_keyboard_and_mouse_are_named_errors(action):
    with pytest.raises(InvalidActionError):
        make_robot("keyboard_mouse").motion(action)


def test_an_unknown_robot_names_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'holonomic'"):
        make_robot("holonom")


@pytest.mark.parametrize("name", ROBOTS)
def test_every_robot_can_be_given_a_stop(name):
    plain, robot = make_robot(name), StoppingRobot(make_robot(name))
    assert set(robot.moves) == {*plain.moves, "stop"}
    for move, action in robot.moves.items():
        assert action in robot.action_space
        assert robot.stops(action) == (move == "stop")
        wanted = np.zeros(5) if move == "stop" else plain.motion(plain.moves[move])
        np.testing.assert_array_equal(robot.motion(action), wanted)


def test_a_robot_that_stops_stands_still_and_others_move():
    actions = np.array([[1.0, 0.0, 0.1], [1.0, 0.0, 0.0], [1.0, 0.0, -1.0]])
    robot = StoppingRobot(make_robot("differential"))
    assert robot.stops(actions, (3,)).tolist() == [True, False, False]
    assert robot.motion(actions, (3,))[:, 0].tolist() == [0.0, 0.25, 0.25]


def test_robots_without_a_stop_never_stop():
    robot = make_robot("differential")
    assert robot.stops(np.ones((4, 2)), (4,)).tolist() == [False] * 4


def test_a_chunk_stops_where_one_of_its_actions_does():
    robot = ChunkRobot(StoppingRobot(make_robot("keyboard_mouse")), 3)
    keys = np.zeros((2, 3, 4), np.int8)
    stop = np.array([[[0], [1], [0]], [[0], [0], [0]]], np.int8)
    actions = {"keyboard": keys, "mouse": np.zeros((2, 3, 2)), "stop": stop}
    assert robot.stops(actions, (2,)).tolist() == [True, False]


def test_from_the_frame_on_in_which_it_stops_a_robot_stands_still():
    robot = ChunkRobot(StoppingRobot(make_robot("differential")), 3)
    stop = np.array([[-1.0, 1.0, -1.0], [-1.0, -1.0, -1.0]])
    actions = np.stack([np.ones((2, 3)), np.zeros((2, 3)), stop], -1)  # (2, 3, 3)
    ahead = robot.motion(actions, (2,))[..., 0]
    assert ahead.tolist() == [[0.25, 0.0, 0.0], [0.25, 0.25, 0.25]]


@pytest.mark.parametrize("stop", [[2], [np.nan], [0, 1], "yes"])
def test_a_stop_key_that_is_none_is_refused(stop):
    robot = StoppingRobot(make_robot("keyboard_mouse"))
    with pytest.raises(InvalidActionError, match="stop"):
        robot.motion({"keyboard": np.zeros(4), "mouse": np.zeros(2), "stop": stop})
