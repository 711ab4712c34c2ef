"""One kind of registry: names, calls, entry points, objects and ``package.module:Class``."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import mgenv
from mgenv import registry
from mgenv.errors import InvalidOptionError, UnknownNameError, check_integer
from mgenv.registry import Registry
from mgenv.robots import AxesRobot, make_robot
from mgenv.tasks import PointNav

TURTLE = AxesRobot("turtle", (0, 3), {})


class Turtle(AxesRobot):
    """A robot that needs no arguments."""

    def __init__(self) -> None:
        super().__init__("turtle", (0, 3), {})


class Near(PointNav):
    name = "near"


class Point:
    """Stands for an installed package's entry point."""

    def load(self) -> AxesRobot:
        return TURTLE


@pytest.fixture
def names() -> Registry:
    return Registry("robot", "mgenv.robots", {"own": 1, "late": "math:pi"})


def test_names_are_found_and_files_are_imported_late(names):
    assert names.resolve("own") == 1 and 3.1 < names.resolve("late") < 3.2
    assert list(names) == ["own", "late"] and len(names) == 2
    assert names.resolve(TURTLE) is TURTLE
    assert names.resolve("tests.test_registry:TURTLE").name == "turtle"


@pytest.mark.parametrize("name", ["onw", "nowhere.at.all:Robot", "math:tau_of", "math:"])
def test_what_is_not_there_is_named(names, name):
    with pytest.raises(UnknownNameError, match="own"):
        names.resolve(name)


def test_a_call_adds_a_name_once(names):
    names.register("mine", TURTLE)
    assert names.resolve("mine") is TURTLE
    for taken in ("mine", "a:b", ""):
        with pytest.raises(InvalidOptionError):
            names.register(taken, 1)


def test_installed_packages_add_names(names, monkeypatch):
    monkeypatch.setattr(registry, "_added", lambda group: {"packaged": Point()})
    assert names.resolve("packaged") is TURTLE and "packaged" in names
    with pytest.raises(UnknownNameError, match="packaged"):
        names.resolve("package")


def test_what_a_module_itself_lacks_is_not_hidden(names, tmp_path, monkeypatch):
    (tmp_path / "needy.py").write_text("import a_module_that_is_not_there\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_module"):
        names.resolve("needy:Robot")


@pytest.mark.parametrize("robot", [TURTLE, Turtle, "tests.test_registry:Turtle"])
@pytest.mark.parametrize("task", [Near, "tests.test_registry:Near"])
def test_environments_take_objects_classes_and_paths(make_tiny, robot, task):
    envs = make_tiny(2, task=task, robot=robot)
    envs.reset(seed=0)
    envs.step(np.zeros((2, 2), np.float32))
    assert envs.task == "near" and envs.robot.name == "turtle"
    envs.close()


def test_a_single_environment_takes_a_robot_of_ones_own():
    env = gym.make(
        "mgenv/Explore-v0", world="engine", robot=Turtle(), memory="fresh", num_worlds=1
    )
    env.reset(seed=0)
    env.step(np.zeros(2, np.float32))
    env.close()


@pytest.mark.parametrize("robot", [3, object()])
def test_what_is_no_robot_is_refused(robot):
    with pytest.raises(InvalidOptionError, match="robot"):
        make_robot(robot)


def test_what_is_no_task_is_refused(make_tiny):
    with pytest.raises(InvalidOptionError, match="task"):
        make_tiny(2, task=object())


def test_a_world_of_ones_own_is_loaded_by_its_path():
    world = mgenv.load_world("tests.fake_world:FakeWorld", 3, image_size=16)
    assert world.num_envs == 3
    with pytest.raises(UnknownNameError, match="option"):
        mgenv.load_world("tests.fake_world:FakeWorld", 3, colour="red")


def test_training_takes_a_task_and_a_robot_by_their_paths():
    from mgenv.agents.train import EnvConfig, make_envs

    own = {"task": "tests.test_registry:Near", "robot": "tests.test_registry:Turtle"}
    envs = make_envs(EnvConfig(world="engine", memory="fresh", num_envs=2, num_worlds=1, **own))
    envs.reset(seed=0)
    assert envs.unwrapped.task == "near"
    envs.close()
    with pytest.raises(UnknownNameError, match="pointnav"):
        make_envs(EnvConfig(task="pointnaf"))


@pytest.mark.parametrize("value", [0, 1.0, True, np.bool_(True), "1", None, np.ones(2), 2**63])
def test_what_is_no_integer_in_range_is_named(value):
    with pytest.raises(InvalidOptionError, match="count: expected an integer of at least 1"):
        check_integer("count", value, low=1, high=2**63)
    assert check_integer("count", np.uint8(3)) == 3
