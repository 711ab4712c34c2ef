"""A world model of another make: one file and one name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mgenv
from mgenv.errors import CheckpointError, InvalidOptionError
from mgenv.models.architecture import ARCHITECTURES
from mgenv.models.checkpoint import load_checkpoint, save_checkpoint
from tests.models.tiny_architecture import MeanConfig, MeanModel
from tests.same import assert_same, differs

IDS = [1_000_000, 1_000_001]


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    known = {**ARCHITECTURES._known, "running-mean": "tests.models.tiny_architecture:ENTRY"}
    monkeypatch.setattr(ARCHITECTURES, "_known", known)
    save_checkpoint(tmp_path / "mean.safetensors", MeanModel(MeanConfig()), torch.float32)
    return tmp_path / "mean.safetensors"


def run(world, count: int = 3) -> list[dict]:
    motion = np.array([[0.1, 0.0, 0.0, 0.2, 0.0]] * world.num_envs, np.float32)
    return [vars(world.step(motion)) for _ in range(count)]


def test_another_architecture_makes_frames_and_resumes(checkpoint):
    world = mgenv.load_world(checkpoint, num_envs=2)
    first = world.begin([0, 1], IDS)
    assert first.rgb.shape == (2, 16, 16, 3)
    seen = run(world)
    assert differs(seen[0]["rgb"], first.rgb) and world.memory.count([0])[0] > 1
    state = world.get_state()
    after = run(world)
    world.set_state(state)
    assert_same(run(world), after)
    world.set_state(state)
    world.fork(0, [1])
    forked = run(world)[0]
    assert_same(forked["rgb"][0], forked["rgb"][1])


def test_its_slots_do_not_depend_on_their_number(checkpoint):
    frames = []
    for count in (1, 3):
        world = mgenv.load_world(checkpoint, num_envs=count)
        world.begin(range(count), [IDS[0]] * count)
        frames.append([frame["rgb"][0] for frame in run(world)])
    assert_same(frames[0], frames[1])


def test_an_environment_takes_it(checkpoint):
    envs = mgenv.VectorEnv(2, "explore", checkpoint, memory="fresh", num_worlds=1)
    observations, _ = envs.reset(seed=0)
    assert observations["pixels"].shape == (2, 16, 16, 3)
    envs.step(envs.action_space.sample())
    envs.close()


def test_a_checkpoint_of_an_architecture_that_is_not_there_is_refused(checkpoint, monkeypatch):
    known = {n: v for n, v in ARCHITECTURES._known.items() if n != "running-mean"}
    monkeypatch.setattr(ARCHITECTURES, "_known", known)
    with pytest.raises(CheckpointError, match="running-mean"):
        load_checkpoint(checkpoint)


def test_a_checkpoint_does_not_name_code_to_import(tmp_path):
    model = MeanModel(MeanConfig())
    model.architecture = "tests.models.tiny_architecture:ENTRY"
    save_checkpoint(tmp_path / "named.safetensors", model, torch.float32)
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "named.safetensors")


def test_states_do_not_pass_between_weights_of_one_architecture(checkpoint, tmp_path):
    other = MeanModel(MeanConfig())
    with torch.no_grad():
        other.keep.fill_(0.25)
    save_checkpoint(tmp_path / "other.safetensors", other, torch.float32)
    one, two = (mgenv.load_world(path, 1) for path in (checkpoint, tmp_path / "other.safetensors"))
    one.begin([0], IDS[:1])
    with pytest.raises(InvalidOptionError, match="network"):
        two.set_state(one.get_state())
