from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mgenv.agents import LearnedPolicy, train_policy
from mgenv.agents.resume import load_run, restore_run
from mgenv.agents.sb3 import build_ppo
from mgenv.agents.train import make_envs
from mgenv.errors import CheckpointError, InvalidOptionError
from mgenv.wrappers import SB3VecEnv


@pytest.fixture(params=["conv", "recurrent"])
def half(config, request):
    """A run of two updates, with its settings for two more."""
    config.ppo = replace(config.ppo, form=request.param, recurrent_size=8)
    config.total_steps = 128
    train_policy(config)
    return replace(config, total_steps=256, resume=True)


def model_of(config):
    envs = make_envs(config.env)
    return build_ppo(SB3VecEnv(envs), config.ppo, config.seed)


def test_optimiser_counters_and_generators_come_back(half):
    state = load_run(Path(half.output_dir))
    model = model_of(half)
    np.random.rand(3)
    restore_run(model, state)
    drawn = np.random.rand(), torch.rand(1).item()
    restore_run(model, state)
    assert drawn == (np.random.rand(), torch.rand(1).item())
    assert model.num_timesteps == 128 and model._n_updates == state.updates == 4
    rows = model.policy.optimizer.state_dict()["state"]
    assert rows and all(row["step"] == 4 * 4 / 2 for row in rows.values())
    for number, row in rows.items():
        assert row["exp_avg"].equal(state.tensors[f"optimiser.{number}.exp_avg"])
    for name, weights in model.policy.named_parameters():
        assert weights.equal(state.tensors[f"policy.{name}"]), name


def test_a_resumed_run_goes_on_where_it_was(half):
    reports = []
    trained, file = train_policy(half, lambda steps, *_: reports.append(steps))
    assert reports == list(range(132, 257, 4))
    assert LearnedPolicy.load(file).card.steps == trained.card.steps == 256
    events = EventAccumulator(str(file.parent / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("time/fps")] == [64, 128, 192, 256]
    updates = load_run(Path(half.output_dir)).updates
    assert updates == 8


def test_one_update_after_resuming_is_what_the_optimiser_makes_of_it(half):
    """With the old moments a step is another than with none."""
    state = load_run(Path(half.output_dir))
    model, bare = model_of(half), model_of(half)
    restore_run(model, state)
    bare.policy.load_state_dict(model.policy.state_dict())
    for one in (model, bare):
        for weights in one.policy.parameters():
            weights.grad = torch.ones_like(weights)
        one.policy.optimizer.step()
    pairs = zip(model.policy.parameters(), bare.policy.parameters(), strict=True)
    assert any(not one.allclose(other) for one, other in pairs)


def test_an_interrupted_run_can_be_resumed(config):
    config.save_every, config.total_steps = 64, 256

    def stop(steps, *_):
        if steps > 200:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_policy(config, stop)
    folder = Path(config.output_dir)
    kept = sorted(path.name for path in folder.glob("policy*"))
    assert kept == ["policy.safetensors", *(f"policy_{n:09d}.safetensors" for n in (64, 128, 192))]
    assert LearnedPolicy.load(folder / "policy_000000128.safetensors").card.steps == 128
    reports = []
    train_policy(replace(config, resume=True), lambda steps, *_: reports.append(steps))
    assert reports[0] == 196 and reports[-1] == 256


def test_other_episodes_come_after_resuming(config, monkeypatch):
    seeds = []
    reset = SB3VecEnv.reset
    monkeypatch.setattr(SB3VecEnv, "reset", lambda self: seeds.append(self._seeds) or reset(self))
    train_policy(config)
    train_policy(replace(config, total_steps=128, resume=True))
    assert seeds == [[0, 1, 2, 3], [64, 65, 66, 67]]


def test_the_file_is_no_pickle(config):
    train_policy(config)
    with safe_open(Path(config.output_dir) / "training.safetensors", "pt") as opened:
        assert opened.metadata()["format"] == "mgenv-training"


def test_the_time_of_both_parts_is_counted(half):
    before = load_run(Path(half.output_dir)).seconds
    trained, _ = train_policy(half)
    assert trained.card.seconds > before > 0


def test_nothing_to_resume_is_told_and_nothing_made(config, tmp_path):
    config.output_dir = str(tmp_path / "none")
    with pytest.raises(CheckpointError, match="run to resume.*there is none"):
        train_policy(replace(config, resume=True))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("group", "change", "words"),
    [
        ("env", {"task": "explore"}, "env.task='pointnav' .*got 'explore'"),
        ("env", {"obs_type": "pixels_depth"}, "env.obs_type"),
        ("ppo", {"gamma": 0.5}, "ppo.gamma=0.95"),
        ("ppo", {"hidden": (8,)}, "ppo.hidden"),
        (None, {"seed": 9}, "seed=0"),
        (None, {"total_steps": 64}, "total_steps above the 64"),
    ],
)
def test_settings_of_another_run_are_refused(config, monkeypatch, group, change, words):
    train_policy(config)
    changed = change if group is None else {group: replace(getattr(config, group), **change)}
    again = replace(config, **{"resume": True, "total_steps": 128} | changed)
    monkeypatch.setattr("mgenv.agents.train.make_envs", None)
    with pytest.raises(InvalidOptionError, match=words):
        train_policy(again)


def test_other_hardware_may_go_on(config):
    train_policy(config)
    config.env.num_envs, config.save_every = 8, 0
    trained, _ = train_policy(replace(config, total_steps=192, resume=True))
    assert trained.card.steps == 192


@pytest.mark.parametrize("damage", ["cut", "other"])
def test_a_damaged_run_is_a_named_error(config, damage):
    train_policy(config)
    file = Path(config.output_dir) / "training.safetensors"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:500])
    else:
        file.write_bytes((file.parent / "policy.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match="training.safetensors"):
        train_policy(replace(config, total_steps=128, resume=True))
