"""Train PPO in a world: one function from a config to a policy file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure

from mgenv.agents.callbacks import (
    CheckpointCallback,
    EpisodesCallback,
    ProgressCallback,
    VideoCallback,
)
from mgenv.agents.learned import LearnedPolicy, copy_weights, read_weights
from mgenv.agents.policy import PolicyCard, describe_space
from mgenv.agents.resume import RunState, load_run, restore_run, save_run
from mgenv.agents.sb3 import PPOConfig, build_ppo, check_network
from mgenv.config import group, option, plain, settings
from mgenv.envs.env_options import EnvOptions
from mgenv.envs.registration import IDS
from mgenv.errors import InvalidOptionError
from mgenv.output import prepare_folder, write_text
from mgenv.tasks import TASKS
from mgenv.wrappers.blank_pixels import VectorBlankPixels
from mgenv.wrappers.sb3 import SB3VecEnv

LOOK = "features_extractor."
"""What the weights are called that look at pictures, in every form."""

Report = Callable[[int, float, float], None]
"""Told steps done, success rate and mean return."""


@settings
class EnvConfig(EnvOptions):
    """The environments of a training run."""

    num_envs: int = option(16, "slots")
    blank_pixels: bool = option(False, "black pictures and depth: what is learned without looking")


@settings
class TrainConfig:
    """One training run of PPO."""

    env: EnvConfig = group(EnvConfig, "see VectorEnv")
    ppo: PPOConfig = group(PPOConfig, "algorithm and network")
    total_steps: int = option(30_000, "environment steps of all slots; with resume, of all runs")
    seed: int = option(0, "of environments, network and minibatches")
    output_dir: str = option("runs/train", "policy, config and TensorBoard's files go here")
    start_from: str | None = option(None, "a policy file to begin with")
    resume: bool = option(False, "go on with the run in output_dir, up to total_steps")
    save_every: int = option(10_000, "environment steps between checkpoints; 0: only the last")
    video_every: int = option(10_000, "environment steps between videos in TensorBoard; 0: none")


def task_id(task: str) -> str:
    """The Gymnasium id of a task; of one without an id of its own, any, which is then told it.

    Raises:
        UnknownNameError: there is none of that name.

    Example:
        >>> task_id("pointnav")
        'mgenv/PointNav-v0'
    """
    TASKS.check(task)
    ids = {name: env_id for env_id, name in IDS.items()}
    return ids.get(task, "mgenv/PointNav-v0")


def make_envs(config: EnvConfig, **overrides: Any) -> gym.vector.VectorEnv:
    """The environments of a config, in same-step autoreset unless told otherwise.

    Raises:
        UnknownNameError, InvalidOptionError, CheckpointError: a setting is wrong.
    """
    kwargs: dict[str, Any] = dict(vars(config)) | {"autoreset_mode": "same_step"} | overrides
    name, black = task_id(kwargs["task"]), kwargs.pop("blank_pixels")
    envs = gym.make_vec(name, **kwargs)
    return VectorBlankPixels(envs) if black else envs


def train_policy(config: TrainConfig, report: Report | None = None) -> tuple[LearnedPolicy, Path]:
    """Train PPO: ``policy.safetensors``, one beside it a checkpoint, config and curves.

    Writes into ``output_dir``: ``policy.safetensors``, the last; ``policy_000010240.safetensors``
    and so on, one a checkpoint; ``training.safetensors``, from which the run can be resumed;
    ``config.json``; TensorBoard's events.

    Args:
        config: the run.
        report: told of the progress after every vector step.

    Returns:
        The policy and its file.

    Raises:
        OutputError: ``output_dir`` cannot be written; found before any work.
        CheckpointError: there is no run to resume.
        MgenvError: a setting is wrong.
    """
    _check(config)
    state = load_run(Path(config.output_dir).expanduser()) if config.resume else None
    if state is not None:
        state.check(plain(config))
    folder = prepare_folder(config.output_dir)
    fresh = config.start_from is None or config.resume
    start = None if fresh else LearnedPolicy.load(str(config.start_from))
    envs = make_envs(config.env)
    try:
        return _Run(config, envs, folder).train(start, state, report)
    finally:
        envs.close()


class _Run:
    """One training run: its model and what it writes."""

    def __init__(self, config: TrainConfig, envs: gym.vector.VectorEnv, folder: Path) -> None:
        self.config, self.envs, self.folder = config, envs, folder
        self.model = build_ppo(
            SB3VecEnv(envs, info_keys=()), config.ppo, config.seed, config.env.device
        )
        self._begin, self._before = time.monotonic(), 0.0

    def train(
        self, start: LearnedPolicy | None, state: RunState | None, report: Report | None
    ) -> tuple[LearnedPolicy, Path]:
        """From scratch, from a policy, or from where a run was left."""
        if start is not None:
            start.check(self.envs)
            _copy_weights(start, self.model)
        if state is not None:
            self._restore(state)
        self.model.set_logger(configure(str(self.folder / "tensorboard"), ["tensorboard"]))
        settings = json.dumps(plain(self.config), indent=2) + "\n"
        write_text(self.folder / "config.json", settings)
        left = self.config.total_steps - self.model.num_timesteps
        self.model.learn(left, self._callbacks(report), reset_num_timesteps=state is None)
        return self._save(), self.folder / "policy.safetensors"

    def _callbacks(self, report: Report | None) -> list[BaseCallback]:
        episodes = EpisodesCallback()
        callbacks = [episodes, CheckpointCallback(self._checkpoint, self.config.save_every)]
        callbacks += [VideoCallback(self.config.video_every)]
        return callbacks + ([] if report is None else [ProgressCallback(report, episodes)])

    def _restore(self, state: RunState) -> None:
        restore_run(self.model, state)
        self._before = state.seconds
        env: Any = self.model.get_env()
        env.seed(self.config.seed + state.steps)  # other episodes than those at the run's start

    def _checkpoint(self, steps: int) -> None:
        self._save().save(self.folder / f"policy_{steps:09d}.safetensors")

    def _save(self) -> LearnedPolicy:
        policy = self._policy()
        policy.save(self.folder / "policy.safetensors")
        save_run(self.folder, self.model, plain(self.config), policy.card.seconds)
        return policy

    def _policy(self) -> LearnedPolicy:
        card = _card(self.config, self.envs, self.model.num_timesteps, self._seconds())
        return LearnedPolicy(self.model.policy, card, seed=self.config.seed)

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._begin


def _copy_weights(start: LearnedPolicy, model: PPO) -> None:
    """All weights; of a conv policy from which a recurrent one starts, the look at pictures."""
    own, grown = read_weights(start.network), hasattr(model.policy, "lstm_actor")
    if grown and not start.recurrent:
        own = read_weights(model.policy) | {n: w for n, w in own.items() if n.startswith(LOOK)}
    try:
        copy_weights(own, model.policy)
    except ValueError as error:
        raise InvalidOptionError(
            f"Expected ppo.convolution, ppo.image_features, ppo.hidden and ppo.recurrent_size as "
            f"in the policy to start from, {start.card.network}, and ppo.form too (or "
            f"recurrent from conv); got others."
        ) from error


def _card(
    config: TrainConfig, envs: gym.vector.VectorEnv, steps: int, seconds: float = 0.0
) -> PolicyCard:
    environment = plain(config.env)
    named = {name: environment.pop(name) for name in ("task", "robot", "world")}
    del environment["device"]
    return PolicyCard(
        **named,
        steps=steps,
        observation_space=describe_space(envs.single_observation_space),
        action_space=describe_space(envs.single_action_space),
        network=config.ppo.network(),
        environment=environment,
        seed=config.seed,
        seconds=round(seconds, 1),
    )


def _check(config: TrainConfig) -> None:
    if config.total_steps < 1:
        raise InvalidOptionError(f"Expected total_steps of at least 1; got {config.total_steps}.")
    for name in ("save_every", "video_every"):
        value = getattr(config, name)
        if value < 0:
            raise InvalidOptionError(f"Expected {name} of at least 0; got {value}.")
    task_id(config.env.task)
    check_network(config.ppo)
