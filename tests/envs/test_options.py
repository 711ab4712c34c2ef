"""What a user may ask of the tasks: difficulty, sensors, stopping, memory."""

import numpy as np
import pytest

from mgenv.agents.recall import RECOGNISED
from mgenv.envs.vector_env import VectorEnv
from mgenv.errors import InvalidActionError, InvalidOptionError, UnknownNameError
from mgenv.tasks.noise import normals
from mgenv.wrappers.discrete_actions import VectorDiscreteActions
from tests.fake_world import FakeWorld
from tests.same import assert_same, differs


def drive(envs, steps: int, seed: int = 0) -> list:
    rng = np.random.default_rng(seed)
    return [envs.step(rng.uniform(-1, 1, (envs.num_envs, 2))) for _ in range(steps)]


@pytest.mark.parametrize(
    ("option", "value", "error", "says"),
    [
        ("difficulty", "hrad", UnknownNameError, "Did you mean 'hard'"),
        ("goal_sensor", "exakt", UnknownNameError, "Did you mean 'exact'"),
        ("odometry", "noise", UnknownNameError, "Did you mean 'noisy'"),
        ("stop", 1, InvalidOptionError, "True or False"),
        ("recall_memory", None, InvalidOptionError, "True or False"),
    ],
)
def test_bad_options(option, value, error, says):
    with pytest.raises(error, match=says):
        VectorEnv(1, world=FakeWorld(1), **{option: value})


@pytest.mark.parametrize("difficulty", ["easy", "any"])
def test_difficulty_is_that_of_the_episodes(make_tiny, difficulty):
    envs = make_tiny(4, difficulty=difficulty)
    envs.reset(seed=0)
    for episode in envs.episodes():
        assert episode.difficulty == "easy", "nothing stands in the tiny room"
        assert episode.geodesic == pytest.approx(episode.straight, rel=0.1)


def test_odometry_is_exact_or_errs_more_and_more(make_tiny):
    exact, noisy = (
        make_tiny(2, max_episode_steps=None),
        make_tiny(2, max_episode_steps=None, odometry="noisy"),
    )
    for envs in (exact, noisy):
        envs.reset(seed=0)
    gaps = [
        np.abs(ours[0]["agent_pos"] - theirs[0]["agent_pos"]).max()
        for ours, theirs in zip(drive(exact, 60), drive(noisy, 60), strict=True)
    ]
    assert 0 < gaps[0] < 0.05 and max(gaps[-20:]) > max(gaps[:5]) and max(gaps) < 3.0
    assert exact.observation["agent_pos"].dtype == np.float32


def test_noise_of_a_slot_does_not_depend_on_its_neighbours(make_tiny):
    options = {"odometry": "noisy", "goal_sensor": "noisy", "max_episode_steps": 5}
    alone, among = make_tiny(1, **options), make_tiny(3, **options)
    alone.reset(seed=5)
    among.reset(seed=[1, 5, 9])
    rng = np.random.default_rng(0)
    for _ in range(20):
        actions = rng.uniform(-1, 1, (3, 2))
        one, few = alone.step(actions[1:2]), among.step(actions)
        for name, value in one[0].items():
            np.testing.assert_array_equal(value[0], few[0][name][1])


def test_noisy_sensors_resume_and_fork_exactly(make_tiny):
    envs = make_tiny(2, odometry="noisy", goal_sensor="noisy")
    envs.reset(seed=0)
    drive(envs, 5)
    state = envs.get_state()
    first = drive(envs, 20, seed=1)
    envs.set_state(state)
    assert_same(first, drive(envs, 20, seed=1))
    envs.fork(0, [1])
    observation, *_ = envs.step(np.full((2, 2), 0.4))
    np.testing.assert_array_equal(observation["agent_pos"][0], observation["agent_pos"][1])
    np.testing.assert_array_equal(observation["goal"][0], observation["goal"][1])


def test_episodes_do_not_depend_on_how_they_are_sensed(make_tiny):
    plain, noisy = make_tiny(2), make_tiny(2, odometry="noisy", goal_sensor="noisy")
    for envs in (plain, noisy):
        envs.reset(seed=0)
        drive(envs, 3)
        envs.reset()
    assert plain.episodes() == noisy.episodes()


