from dataclasses import replace

import numpy as np
import pytest

from mgenv.errors import InvalidOptionError, UnknownNameError
from mgenv.tasks import Episode, ImageNav, Place, PointNav, Setting, TaskOptions, make_task
from mgenv.tasks.base import REWARD_BUMP
from mgenv.tasks.choosing import draw_picture, draw_point
from mgenv.tasks.goal import REWARD_SLACK, REWARD_SUCCESS
from tests.tasks.made_up import flat, frame, pose

SLOTS = np.array([0])
FLAT = flat()
BEHIND = (0.8, -1.0, 0.0)
"""Behind the wall from START: 1.6 m as the crow flies, more than twice that along the floor."""
START = (-0.8, -1.0)


def episode(goal, start=(0.0, 0.0), **kwargs) -> Episode:
    at = (*start, 1.0, 0.0)
    return Episode(0, at, goal, "easy", 1.0, 1.0, **({"seed": 0} | kwargs))


def begin(task, at: np.ndarray, goal, place: Place | None = None, **kwargs):
    given = episode(goal, tuple(map(float, at[:2, 3])), **kwargs)
    task.begin(SLOTS, frame(at), [Setting(place, given.seed, given)])
    return task


def info(task, name: str) -> float:
    return float(task.info(SLOTS)[name][0])


def test_progress_slack_and_bumps_are_terms_of_the_reward():
    task = begin(PointNav(1, 8), pose(0, 0), (3, 0, 0))
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
    assert not outcome.terminated[0] and info(task, "collisions") == 1


def test_reaching_the_goal_ends_the_episode_with_full_spl():
    task = begin(PointNav(1, 8), pose(0, 0), (2, 0, 0))
    task.step(SLOTS, frame(pose(1, 0)))
    outcome = task.step(SLOTS, frame(pose(1.6, 0)))
    assert outcome.terminated[0] and outcome.rewards["reward_success"][0] == REWARD_SUCCESS
    assert info(task, "is_success") and info(task, "spl") == 1.0
    assert info(task, "distance_to_goal") == pytest.approx(0.4)
    assert info(task, "soft_spl") == pytest.approx(0.8)


def test_detours_cost_spl():
    task = begin(PointNav(1, 8), pose(0, 0), (2, 0, 0))
    for x, y in ((0, 2), (2, 2), (2, 0.4)):
        task.step(SLOTS, frame(pose(x, y)))
    assert info(task, "spl") == pytest.approx(2.0 / 5.6, abs=1e-5)


def test_half_the_way_is_half_of_soft_spl():
    task = begin(PointNav(1, 8), pose(0, 0), (4, 0, 0))
    task.step(SLOTS, frame(pose(2, 0)))
    assert info(task, "spl") == 0.0 and info(task, "soft_spl") == pytest.approx(0.5)
    task.step(SLOTS, frame(pose(-1, 0)))
    assert info(task, "soft_spl") == 0.0


def test_a_goal_at_the_start_counts_only_on_coming_back():
    task = begin(PointNav(1, 8), pose(0, 0), (0, 0, 0))
    assert not task.step(SLOTS, frame(pose(0.1, 0))).terminated[0]
    assert not task.step(SLOTS, frame(pose(0.8, 0))).terminated[0]
    assert task.step(SLOTS, frame(pose(0.2, 0))).terminated[0]


def test_the_way_to_a_goal_behind_a_wall_leads_through_the_gap():
    task = begin(PointNav(1, 8), pose(*START), BEHIND, FLAT)
    by_the_gap = 2 * np.hypot(0.8 - 0.33, 2.23) + 0.66  # round the wall's end, 0.23 m off
    assert info(task, "geodesic_distance") == pytest.approx(by_the_gap, rel=0.1)
    assert info(task, "straight_distance") == pytest.approx(1.6)
    towards = task.step(SLOTS, frame(pose(-0.8, -0.5))).rewards["reward_progress"][0]
    assert towards == pytest.approx(0.5, abs=0.15), "away from the goal, but along the way"


def test_a_goal_is_not_reached_through_a_wall():
    task = begin(PointNav(1, 8), pose(-2, 0), (0.4, -1.0, 0.0), FLAT)
    outcome = task.step(SLOTS, frame(pose(-0.3, -1.0)))  # 0.7 m away, behind the wall
    assert not outcome.terminated[0] and info(task, "distance_to_goal") > 3.0
    assert task.step(SLOTS, frame(pose(0.7, -1.0))).terminated[0]


def test_off_the_known_floor_the_way_back_counts():
    task = begin(PointNav(1, 8), pose(-2, 0), (-1, 0, 0), FLAT)
    task.step(SLOTS, frame(pose(-2.5, 0)))
    before = info(task, "distance_to_goal")
    task.step(SLOTS, frame(pose(-4.5, 0)))  # outside the flat
    assert info(task, "distance_to_goal") == pytest.approx(before + 2.0, abs=0.05)


