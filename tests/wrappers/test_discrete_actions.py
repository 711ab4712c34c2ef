import gymnasium as gym
import numpy as np
import pytest

from mgenv.envs.env import Env
from mgenv.errors import InvalidActionError, InvalidOptionError, UnknownNameError
from mgenv.robots import ROBOTS
from mgenv.wrappers import DiscreteActions, VectorDiscreteActions
from tests.fake_world import FakeWorld
from tests.same import assert_same

MOVES = ["forward", "turn_left", "turn_right"]


def single(**kwargs) -> Env:
    return Env(world=FakeWorld(1), scan_frames=24, **kwargs)


def test_a_number_does_what_the_named_move_does(tiny_scan):
    plain, discrete = single(), DiscreteActions(single(), MOVES)
    for env in (plain, discrete):
        env.reset(seed=0)
    assert_same(discrete.step(1), plain.step(np.array([0.0, 1.0])))
    assert discrete.action_space == gym.spaces.Discrete(3)


@pytest.mark.parametrize("robot", ROBOTS)
def test_a_vector_takes_a_number_for_each_robot(make_tiny, robot):
    plain = make_tiny(2, robot=robot)
    discrete = VectorDiscreteActions(make_tiny(2, robot=robot), MOVES)
    for envs in (plain, discrete):
        envs.reset(seed=0)
    assert discrete.action_space == gym.spaces.MultiDiscrete([3, 3])
    moves = [plain.robot.moves[name] for name in ("turn_right", "forward")]
    if isinstance(moves[0], dict):
        actions = {key: np.stack([move[key] for move in moves]) for key in moves[0]}
    else:
        actions = np.stack(moves)
    assert_same(discrete.step(np.array([2, 0])), plain.step(actions))


def test_all_moves_of_the_robot_are_there_by_default(tiny_scan):
    env = DiscreteActions(single(robot="fpv"))
    assert env.action_space.n == len(ROBOTS["fpv"].moves) == 8


@pytest.mark.parametrize("action", [3, -1, 0.0, np.nan, None, [0], "forward"])
def test_bad_numbers_are_named_errors(tiny_scan, action):
    env = DiscreteActions(single(), MOVES)
    env.reset(seed=0)
    with pytest.raises(InvalidActionError, match="action"):
        env.step(action)


def test_bad_moves_are_named_errors(tiny_scan):
    with pytest.raises(UnknownNameError, match="Did you mean 'forward'"):
        DiscreteActions(single(), ["forwards"])
    with pytest.raises(InvalidOptionError, match="at least one"):
        DiscreteActions(single(), [])