def test_streams_of_noise_differ():
    draws = {tuple(normals(seed, sensor, step, 2)) for seed in (0, 1) for sensor in (0, 1)
             for step in (0, 1)}  # fmt: skip
    assert len(draws) == 8


@pytest.mark.parametrize("task", ["pointnav", "explore", "recall"])
def test_a_robot_that_stops_ends_its_episode_and_stays(make_tiny, task):
    envs = make_tiny(2, task=task, stop=True, autoreset_mode="disabled")
    assert envs.single_action_space.shape == (3,)
    envs.reset(seed=0)
    actions = np.array([[1.0, 0.0, 0.5], [1.0, 0.0, -0.5]])
    before = envs.observation["agent_pos"].copy()
    observation, _, terminations, *_ = envs.step(actions)
    assert terminations.tolist() == [True, False]
    moved = np.abs(observation["agent_pos"] - before).max(1)
    assert moved[0] == 0 and moved[1] > 0


def test_arriving_is_no_success_until_the_robot_stops(make_tiny):
    envs = make_tiny(1, stop=True, max_episode_steps=None, autoreset_mode="disabled")
    observation, infos = envs.reset(seed=0)
    while infos["distance_to_goal"][0] > 0.4:
        bearing = observation["goal"][0, 1]
        action = [abs(bearing) < 0.3, np.clip(bearing / 0.26, -1, 1), -1.0]
        observation, _, terminations, _, infos = envs.step(np.array([action]))
        assert not terminations[0]
    *_, infos = envs.step(np.array([[0.0, 0.0, 1.0]]))
    assert infos["is_success"][0] and infos["spl"][0] > 0.5


def test_stop_is_a_move_of_discrete_actions(make_tiny):
    envs = VectorDiscreteActions(make_tiny(1, stop=True), ["forward", "stop"])
    envs.reset(seed=0)
    assert not envs.step(np.array([0]))[2][0] and envs.step(np.array([1]))[2][0]


def test_bad_actions_of_stopping_robots_are_named(make_tiny):
    envs = make_tiny(2, stop=True)
    envs.reset(seed=0)
    with pytest.raises(InvalidActionError, match=r"shape \(2, 3\), got \(2, 2\)"):
        envs.step(np.zeros((2, 2)))


def test_recall_finds_the_goal_in_memory_and_leads_there(make_tiny):
    envs = make_tiny(4, task="recall", max_episode_steps=None)
    observation, infos = envs.reset(seed=0)
    distance, bearing, match = observation["recalled"].T
    assert (match > 0.99).all() and (np.abs(bearing) <= np.pi).all()
    np.testing.assert_allclose(distance, infos["distance_to_goal"], atol=0.15)
    for slot in range(4):
        frames = envs.world.memory.frames(slot).rgb
        assert (frames == observation["goal_pixels"][slot]).all((1, 2, 3)).any()


def test_a_picture_that_memory_does_not_hold_is_not_recognised(make_tiny):
    envs = make_tiny(1, task="recall")
    envs.reset(seed=0, options={"world_id": 0})
    envs.world.memory.clear([0])
    other = envs.world.begin([0], [1])  # another world's walls
    envs.world.memory.enter([0], [0])
    envs.world.memory.add([0], other.rgb, other.depth, other.pose, observed=True)
    observation, _ = envs.reset(options={"world_id": 0})
    assert observation["recalled"][0, 2] < RECOGNISED


def test_without_memory_nothing_is_recalled(make_tiny):
    given, blank = (make_tiny(2, task="recall", recall_memory=told) for told in (True, False))
    one, other = given.reset(seed=0)[0], blank.reset(seed=0)[0]
    assert not other["recalled"].any() and differs(one["recalled"], other["recalled"])
    np.testing.assert_array_equal(one["goal_pixels"], other["goal_pixels"])
    assert given.episodes() == blank.episodes()


def test_recall_of_a_fresh_world_is_of_an_earlier_episode(make_tiny):
    envs = make_tiny(1, task="recall", memory="fresh", max_episode_steps=None)
    envs.reset(seed=0, options={"world_id": 0})
    for turn in [1.0] * 24 + [0.0] * 12:
        envs.step(np.array([[0.6, turn]]))
    observation, infos = envs.reset(options={"world_id": 0})
    assert infos["distance_to_goal"][0] >= 1.0 and observation["recalled"][0, 2] > 0.99
