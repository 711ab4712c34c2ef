from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mgenv.agents import (
    EnvConfig,
    LearnedPolicy,
    PPOConfig,
    RandomPolicy,
    TrainConfig,
    evaluate_policy,
    make_envs,
    train_policy,
)
from mgenv.agents.sb3 import build_ppo
from mgenv.cli.config import load_config
from mgenv.config import part, plain
from mgenv.envs.env_options import EnvOptions
from mgenv.errors import InvalidOptionError, MgenvError, OutputError, UnknownNameError
from mgenv.robots import make_robot
from mgenv.tasks.explore import Explore
from mgenv.wrappers.sb3 import SB3VecEnv
from tests.agents.untrained import untrained_policy

NAMED = {"task": "explore", "robot": "drone", "world": "tiny", "device": "cpu"}


def test_ppo_learns_to_reach_goals(env_config, tmp_path):
    env = replace(env_config, num_envs=8)
    config = TrainConfig(env=env, total_steps=4096, output_dir=str(tmp_path), video_every=0)
    trained, _ = train_policy(config)
    success = {}
    for name in ("random", "trained"):
        envs = make_envs(env)
        random = RandomPolicy(envs.single_action_space, 8)
        policy = trained if name == "trained" else random
        success[name] = evaluate_policy(policy, envs, 32, seed=1000).success.mean()
        envs.close()
    assert success["trained"] > max(2 * success["random"], 0.35)


def test_a_run_leaves_policy_config_and_curves(config):
    config.video_every, config.total_steps = 64, 256
    reports = []
    trained, file = train_policy(config, lambda *report: reports.append(report))
    assert LearnedPolicy.load(file).card == trained.card
    assert trained.card.steps == 256
    assert json.loads((file.parent / "config.json").read_text())["env"]["world"] == "tiny"
    assert [steps for steps, *_ in reports] == list(range(4, 257, 4))
    events = EventAccumulator(str(file.parent / "tensorboard")).Reload()
    assert "rollout/ep_rew_mean" in events.Tags()["scalars"]


def test_what_the_robot_sees_is_logged_as_a_moving_picture(config):
    config.video_every, config.total_steps = 1, 320
    _, file = train_policy(config)
    events = EventAccumulator(str(file.parent / "tensorboard")).Reload()
    video = events.Images("rollout/video")[0]
    assert video.encoded_image_string.startswith(b"GIF89a")
    assert (video.width, video.height) == (16, 16)


def test_every_setting_is_read(config, monkeypatch):
    read: set[str] = set()
    for kind in (TrainConfig, EnvOptions, PPOConfig):
        names = {field.name for field in fields(kind)}

        def spy(self, name, kind=kind, names=names):
            if name in names:
                read.add(f"{kind.__name__}.{name}")
            return object.__getattribute__(self, name)

        monkeypatch.setattr(kind, "__getattribute__", spy, raising=False)
    monkeypatch.setattr("mgenv.agents.train.plain", lambda _: dict(NAMED))  # reads all of them
    config.ppo.form = "recurrent"  # the form that has a setting more
    train_policy(config)
    for kind in (TrainConfig, EnvOptions, PPOConfig):
        missing = {f.name for f in fields(kind)} - {
            name.partition(".")[2] for name in read if name.startswith(kind.__name__)
        }
        assert not missing, f"{kind.__name__} has settings that nothing reads: {missing}"


def test_the_command_line_has_the_options_and_defaults_of_the_environment():
    parsed = load_config(TrainConfig, [])
    assert plain(parsed) == plain(TrainConfig())
    assert part(parsed.env, EnvOptions) == EnvOptions()


def test_an_object_is_taken_where_a_name_is(config):
    config.env = replace(config.env, robot=make_robot("drone"), task=Explore, obs_type="pixels")
    policy, file = train_policy(config)
    assert policy.card.robot == "mgenv.robots:AxesRobot"
    assert policy.card.task == "mgenv.tasks.explore:Explore"
    saved = json.loads((file.parent / "config.json").read_text())
    assert saved["env"]["robot"] == "mgenv.robots:AxesRobot"


def test_training_goes_on_from_a_policy(config, tmp_path):
    _, file = train_policy(config)
    again = replace(config, start_from=str(file), total_steps=1, output_dir=str(tmp_path / "b"))
    again.ppo = replace(config.ppo, learning_rate=1e-12)
    went_on, _ = train_policy(again)
    for name, weights in LearnedPolicy.load(file).network.named_parameters():
        assert weights.allclose(went_on.network.get_parameter(name), atol=1e-6), name


def test_a_recurrent_policy_starts_from_what_a_convolutional_one_sees(config, tmp_path):
    _, file = train_policy(config)
    ppo = replace(config.ppo, form="recurrent", recurrent_size=16, learning_rate=1e-12)
    again = replace(
        config, ppo=ppo, start_from=str(file), total_steps=1, output_dir=str(tmp_path / "b")
    )
    grown, _ = train_policy(again)
    looked = LearnedPolicy.load(file).network.features_extractor.state_dict()
    for name, weights in grown.network.features_extractor.state_dict().items():
        assert weights.allclose(looked[name], atol=1e-6), name


