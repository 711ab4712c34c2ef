import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from tests.same import assert_same, differs

STILL = np.zeros((2, 2), np.float32)


def run(envs, steps: int, seed: int = 0) -> list:
    envs.action_space.seed(seed)
    return [envs.step(envs.action_space.sample()) for _ in range(steps)]


@pytest.mark.parametrize("task", ["explore", "pointnav", "imagenav", "recall"])
def test_observations_lie_in_their_space(make_tiny, task):
    envs = make_tiny(3, task=task)
    observation, _ = envs.reset(seed=0)
    assert observation in envs.observation_space
    for observation, rewards, terminations, truncations, _ in run(envs, 15):
        assert observation in envs.observation_space
        assert rewards.dtype == np.float64 and terminations.dtype == truncations.dtype == bool


def test_observation_keys_follow_task_and_type(make_tiny):
    keys = {"pixels", "agent_pos"}
    assert set(make_tiny(task="explore").single_observation_space) == keys
    assert set(make_tiny(task="pointnav").single_observation_space) == keys | {"goal"}
    only = make_tiny(task="imagenav", obs_type="pixels").single_observation_space
    assert set(only) == {"pixels", "goal_pixels"}


def test_agent_pos_is_odometry_from_the_start(make_tiny):
    envs = make_tiny(1, task="explore")
    observation, _ = envs.reset(seed=0)
    np.testing.assert_allclose(observation["agent_pos"], [[0, 0, 0, 1]], atol=1e-6)
    envs.step(np.array([[0.5, 1.0]]))
    observation, *_ = envs.step(np.array([[1.0, 0.0]]))
    turn = np.radians(15)
    expected = [0.125 + 0.25 * np.cos(turn), 0.25 * np.sin(turn), np.sin(turn), np.cos(turn)]
    np.testing.assert_allclose(observation["agent_pos"][0], expected, atol=1e-5)


def test_infos_are_arrays_with_masks(make_tiny):
    envs = make_tiny(2, task="pointnav")
    _, infos = envs.reset(seed=0)
    names = {"pose", "world_id", "bumped", "is_success", "distance_to_goal", "spl"}
    names |= {"coverage", "memory_frames", "geodesic_distance", "straight_distance"}
    names |= {"soft_spl", "collisions"}
    assert {name for name in infos if not name.startswith("_")} == names
    *_, infos = envs.step(STILL)
    terms = {"reward_progress", "reward_success", "reward_slack", "reward_bump"}
    assert {name for name in infos if not name.startswith("_")} == names | terms
    for name in names | terms:
        assert len(infos[name]) == 2 and infos[f"_{name}"].tolist() == [True, True]
    assert infos["pose"].shape == (2, 4, 4)


def test_reward_is_the_sum_of_its_terms(make_tiny):
    envs = make_tiny(2, max_episode_steps=None)
    envs.reset(seed=0)
    for _, rewards, _, _, infos in run(envs, 5):
        terms = sum(value for name, value in infos.items() if name.startswith("reward_"))
        np.testing.assert_allclose(rewards, terms)


def test_next_step_mode_resets_in_the_step_after(make_tiny):
    envs = make_tiny(2, task="explore", max_episode_steps=3)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    envs.reset(seed=0)
    *_, truncations, _ = run(envs, 3)[-1]
    assert truncations.all()
    observation, rewards, terminations, truncations, infos = envs.step(np.ones((2, 2)))
    assert not (rewards.any() or terminations.any() or truncations.any())
    np.testing.assert_allclose(observation["agent_pos"], [[0, 0, 0, 1]] * 2, atol=1e-6)
    assert "reward_area" not in infos and infos["_pose"].all()


def test_same_step_mode_gives_the_last_observation_and_info(make_tiny):
    envs = make_tiny(2, task="pointnav", max_episode_steps=3, autoreset_mode="same_step")
    envs.reset(seed=0, options={"world_id": 0})
    observation, _, _, truncations, infos = run(envs, 3)[-1]
    assert truncations.all() and infos["_final_obs"].all() and infos["_final_info"].all()
    np.testing.assert_allclose(observation["agent_pos"], [[0, 0, 0, 1]] * 2, atol=1e-6)
    final = infos["final_obs"][0]
    assert final in envs.single_observation_space and np.abs(final["agent_pos"][:3]).max() > 0
    for name in ("is_success", "spl", "reward_progress"):
        assert infos["final_info"][f"_{name}"].all()


