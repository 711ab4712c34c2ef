"""Train PPO in a world: one function from a config to a policy file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import gymnasium as gym
from stable_baselines3 import PPO
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import VecMonitor

from mgenv.agents.callbacks import CheckpointCallback, ProgressCallback, VideoCallback
from mgenv.agents.learned import LearnedPolicy, copy_weights, read_weights
from mgenv.agents.policy import PolicyCard, describe_space
from mgenv.agents.sb3 import PPOConfig, build_ppo
from mgenv.envs.registration import IDS
from mgenv.errors import InvalidOptionError, UnknownNameError
from mgenv.output import prepare_folder, write_text
from mgenv.wrappers.sb3 import SB3VecEnv

TASKS = {task: env_id for env_id, task in IDS.items()}
"""Gymnasium ids by the tasks' short names."""

Report = Callable[[int, float, float], None]
"""Told steps done, success rate and mean return."""


@dataclass(kw_only=True, slots=True)
class EnvConfig:
    """Which environments; see :class:`mgenv.envs.vector_env.VectorEnv` for each keyword.

    Attributes:
        world_ids: the worlds of the episodes, or None for the first ``num_worlds``.
        memory: ``"scan"``, ``"fresh"`` or a memory file.
    """

    task: str = "pointnav"
    world: str = "nano"
    robot: str = "differential"
    num_envs: int = 16
    num_worlds: int = 16
    world_ids: tuple[int, ...] | None = None
    memory: str = "scan"
    memory_frames: int = 512
    memory_slots: int = 6
    sampling_steps: int = 2
    scan_frames: int = 128
    image_size: int | None = None
    obs_type: str = "pixels_agent_pos"
    max_episode_steps: int = 200
    device: str = "cpu"


@dataclass(kw_only=True, slots=True)
class TrainConfig:
    """One training run.

    Attributes:
        total_steps: environment steps, over all slots.
        seed: of environments, network and minibatches.
        output_dir: where the policy, the config and TensorBoard's files go.
        start_from: a policy file to go on from, or None.
        save_every: environment steps between checkpoints; 0 for only the last.
        video_every: environment steps between videos in TensorBoard; 0 for none.
    """

    env: EnvConfig = field(default_factory=EnvConfig)
    ppo: PPOConfig = field(default_factory=PPOConfig)
    total_steps: int = 30_000
    seed: int = 0
    output_dir: str = "runs/train"
    start_from: str | None = None
    save_every: int = 10_000
    video_every: int = 10_000


def task_id(task: str) -> str:
    """The Gymnasium id of a task.

    Raises:
        UnknownNameError: there is none of that name.

    Example:
        >>> task_id("pointnav")
        'mgenv/PointNav-v0'
    """
    if task not in TASKS:
        raise UnknownNameError("task", task, TASKS)
    return TASKS[task]


def make_envs(config: EnvConfig, **overrides: Any) -> gym.vector.VectorEnv:
    """The environments of a config, in same-step autoreset.

    Raises:
        UnknownNameError, InvalidOptionError, CheckpointError: a setting is wrong.
    """
    kwargs = {field.name: getattr(config, field.name) for field in fields(config)} | overrides
    name = task_id(kwargs.pop("task"))
    world_ids = kwargs.pop("world_ids")
    if world_ids is not None:
        kwargs["world_ids"] = list(world_ids)
        del kwargs["num_worlds"]
    return gym.make_vec(name, autoreset_mode="same_step", **kwargs)


def train_policy(config: TrainConfig, report: Report | None = None) -> tuple[LearnedPolicy, Path]:
    """Train PPO and write ``policy.safetensors``, ``config.json`` and TensorBoard's events.

    Args:
        config: the run.
        report: told of the progress after every vector step.

    Returns:
        The policy and its file.

    Raises:
        OutputError: ``output_dir`` cannot be written; found before any work.
        MgenvError: a setting is wrong.
    """
    _check(config)
    folder = prepare_folder(config.output_dir)
    start = None if config.start_from is None else LearnedPolicy.load(config.start_from)
    envs = make_envs(config.env)
    try:
        return _train(config, envs, folder, start, report)
    finally:
        envs.close()


def untrained_policy(config: TrainConfig, envs: gym.vector.VectorEnv) -> LearnedPolicy:
    """The policy that :func:`train_policy` begins with."""
    model = build_ppo(SB3VecEnv(envs), config.ppo, config.seed, config.env.device)
    return LearnedPolicy(model.policy, _card(config, envs, 0), "untrained", seed=config.seed)


def _train(
    config: TrainConfig,
    envs: gym.vector.VectorEnv,
    folder: Path,
    start: LearnedPolicy | None,
    report: Report | None,
) -> tuple[LearnedPolicy, Path]:
    model = build_ppo(VecMonitor(SB3VecEnv(envs)), config.ppo, config.seed, config.env.device)
    if start is not None:
        start.check(envs)
        _copy_weights(start, model)
    model.set_logger(configure(str(folder / "tensorboard"), ["tensorboard"]))
    write_text(folder / "config.json", json.dumps(asdict(config), indent=2) + "\n")
    file = folder / "policy.safetensors"

    def policy(steps: int) -> LearnedPolicy:
        return LearnedPolicy(model.policy, _card(config, envs, steps), seed=config.seed)

    def save(steps: int) -> None:
        policy(steps).save(file)

    callbacks = [CheckpointCallback(save, config.save_every), VideoCallback(config.video_every)]
    callbacks += [] if report is None else [ProgressCallback(report)]
    model.learn(config.total_steps, callbacks)
    trained = policy(model.num_timesteps)
    trained.save(file)
    return trained, file


def _copy_weights(start: LearnedPolicy, model: PPO) -> None:
    try:
        copy_weights(read_weights(start.network), model.policy)
    except ValueError as error:
        raise InvalidOptionError(
            f"Expected ppo.image_features and ppo.hidden as in the policy to start from, "
            f"{start.card.network}; got others."
        ) from error


def _card(config: TrainConfig, envs: gym.vector.VectorEnv, steps: int) -> PolicyCard:
    return PolicyCard(
        task=config.env.task,
        robot=config.env.robot,
        world=config.env.world,
        steps=steps,
        observation_space=describe_space(envs.single_observation_space),
        action_space=describe_space(envs.single_action_space),
        network=config.ppo.network(),
    )


def _check(config: TrainConfig) -> None:
    if config.total_steps < 1:
        raise InvalidOptionError(f"Expected total_steps of at least 1; got {config.total_steps}.")
    for name in ("save_every", "video_every"):
        value = getattr(config, name)
        if value < 0:
            raise InvalidOptionError(f"Expected {name} of at least 0; got {value}.")
    task_id(config.env.task)
