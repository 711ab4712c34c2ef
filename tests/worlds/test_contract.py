"""What every world promises of its slots, and every robot and task in every world."""

from __future__ import annotations

import numpy as np
import pytest

import mgenv
from mgenv.camera import picture_shape
from mgenv.errors import ClosedError, InvalidActionError, InvalidOptionError, NotResetError
from mgenv.robots import ROBOTS
from mgenv.tasks import TASKS
from mgenv.worlds.base import World
from tests.fake_world import FakeWorld
from tests.matrix_game3 import public_network
from tests.same import assert_same

IDS = [1_000_000, 1_000_001]
MAKERS = {
    "fake": FakeWorld,
    "engine": lambda count: mgenv.load_world("engine", count, image_size=16),
    "nano": lambda count: mgenv.load_world("nano", count),
    "matrix-game-3": public_network.make,
}


@pytest.fixture(params=MAKERS)
def world(request):
    made = MAKERS[request.param](2)
    yield made
    made.close()


def still(count: int) -> np.ndarray:
    return np.zeros((count, 5), np.float32)


def pictures(world: World, slots: int, frames: int) -> np.ndarray:
    return np.zeros((slots, frames, *picture_shape(world.image_size), 3), np.uint8)


def test_it_is_a_world(world):
    assert isinstance(world, World)


WRONG = {
    "a slot that is not there": (lambda w: w.begin([2], IDS[:1]), InvalidOptionError, "slots"),
    "a slot named twice": (lambda w: w.begin([1, 1], IDS), InvalidOptionError, "each once"),
    "more ids than slots": (lambda w: w.begin([0], IDS), InvalidOptionError, "world_ids"),
    "fewer ids than slots": (lambda w: w.enter([0, 1], IDS[:1]), InvalidOptionError, "world_ids"),
    "an id below 0": (lambda w: w.enter([0], [-1]), InvalidOptionError, "world_id"),
    "an id that is no number": (lambda w: w.enter([0], ["a"]), InvalidOptionError, "world_id"),
    "fewer seeds than slots": (lambda w: w.seed([0, 1], [3]), InvalidOptionError, "seeds"),
    "a pose that is NaN": (
        lambda w: w.begin([0], IDS[:1], pose=np.full((1, 4, 4), np.nan)),
        InvalidOptionError,
        "pose",
    ),
    "poses of fewer frames": (
        lambda w: w.remember([0], pictures(w, 1, 2), np.eye(4)[None, None]),
        InvalidOptionError,
        "pose",
    ),
    "pictures of another type": (
        lambda w: w.remember([0], pictures(w, 1, 1).astype(float), np.eye(4)[None, None]),
        InvalidOptionError,
        "rgb",
    ),
    "a state of something else": (lambda w: w.set_state({"world": 3}), InvalidOptionError, "state"),
    "a fork of a slot that is not there": (lambda w: w.fork(7, [1]), InvalidOptionError, "slots"),
    "a fork of a slot before the first": (lambda w: w.fork(-1, [1]), InvalidOptionError, "slots"),
    "a step before the first": (lambda w: w.step(still(2)), NotResetError, "begun"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_the_same_mistake_is_the_same_error_everywhere(world, mistake):
    call, error, words = WRONG[mistake]
    with pytest.raises(error, match=words):
        call(world)


def test_motions_of_another_number_and_closed_worlds_are_refused(world):
    world.begin([0, 1], IDS)
    with pytest.raises(InvalidActionError, match="motion"):
        world.step(still(3))
    world.close()
    with pytest.raises(ClosedError):
        world.begin([0, 1], IDS)


def test_a_step_of_no_slots_shows_nothing(world):
    world.begin([0, 1], IDS)
    assert len(world.step(still(0), slots=[]).rgb) == 0


def test_frames_come_in_the_order_that_was_asked_for(world):
    frame = world.begin([1, 0], IDS[::-1])
    other = world.begin([0, 1], IDS, memory="clear")
    assert_same(frame.rgb[::-1], other.rgb)
    assert frame.pose.shape == (2, 4, 4) and frame.rgb.dtype == np.uint8


@pytest.mark.parametrize("robot", ROBOTS)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", ["fake", "engine"])
def test_every_robot_does_every_task(name, task, robot, make_tiny):
    options = {"task": task, "robot": robot}
    if name == "fake":
        envs = make_tiny(2, **options)
    else:
        envs = mgenv.VectorEnv(2, world=name, num_worlds=1, scan_frames=8, image_size=16, **options)
    envs.reset(seed=0)
    _, rewards, _, _, infos = envs.step(envs.action_space.sample())
    assert rewards.shape == (2,) and "is_success" in infos
    envs.close()