@pytest.mark.parametrize("mode", ["next_step", "same_step", "disabled"])
def test_success_terminates_and_the_next_episode_begins(make_tiny, mode):
    envs = make_tiny(1, task="pointnav", autoreset_mode=mode, max_episode_steps=None)
    observation, _ = envs.reset(seed=0)
    terminated = False
    while not terminated:
        bearing = observation["goal"][0, 1]
        action = np.array([[abs(bearing) < 0.3, np.clip(bearing / 0.26, -1, 1)]])
        observation, _, terminations, truncations, infos = envs.step(action)
        terminated = terminations[0]
    final = infos["final_info"] if mode == "same_step" else infos
    assert final["is_success"][0] and final["spl"][0] > 0 and not truncations[0]
    assert final["reward_success"][0] > 0 and final["distance_to_goal"][0] <= 0.5
    if mode == "next_step":
        observation, *_ = envs.step(action)
    elif mode == "disabled":
        observation, _ = envs.reset(options={"reset_mask": terminations})
    assert observation["goal"][0, 0] >= 1.0 and (observation["agent_pos"] == [0, 0, 0, 1]).all()


def test_disabled_mode_leaves_resets_to_the_caller(make_tiny):
    envs = make_tiny(2, task="explore", max_episode_steps=3, autoreset_mode="disabled")
    envs.reset(seed=0)
    run(envs, 1)
    envs.reset(options={"reset_mask": np.array([True, False])})
    *_, truncations, _ = run(envs, 2)[-1]
    assert truncations.tolist() == [False, True]
    before, *_ = envs.reset(options={"reset_mask": truncations})
    *_, truncations, _ = envs.step(STILL)
    assert truncations.tolist() == [True, False]


def test_reset_mask_touches_no_other_slot(make_tiny):
    envs = make_tiny(3, task="imagenav")
    envs.reset(seed=0)
    before = run(envs, 4)[-1][0]
    options = {"reset_mask": np.array([False, True, False])}
    observation, infos = envs.reset(options=options)
    assert list(options) == ["reset_mask"], "the caller's dict is his own"
    assert infos["_pose"].tolist() == [False, True, False]
    for name, value in observation.items():
        np.testing.assert_array_equal(value[[0, 2]], before[name][[0, 2]])
    assert (observation["agent_pos"][1] == [0, 0, 0, 1]).all()


def test_same_seed_and_actions_give_the_same_rollout(make_tiny):
    rollouts = []
    for _ in range(2):
        envs = make_tiny(2, task="imagenav")
        rollouts.append([envs.reset(seed=5), *run(envs, 30)])
    assert_same(*rollouts)


def test_a_seeded_reset_starts_over(make_tiny):
    envs = make_tiny(2, task="imagenav", memory="fresh")
    first = [envs.reset(seed=5), *run(envs, 30)]
    second = [envs.reset(seed=5), *run(envs, 30)]
    assert_same(first, second)


def test_seeds_count_up_by_slot_or_come_one_by_one(make_tiny):
    one, other = make_tiny(3), make_tiny(3)
    assert_same(one.reset(seed=7), other.reset(seed=[7, 8, 9]))
    assert one.np_random_seed == other.np_random_seed == (7, 8, 9)
    assert differs(one.reset(seed=7)[0], other.reset(seed=[7, 8, 8])[0])


def test_a_slot_does_not_depend_on_batch_or_neighbours(make_tiny):
    alone, among = make_tiny(1, task="imagenav"), make_tiny(3, task="imagenav")
    alone.reset(seed=5)
    among.reset(seed=[1, 5, 9])
    rng = np.random.default_rng(0)
    for _ in range(30):
        actions = rng.uniform(-1, 1, (3, 2))
        one, few = alone.step(actions[1:2]), among.step(actions)
        for name, value in one[0].items():
            np.testing.assert_array_equal(value[0], few[0][name][1])
        assert one[1][0] == few[1][1]


