"""What is of another world: its state, and what it remembers."""

from pathlib import Path

import numpy as np
import pytest

from mgenv.envs.vector_env import VectorEnv
from mgenv.errors import InvalidOptionError
from mgenv.memory.files import read_places
from mgenv.worlds import engine, load_world
from tests.fake_world import draw
from tests.same import assert_same

SMALL = {"num_worlds": 1, "scan_frames": 8}


@pytest.fixture(scope="module")
def foreign(tmp_path_factory) -> str:
    """A memory file in which a painted room is called world 0."""
    world = load_world("engine", 1)
    world.enter([0], [0])
    pose = np.tile(np.eye(4, dtype=np.float32), (3, 1, 1))
    pose[:, :3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    pose[:, :3, 3] = [[0, 0, 1], [0.5, 0, 1], [1, 0.5, 1]]
    rgb, depth = draw(pose, np.zeros(3, int), 64)
    world.memory.add([0] * 3, rgb, depth, pose, observed=True)
    path = tmp_path_factory.mktemp("places") / "room.safetensors"
    world.memory.save(path)
    return str(path)


def test_the_engine_refuses_the_memory_of_another_place(foreign):
    world = load_world("engine", 1)
    world.begin([0], [0])
    before = world.get_state()
    with pytest.raises(InvalidOptionError, match="another place as world 0"):
        world.enter([0], [0], foreign)
    with pytest.raises(InvalidOptionError, match="another place as world 0"):
        world.memory.load(foreign)
    assert_same(world.get_state(), before)


def test_a_file_is_checked_again_only_once_it_has_changed(foreign, tmp_path, monkeypatch):
    world = load_world("engine", 1)
    world.begin([0], [0])
    path, reads = tmp_path / "home.safetensors", []
    world.memory.save(path)
    monkeypatch.setattr(engine, "read_places", lambda *a: reads.append(a) or read_places(*a))
    for _ in range(3):
        world.memory.load(path)
    assert len(reads) == 1
    path.write_bytes(Path(foreign).read_bytes())
    for _ in range(2):
        with pytest.raises(InvalidOptionError, match="another place as world 0"):
            world.memory.load(path)
    assert len(reads) == 3


def test_environments_in_the_engine_refuse_it_too(foreign):
    with pytest.raises(InvalidOptionError, match="another place as world 0"):
        VectorEnv(1, world="engine", memory=foreign)
    envs = VectorEnv(1, world="engine", **SMALL)
    envs.reset(seed=0)
    before = envs.get_state()
    with pytest.raises(InvalidOptionError, match="another place as world 0"):
        envs.reset(seed=1, options={"memory": foreign})
    assert_same(envs.get_state(), before)


def test_a_generated_world_takes_any_place(foreign):
    envs = VectorEnv(1, world="nano", memory=foreign)
    assert envs.reset(seed=0)[1]["memory_frames"][0] >= 3


@pytest.mark.parametrize("source", ["engine", "nano"])
def test_the_engine_takes_its_own_places(source, tmp_path):
    envs = VectorEnv(1, world=source, **SMALL)
    envs.reset(seed=0)
    path = tmp_path / "home.safetensors"
    envs.world.memory.save(path)
    again = VectorEnv(1, world="engine", memory=str(path))
    assert again.reset(seed=0)[1]["memory_frames"][0] >= 8


def test_a_state_of_another_kind_of_world_is_refused():
    true, nano = (VectorEnv(2, world=name, **SMALL) for name in ("engine", "nano"))
    for envs in (true, nano):
        envs.reset(seed=0)
    states = [envs.get_state() for envs in (true, nano)]
    for envs, own, other in ((true, *states), (nano, *states[::-1])):
        with pytest.raises(InvalidOptionError, match="state: expected world"):
            envs.set_state(other)
        for wrong in (other["world"], None, {}, own["world"] | {"num_envs": 3}):
            with pytest.raises(InvalidOptionError, match="state: expected"):
                envs.world.set_state(wrong)
        assert_same(envs.get_state(), own)