@pytest.mark.parametrize(
    ("difficulty", "low", "high"), [("easy", 0.9, 1.1), ("medium", 1.1, 1.5), ("hard", 1.5, 99)]
)
def test_goals_are_as_hard_as_asked_for(difficulty, low, high):
    plan, start, drawn = FLAT.plan, np.array(START), set()
    for seed in range(40):
        goal = draw_point(plan, start, difficulty, np.random.default_rng(seed))
        way = float(plan.lookup(plan.distances(goal), start))
        assert low <= way / np.hypot(*(goal - start)) <= high + 0.05
        assert 1.4 <= way <= 12.1 and plan.is_free(goal)
        drawn.add(tuple(goal))
    assert len(drawn) > 10


def test_where_nothing_is_hard_the_hardest_there_is_will_do():
    half = np.flatnonzero(FLAT.pose[:, 0, 3] < -0.5)
    room = Place(FLAT.rgb[half], FLAT.pose[half], FLAT.depth[half])
    start = np.array([-2.2, -1.2])
    goal = draw_point(room.plan, start, "hard", np.random.default_rng(0))
    task = begin(PointNav(1, 8), pose(*start), (*goal, 0.0), room)
    assert task.goal_of(0)["difficulty"] != "hard"
    assert task.goal_of(0)["geodesic"] == pytest.approx(info(task, "geodesic_distance"))


def test_where_all_is_near_the_farthest_spot_will_do():
    corner = Place(FLAT.rgb[:1], FLAT.pose[:1], FLAT.depth[:1])  # its view does not join its spot
    goal = draw_point(corner.plan, FLAT.pose[0][:2, 3], "hard", np.random.default_rng(0))
    assert 0 < np.hypot(*(goal - FLAT.pose[0][:2, 3])) < 0.3
    assert draw_point(corner.plan, np.array([9.0, 9.0]), "hard", np.random.default_rng(0)) is None


def test_episodes_start_where_the_floor_is_joined():
    far = FLAT.pose[:2].copy()
    far[:, 0, 3] += 50.0
    two = Place(
        np.concatenate([FLAT.rgb, FLAT.rgb[:2]]),
        np.concatenate([far, FLAT.pose]),
        np.concatenate([FLAT.depth[:2], FLAT.depth]),
    )
    np.testing.assert_array_equal(two.starts, np.arange(2, len(FLAT.pose) + 2))
    unknown = Place(FLAT.rgb[:3], FLAT.pose[:3])
    np.testing.assert_array_equal(unknown.starts, np.arange(3))


def test_the_start_does_not_show_the_goal_picture():
    start = pose(-2.2, 0.0, np.pi)  # faces the far wall
    for seed in range(20):
        index = draw_picture(FLAT, start, 2.0, np.random.default_rng(seed))
        at, ahead = FLAT.pose[index][:2, 3], FLAT.pose[index][:2, 2]
        way = FLAT.plan.lookup(FLAT.plan.distances(at), start[:2, 3])
        assert 2.0 <= way < np.inf
        west = at[0] < 0 and ahead[0] < -0.5
        assert not west, "it would look at what the start looks at"


def test_a_goal_picture_in_a_pocket_of_the_floor_is_not_drawn():
    place, start = Place(FLAT.rgb, FLAT.pose, FLAT.depth), pose(-2.2, 0.0, np.pi)
    free, plan = FLAT.plan.free.copy(), FLAT.plan
    pockets = FLAT.pose[FLAT.pose[:, 0, 3] > 0.0][:, :2, 3]
    cells = plan.origin + (np.argwhere(np.ones_like(free))[:, ::-1] + 0.5) * plan.cell
    for spot in pockets:
        free.reshape(-1)[np.hypot(*(cells - spot).T) < 0.2] = False
    for column, row in ((pockets - plan.origin) / plan.cell).astype(int):
        free[row, column] = True
    place.__dict__["plan"] = replace(plan, free=free)
    spots = FLAT.pose[:, :2, 3]
    reached = np.isfinite(place.plan.lookup(place.plan.distances(start[:2, 3]), spots))
    leads = [place.plan.leads(spot, start[:2, 3]) for spot in spots]
    assert (reached & ~np.array(leads)).any()
    for seed in range(20):
        assert leads[draw_picture(place, start, 2.0, np.random.default_rng(seed))]


def test_pointnav_shows_distance_and_bearing():
    task = begin(PointNav(1, 8), pose(1, 1, np.pi / 2), (-1, 1, 0))
    goal = task.observe(SLOTS, frame(pose(1, 1, np.pi / 2)))["goal"][0]
    np.testing.assert_allclose(goal, [2.0, np.pi / 2], atol=1e-6)
    assert goal in task.spaces()["goal"]


def test_a_sensor_of_the_start_stays_as_it_was():
    task = begin(PointNav(1, 8, TaskOptions(goal_sensor="start")), pose(0, 0), (3, 0, 0))
    first = task.observe(SLOTS, frame(pose(0, 0)))["goal"]
    task.step(SLOTS, frame(pose(1, 1, 1)))
    np.testing.assert_array_equal(first, task.observe(SLOTS, frame(pose(1, 1, 1)))["goal"])