def test_a_policy_of_another_size_cannot_be_gone_on_from(config):
    _, file = train_policy(config)
    other = replace(config, start_from=str(file), ppo=replace(config.ppo, hidden=(8,)))
    with pytest.raises(InvalidOptionError, match="ppo.hidden"):
        train_policy(other)


def test_the_untrained_policy_is_what_training_begins_with(config):
    envs = make_envs(config.env)
    before = untrained_policy(config, envs).network.state_dict()
    model = build_ppo(SB3VecEnv(envs), config.ppo, config.seed)
    assert all(before[name].equal(value) for name, value in model.policy.state_dict().items())
    envs.close()


def test_an_interrupted_run_has_its_last_checkpoint(config):
    config.save_every, config.total_steps = 32, 96

    def stop(steps, *_):
        if steps > 70:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_policy(config, stop)
    file = f"{config.output_dir}/policy.safetensors"
    assert LearnedPolicy.load(file).card.steps == 64


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"total_steps": 0}, InvalidOptionError, "total_steps"),
        ({"save_every": -1}, InvalidOptionError, "save_every"),
        ({"start_from": "/nowhere/policy.safetensors"}, MgenvError, "policy file"),
        ({"output_dir": "/proc/mgenv"}, OutputError, "folder to write to"),
    ],
)
def test_wrong_settings_are_told_before_any_work(config, change, error, words, monkeypatch):
    def never(*_args, **_kwargs):
        raise AssertionError("environments were made")

    monkeypatch.setattr("mgenv.agents.train.make_envs", never)
    with pytest.raises(error, match=words):
        train_policy(replace(config, **change))


def test_an_unknown_task_is_told_with_the_nearest(config):
    config.env.task = "pointnaf"
    with pytest.raises(UnknownNameError, match="'pointnav'"):
        train_policy(config)


def test_a_batch_larger_than_a_rollout_is_refused(config):
    config.ppo.batch_size = 1000
    with pytest.raises(InvalidOptionError, match="<= 64 .*got 1000"):
        train_policy(config)


@pytest.mark.parametrize("task", ["imagenav", "explore", "recall"])
def test_other_tasks_train_too(config, task):
    config.env.task = task
    trained, _ = train_policy(config)
    assert trained.card.task == task


def test_pictures_alone_train_too(config):
    config.env.task, config.env.obs_type = "imagenav", "pixels"
    trained, _ = train_policy(config)
    assert set(trained.card.observation_space["dict"]) == {"pixels", "goal_pixels"}


def test_a_single_picture_trains_too(config):
    config.env.task, config.env.obs_type = "explore", "pixels"
    trained, file = train_policy(config)
    envs = make_envs(config.env)
    again = LearnedPolicy.load(file)
    again.check(envs)
    assert again.act(envs.reset(seed=0)[0]) in envs.action_space
    envs.close()


def test_the_card_tells_how_to_make_the_environments_again(config):
    config.env.obs_type, config.env.world_ids = "pixels_depth_agent_pos", (1, 2)
    trained, file = train_policy(config)
    card = LearnedPolicy.load(file).card
    env = EnvConfig(task=card.task, world=card.world, robot=card.robot, **card.environment)
    assert replace(env, world_ids=(1, 2)) == config.env
    assert card.seed == config.seed and card.seconds > 0


def test_black_pictures_are_told_on_the_card_and_black_wherever_it_acts(config):
    config.env.blank_pixels, config.env.obs_type = True, "pixels_depth_agent_pos"
    _, file = train_policy(config)
    blind = LearnedPolicy.load(file, deterministic=True)
    assert blind.card.blank_pixels
    seeing = LearnedPolicy(blind.network, replace(blind.card, environment={}), deterministic=True)
    envs = make_envs(replace(config.env, blank_pixels=False))
    bright = envs.reset(seed=0)[0]
    envs.close()
    black = bright | {name: np.zeros_like(bright[name]) for name in ("pixels", "depth")}
    np.testing.assert_array_equal(blind.act(bright), seeing.act(black))
    assert not np.allclose(seeing.act(bright), seeing.act(black), atol=1e-4)


def test_environments_of_black_pictures_show_nothing_else(env_config):
    envs = make_envs(replace(env_config, blank_pixels=True, task="imagenav"))
    observation = envs.reset(seed=0)[0]
    assert not observation["pixels"].any() and not observation["goal_pixels"].any()
    assert observation["agent_pos"].any()
    envs.close()


def test_the_learning_rate_may_fall_to_zero(config):
    config.ppo.learning_rate_decay, config.total_steps = True, 256
    _, file = train_policy(config)
    events = EventAccumulator(str(file.parent / "tensorboard")).Reload()
    rates = [event.value for event in events.Scalars("train/learning_rate")]
    np.testing.assert_allclose(rates, 1e-3 * np.array([0.75, 0.5, 0.25]), rtol=1e-5)


def test_a_batch_may_grow_with_the_environments(config):
    config.ppo.batch_size = None
    for num_envs in (4, 8):
        envs = make_envs(replace(config.env, num_envs=num_envs))
        assert build_ppo(SB3VecEnv(envs), config.ppo).batch_size == 4 * num_envs
        envs.close()
