import numpy as np
import pytest
import torch

from mgenv.camera import Pose
from mgenv.errors import UnknownNameError
from mgenv.tasks import ImageNav, Place, PointNav, make_task
from mgenv.tasks.base import REWARD_BUMP
from mgenv.tasks.goal import REWARD_SLACK, REWARD_SUCCESS, draw_goal, shortest_path
from mgenv.worlds.base import Frame

SLOTS = np.array([0])


def pose(x: float, y: float, yaw: float = 0.0) -> np.ndarray:
    return Pose.create(torch.tensor([x, y, 1.0]), torch.tensor(yaw)).matrix.numpy()


def frame(*poses: np.ndarray, bumped: bool = False) -> Frame:
    n = len(poses)
    rgb, depth = np.zeros((n, 8, 8, 3), np.uint8), np.ones((n, 8, 8), np.float32)
    return Frame(rgb, depth, np.stack(poses), np.full(n, bumped), np.zeros(n, np.float32))


def place(*poses: np.ndarray) -> Place:
    rgb = np.stack([np.full((8, 8, 3), index, np.uint8) for index in range(len(poses))])
    return Place(rgb, np.stack(poses))


def begin(task, at: np.ndarray, known: Place | None):
    task.begin(SLOTS, frame(at), [known], [np.random.default_rng(0)])
    return task


def test_progress_slack_and_bumps_are_terms_of_the_reward():
    task = begin(PointNav(1, 8), pose(0, 0), place(pose(3, 0)))
    outcome = task.step(SLOTS, frame(pose(0.25, 0), bumped=True))
    terms = {name: float(value[0]) for name, value in outcome.rewards.items()}
    assert terms == pytest.approx(
        {
            "reward_progress": 0.25,
            "reward_success": 0.0,
            "reward_slack": REWARD_SLACK,
            "reward_bump": REWARD_BUMP,
        }
    )
    assert outcome.reward[0] == pytest.approx(sum(terms.values()))
    assert not outcome.terminated[0]


def test_reaching_the_goal_ends_the_episode_with_full_spl():
    task = begin(PointNav(1, 8), pose(0, 0), place(pose(2, 0)))
    task.step(SLOTS, frame(pose(1, 0)))
    outcome = task.step(SLOTS, frame(pose(1.6, 0)))
    info = task.info(SLOTS)
    assert outcome.terminated[0] and outcome.rewards["reward_success"][0] == REWARD_SUCCESS
    assert info["is_success"][0] and info["spl"][0] == 1.0
    assert info["distance_to_goal"][0] == pytest.approx(0.4)


def test_detours_cost_spl():
    task = begin(PointNav(1, 8), pose(0, 0), place(pose(2, 0)))
    for x, y in ((0, 2), (2, 2), (2, 0.4)):
        task.step(SLOTS, frame(pose(x, y)))
    assert task.info(SLOTS)["spl"][0] == pytest.approx(2.0 / 5.6, abs=1e-5)


def test_a_goal_at_the_start_counts_only_on_coming_back():
    task = begin(PointNav(1, 8), pose(0, 0), place(pose(0, 0)))
    assert not task.step(SLOTS, frame(pose(0.1, 0))).terminated[0]
    assert not task.step(SLOTS, frame(pose(0.8, 0))).terminated[0]
    assert task.step(SLOTS, frame(pose(0.2, 0))).terminated[0]


def test_goals_lie_one_to_five_metres_away_where_there_are_such():
    known = place(*[pose(0.5 * index, 0) for index in range(20)])
    rng = np.random.default_rng(0)
    drawn = {draw_goal(known, np.zeros(3), rng) for _ in range(300)}
    assert drawn == set(range(2, 11))
    assert draw_goal(place(pose(0.1, 0), pose(0.3, 0)), np.zeros(3), rng) == 1


def test_shortest_path_goes_round_walls_that_memory_knows():
    detour = np.array([[0, y / 2] for y in range(5)] + [[1, 2]] + [[0.5, 2]])
    assert shortest_path(detour, np.zeros(2), np.array([1.0, 2.0])) == pytest.approx(3.0)


def test_shortest_path_is_straight_where_memory_knows_no_way():
    goal = np.array([3.0, 4.0])
    assert shortest_path(np.zeros((0, 2)), np.zeros(2), goal) == pytest.approx(5.0)
    assert shortest_path(np.array([[9.0, 9.0]]), np.zeros(2), goal) == pytest.approx(5.0)


def test_pointnav_shows_distance_and_bearing():
    task = begin(PointNav(1, 8), pose(1, 1, np.pi / 2), place(pose(-1, 1)))
    goal = task.observe(SLOTS, frame(pose(1, 1, np.pi / 2)))["goal"][0]
    np.testing.assert_allclose(goal, [2.0, np.pi / 2], atol=1e-6)
    assert goal in task.spaces()["goal"]


def test_pointnav_goals_lie_ahead_where_nothing_is_known():
    task = PointNav(1, 8)
    for seed in range(50):
        task.begin(SLOTS, frame(pose(2, 0, 1.0)), [None], [np.random.default_rng(seed)])
        distance, bearing = task.observe(SLOTS, frame(pose(2, 0, 1.0)))["goal"][0]
        assert 1.0 <= distance <= 3.0 and abs(bearing) <= np.pi / 4 + 1e-6


def test_imagenav_shows_the_goal_frame_and_wants_its_heading():
    task = begin(ImageNav(1, 8), pose(0, 0), place(pose(0, 0), pose(2, 0, np.pi / 2)))
    assert (task.observe(SLOTS, frame(pose(0, 0)))["goal_pixels"] == 1).all()
    assert not task.step(SLOTS, frame(pose(1.9, 0))).terminated[0]
    assert task.step(SLOTS, frame(pose(1.9, 0, np.pi / 2 - 0.7))).terminated[0]


def test_facing_counts_across_the_turn_of_pi():
    task = begin(ImageNav(1, 8), pose(0, 0), place(pose(2, 0, 3.0)))
    assert task.step(SLOTS, frame(pose(2, 0, -3.0))).terminated[0]


def test_an_unknown_task_names_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'imagenav'"):
        make_task("imagnav", 1, 8)