def test_returned_arrays_are_the_callers(make_tiny):
    envs = make_tiny(2)
    observation, _ = envs.reset(seed=0)
    kept = {name: value.copy() for name, value in observation.items()}
    envs.step(np.ones((2, 2)))
    assert_same(observation, kept)
    observation["pixels"][:] = 0
    assert envs.observation["pixels"].any()


def test_render_gives_a_frame_for_each_robot(make_tiny):
    envs = make_tiny(2, render_mode="rgb_array")
    observation, _ = envs.reset(seed=0)
    frames = envs.render()
    assert isinstance(frames, tuple) and len(frames) == 2
    np.testing.assert_array_equal(np.stack(frames), observation["pixels"])
    plain = make_tiny(2)
    plain.reset(seed=0)
    assert plain.render() is None


def test_call_answers_for_each_slot(make_tiny):
    envs = make_tiny(2, task="pointnav")
    envs.reset(seed=3)
    assert envs.call("task_description") == (envs.task_description,) * 2
    assert envs.task_description.startswith("Go to the point")
    assert envs.call("np_random_seed") == (3, 4)
    assert envs.get_attr("_max_episode_steps") == (12, 12)


def test_worlds_are_drawn_from_those_given(make_tiny):
    envs = make_tiny(2, world_ids=[4, 8], max_episode_steps=1)
    envs.reset(seed=0)
    seen = {int(i) for _ in range(40) for i in envs.step(STILL)[-1]["world_id"]}
    assert seen == {4, 8}


def test_a_world_can_be_asked_for(make_tiny):
    envs = make_tiny(2)
    assert envs.reset(options={"world_id": 11})[1]["world_id"].tolist() == [11, 11]
    assert envs.reset(options={"world_id": [5, 6]})[1]["world_id"].tolist() == [5, 6]


def test_at_most_one_begin_and_one_step_of_the_world_a_step(make_tiny, monkeypatch):
    envs = make_tiny(4, max_episode_steps=5, autoreset_mode="same_step")
    envs.reset(seed=0)
    calls: list[str] = []
    for name in ("begin", "step"):
        method = getattr(envs.world, name)
        spy = lambda *a, _m=method, _n=name, **k: (calls.append(_n), _m(*a, **k))[1]  # noqa: E731
        monkeypatch.setattr(envs.world, name, spy)
    for _ in range(12):
        calls.clear()
        envs.step(envs.action_space.sample())
        assert sorted(calls) in (["step"], ["begin", "step"])


def test_depth_is_what_the_world_shows_and_is_cut_off(make_tiny, monkeypatch):
    envs = make_tiny(2, task="explore", obs_type="pixels_depth")
    look = envs.world._look

    def far(rows, bumped):
        frame = look(rows, bumped)
        far.seen = frame.depth.copy()
        frame.depth[:, :, 0], frame.depth[:, :, 1] = np.inf, np.nan
        return frame

    monkeypatch.setattr(envs.world, "_look", far)
    depth = envs.reset(seed=0)[0]["depth"]
    assert depth.dtype == np.float32 and depth.shape == (2, 16, 16, 1)
    np.testing.assert_array_equal(depth[:, :, 2:, 0], far.seen[:, :, 2:])
    assert (depth[:, :, :2] == 20.0).all()
    assert depth in envs.observation_space["depth"]


def test_pixels_alone_are_no_dictionary(make_tiny):
    envs = make_tiny(2, task="explore", obs_type="pixels", render_mode="rgb_array")
    observation, _ = envs.reset(seed=0)
    assert observation.shape == (2, 16, 16, 3) and observation in envs.observation_space
    np.testing.assert_array_equal(envs.render(), observation)
    state = envs.get_state()
    first = envs.step(np.full((2, 2), 0.4))[0]
    envs.set_state(state)
    np.testing.assert_array_equal(envs.observation, observation)
    np.testing.assert_array_equal(envs.step(np.full((2, 2), 0.4))[0], first)
