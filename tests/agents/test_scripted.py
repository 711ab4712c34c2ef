"""What policies without eyes do, on made-up observations and in the box room."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mgenv.agents import POLICIES, evaluate_policy, make_envs, make_policy
from mgenv.agents.drive import Drive
from mgenv.agents.recall import RecallPolicy
from mgenv.errors import CheckpointError, InvalidOptionError, UnknownNameError
from mgenv.robots import ROBOTS


class Slots:
    """What a scripted policy asks of environments: a robot and the observations' names."""

    def __init__(self, robot="differential", parts=("pixels", "agent_pos"), num_envs=3):
        from gymnasium import spaces

        self.robot, self.num_envs, self.unwrapped = ROBOTS[robot], num_envs, self
        self.single_action_space = self.robot.action_space
        some = spaces.Box(-1, 1, (2,), np.float32)
        self.single_observation_space = spaces.Dict({name: some for name in parts})


def goals(*pairs):
    return {"goal": np.array(pairs, np.float32), "agent_pos": np.zeros((len(pairs), 4), np.float32)}


@pytest.mark.parametrize("robot", list(ROBOTS))
def test_every_robot_can_be_driven(robot):
    slots = Slots(robot)
    actions = Drive(slots)(np.array([1.0, 0.0, 0.5]), np.array([0.0, -1.0, 0.5]))  # type: ignore
    motion = slots.robot.motion(actions, (3,))
    np.testing.assert_allclose(motion[:2, 0], [0.25, 0.0])
    np.testing.assert_allclose(motion[:, 3], np.radians([0, -15, 7.5]), atol=1e-6)
    assert motion[2, 0] > 0 and not motion[:, [1, 2, 4]].any()


def test_a_speed_never_stops_a_robot_that_can_stop():
    class Stopping(Slots):
        def __init__(self):
            from types import SimpleNamespace

            super().__init__()
            moves = {"forward": [1, 0, -1], "turn_left": [0, 1, -1], "stop": [0, 0, 1]}
            arrays = {name: np.array(move, np.float32) for name, move in moves.items()}
            self.robot = SimpleNamespace(moves=arrays, action_space=self.single_action_space)

    drive = Drive(Stopping())  # type: ignore[arg-type]
    actions = drive(np.array([0.5, 0.0, 1.0]), np.array([-1.0, -1.0, 1.0]), np.array([0, 0, 1]) > 0)
    np.testing.assert_array_equal(actions[:, 2], [-1.0, -1.0, 1.0])
    np.testing.assert_array_equal(actions[:2, :2], [[0.5, -1.0], [0.0, -1.0]])


def test_a_blind_robot_turns_to_the_goal_then_goes():
    actions = make_policy("blind", Slots()).act(goals((3, 2.0), (3, -0.1), (3, 0)))  # type: ignore
    np.testing.assert_allclose(actions[0], [0.0, 1.0])
    np.testing.assert_allclose(actions[1], [1.0, -0.1 / np.radians(15)], atol=1e-6)
    np.testing.assert_allclose(actions[2], [1.0, 0.0])


def test_odometry_tells_a_robot_that_is_stuck_to_turn_away_for_a_while():
    policy = make_policy("blind+odometry", Slots(num_envs=1))  # type: ignore[arg-type]
    seen = goals((3, 0))
    policy.reset(np.ones(1, bool))  # type: ignore[attr-defined]
    actions = np.stack([policy.act(seen)[0] for _ in range(2)])  # it does not come ahead
    np.testing.assert_allclose(actions[0], [1.0, 0.0])
    assert actions[1, 0] == 0 and abs(actions[1, 1]) == 1
    later = []
    for _ in range(30):
        seen["agent_pos"][:, 0] += 0.25 * (later[-1][0] if later else 0.0)
        later.append(policy.act(seen)[0])
    turns = np.abs(np.array(later)[:, 1])
    assert np.pi / 4 <= (1 + turns.sum()) * np.radians(15) <= 3 * np.pi / 4 + 1e-6
    assert later[-1].tolist() == [1.0, 0.0], "it minds its goal again"


def test_a_robot_in_free_space_is_never_stuck():
    policy = make_policy("blind+odometry", Slots(num_envs=1))  # type: ignore[arg-type]
    seen = goals((9, 0))
    for _ in range(20):
        assert policy.act(seen)[0].tolist() == [1.0, 0.0]
        seen["agent_pos"][:, 0] += 0.25


def test_without_a_goal_a_blind_robot_goes_ahead_and_turns_now_and_then():
    policy = make_policy("blind", Slots(num_envs=1))  # type: ignore[arg-type]
    seen = {"goal_pixels": np.zeros((1, 4, 4, 3))}
    actions = np.stack([policy.act(seen)[0] for _ in range(300)])
    ahead = actions[:, 0] == 1
    assert 0.4 < ahead.mean() < 0.9
    assert not actions[ahead, 1].any() and not (actions[~ahead, 0]).any()


def test_what_memory_says_is_where_the_recalling_robot_goes():
    policy = RecallPolicy(Slots(parts=("agent_pos", "recalled")))  # type: ignore[arg-type]
    seen = goals((0, 0), (0, 0), (0, 0))
    seen["recalled"] = np.array([[4, 1.5, 0.9], [4, 0, 0.9], [4, 1.5, 0.1]], np.float32)
    actions = policy.act(seen)
    np.testing.assert_allclose(actions, [[0, 1], [1, 0], [1, 0]])


def test_only_where_memory_is_asked_can_it_be_followed():
    with pytest.raises(InvalidOptionError, match="observations with recalled"):
        make_policy("recall", Slots())  # type: ignore[arg-type]
    with pytest.raises(InvalidOptionError, match="observations with agent_pos"):
        make_policy("blind+odometry", Slots(parts=("pixels",)))  # type: ignore[arg-type]


def test_a_policy_is_known_by_name_or_file(env_config):
    envs = make_envs(env_config)
    for name in set(POLICIES) - {"recall"}:
        assert make_policy(name, envs).name == name
    with pytest.raises(UnknownNameError, match="Did you mean 'straight'"):
        make_policy("strait", envs)
    with pytest.raises(CheckpointError, match="policy file"):
        make_policy("runs/none.safetensors", envs)
    envs.close()


def test_blind_robots_cross_the_empty_room(env_config):
    for name in ("blind", "blind+odometry"):
        envs = make_envs(replace(env_config, num_worlds=1))
        assert evaluate_policy(make_policy(name, envs), envs, 6).success.all()
        envs.close()


def test_actions_that_a_wrapper_changed_cannot_be_scripted(env_config):
    from mgenv.wrappers import VectorDiscreteActions

    envs = VectorDiscreteActions(make_envs(env_config))
    with pytest.raises(InvalidOptionError, match="the robot's own actions"):
        make_policy("spin", envs)
    envs.close()
