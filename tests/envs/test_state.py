import numpy as np
import pytest

from mgenv.errors import InvalidOptionError, NotResetError
from tests.same import assert_same, differs

TASKS = ["explore", "pointnav", "imagenav", "recall"]


def run(envs, steps: int, seed: int) -> list:
    rng = np.random.default_rng(seed)
    return [envs.step(rng.uniform(-1, 1, (envs.num_envs, 2))) for _ in range(steps)]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("mode", ["next_step", "same_step"])
def test_resuming_is_exact(make_tiny, task, mode):
    envs = make_tiny(2, task=task, autoreset_mode=mode)
    envs.reset(seed=0)
    run(envs, 7, seed=1)
    state = envs.get_state()
    first = run(envs, 30, seed=2)
    envs.set_state(state)
    assert_same(first, run(envs, 30, seed=2))


def test_a_state_resumes_in_another_environment(make_tiny):
    one, other = make_tiny(2, task="imagenav"), make_tiny(2, task="imagenav")
    one.reset(seed=0)
    run(one, 9, seed=1)
    other.set_state(one.get_state())
    assert_same(run(one, 20, seed=2), run(other, 20, seed=2))


def test_a_state_is_a_copy(make_tiny):
    envs = make_tiny(2)
    envs.reset(seed=0)
    state, twin = envs.get_state(), envs.get_state()
    run(envs, 20, seed=1)
    assert_same(state, twin)


@pytest.mark.parametrize("task", TASKS)
def test_forked_slots_do_the_same_with_the_same_actions(make_tiny, task):
    envs = make_tiny(3, task=task)
    envs.reset(seed=0)
    run(envs, 5, seed=1)
    envs.fork(0, [2])
    rng = np.random.default_rng(2)
    for _ in range(80):
        actions = rng.uniform(-1, 1, (3, 2))
        actions[2] = actions[0]
        observation, rewards, *_ = envs.step(actions)
        assert rewards[0] == rewards[2]
        for value in observation.values():
            np.testing.assert_array_equal(value[0], value[2])


def test_a_fork_is_independent_and_leaves_others_alone(make_tiny):
    envs, twin = make_tiny(3), make_tiny(3)
    for each in (envs, twin):
        each.reset(seed=0)
        run(each, 5, seed=1)
    envs.fork(0, [2])
    envs_steps, twin_steps = run(envs, 10, seed=2), run(twin, 10, seed=2)
    for ours, theirs in zip(envs_steps, twin_steps, strict=True):
        for name in ours[0]:
            np.testing.assert_array_equal(ours[0][name][:2], theirs[0][name][:2])
    assert differs(envs_steps[-1][0]["agent_pos"][2], envs_steps[-1][0]["agent_pos"][0])


def test_a_state_of_another_kind_is_refused(make_tiny):
    envs, three = make_tiny(2), make_tiny(3)
    envs.reset(seed=0)
    three.reset(seed=0)
    before = envs.get_state()
    for wrong in (three.get_state(), {}, None, before | {"task": "explore"}):
        with pytest.raises(InvalidOptionError, match="state"):
            envs.set_state(wrong)
    assert_same(envs.get_state(), before)


@pytest.mark.parametrize("slots", [(0, [5]), (-1, [1]), (0, [1.5])])
def test_forks_to_slots_that_do_not_exist_are_refused(make_tiny, slots):
    envs = make_tiny(2)
    envs.reset(seed=0)
    with pytest.raises(InvalidOptionError, match="slot"):
        envs.fork(*slots)


def test_there_is_no_state_before_the_first_reset(make_tiny):
    with pytest.raises(NotResetError):
        make_tiny(2).get_state()