def test_without_a_sensor_there_is_no_goal_to_see():
    task = begin(PointNav(1, 8, TaskOptions(goal_sensor="none")), pose(0, 0), (3, 0, 0))
    assert task.spaces() == {} and task.observe(SLOTS, frame(pose(0, 0))) == {}


def test_noise_of_the_goal_follows_from_seed_and_step():
    def seen(seed: int, slots: int = 1) -> np.ndarray:
        task = PointNav(slots, 8, TaskOptions(goal_sensor="noisy"))
        given = episode((3, 0, 0), seed=seed)
        rows, at = np.arange(slots), [pose(0, 0)] * slots
        task.begin(rows, frame(*at), [Setting(None, seed, given)] * slots)
        steps = []
        for _ in range(200):
            task.step(rows, frame(*at))
            steps.append(task.observe(rows, frame(*at))["goal"][-1])
        return np.stack(steps)

    one = seen(3)
    np.testing.assert_array_equal(one, seen(3, slots=2))
    assert not np.array_equal(one, seen(4))
    assert one[:, 0].mean() == pytest.approx(3.0, abs=0.05)
    assert one[:, 0].std() == pytest.approx(0.15, rel=0.2)
    assert one[:, 1].std() == pytest.approx(np.radians(5), rel=0.2)
    assert all(step in PointNav(1, 8).spaces()["goal"] for step in one)


def test_pointnav_goals_lie_ahead_where_nothing_is_known():
    task = PointNav(1, 8)
    for seed in range(50):
        task.begin(SLOTS, frame(pose(2, 0, 1.0)), [Setting(None, seed)])
        distance, bearing = task.observe(SLOTS, frame(pose(2, 0, 1.0)))["goal"][0]
        assert 1.0 <= distance <= 3.0 and abs(bearing) <= np.pi / 4 + 1e-6


def test_with_stop_only_stopping_at_the_goal_is_success():
    stop, go = np.array([True]), np.array([False])
    task = begin(PointNav(1, 8, TaskOptions(stop=True)), pose(0, 0), (2, 0, 0))
    assert not task.step(SLOTS, frame(pose(1.8, 0)), go).terminated[0]
    assert not info(task, "is_success")
    outcome = task.step(SLOTS, frame(pose(1.8, 0)), stop)
    assert outcome.terminated[0] and info(task, "is_success")
    task = begin(task, pose(0, 0), (2, 0, 0))
    assert task.step(SLOTS, frame(pose(1.0, 0)), stop).terminated[0]
    assert not info(task, "is_success")


def test_imagenav_shows_the_goal_frame_and_wants_its_heading():
    two = Place(FLAT.rgb[:2], np.stack([pose(0, 0), pose(2, 0, np.pi / 2)]))
    task = begin(ImageNav(1, 8), pose(0, 0), (2, 0, np.pi / 2), two, goal_frame=1)
    assert (task.observe(SLOTS, frame(pose(0, 0)))["goal_pixels"] == 1).all()
    assert not task.step(SLOTS, frame(pose(1.9, 0))).terminated[0]
    assert task.step(SLOTS, frame(pose(1.9, 0, np.pi / 2 - 0.7))).terminated[0]


def test_facing_counts_across_the_turn_of_pi():
    task = begin(ImageNav(1, 8), pose(0, 0), (2, 0, 3.0), FLAT, goal_frame=0)
    assert not task.step(SLOTS, frame(pose(1.0, 0, -3.0))).terminated[0]
    assert task.step(SLOTS, frame(pose(2, 0, -3.0))).terminated[0]


@pytest.mark.parametrize(
    ("goal", "start", "says"),
    [
        ((1.5, 0, 0), (-0.05, -1.0), "start on the free floor"),
        ((1.5, 0, 0), (-9.0, 0.0), "start on the free floor"),
        ((9.0, 0, 0), (-1.5, 0.0), "goal that can be reached"),
        ((0.0, -1.9, 0), (-1.5, 0.0), "goal that can be reached"),
    ],
)
def test_episodes_that_cannot_be_played_are_refused(goal, start, says):
    with pytest.raises(InvalidOptionError, match=says):
        PointNav(1, 8).check(episode(goal, start), FLAT)


def test_a_goal_picture_must_be_of_the_goal():
    at = tuple(map(float, (*FLAT.pose[5][:2, 3], 0.0)))
    ImageNav(1, 8).check(episode(at, (-1.2, 0.0), goal_frame=5), FLAT)
    for index in (-1, 30, 500):
        with pytest.raises(InvalidOptionError, match="frame"):
            ImageNav(1, 8).check(episode(at, (-1.2, 0.0), goal_frame=index), FLAT)


def test_an_unknown_task_names_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'imagenav'"):
        make_task("imagnav", 1, 8)
