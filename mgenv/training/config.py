"""Settings of ``mgenv fit``."""

from __future__ import annotations

from typing import ClassVar

from mgenv.config import group, option, settings
from mgenv.errors import InvalidOptionError, check_integer
from mgenv.models.world_model import WorldModelConfig
from mgenv.training.clips import ClipConfig
from mgenv.training.data import HELD_OUT
from mgenv.training.rollouts import RolloutConfig

OBJECTIVES = ("vae", "flow", "rollout")


@settings
class TrainerConfig:
    """A training run of the transformer and the refiner (``mgenv fit world``)."""

    objective: str = option(
        "flow",
        "flow: flow matching on recorded walks, or rollout: the model's own rollouts against a "
        "discriminator",
    )
    out: str = option("runs/fit_world", "folder of checkpoint, training state and TensorBoard")
    initial: str = option("", "checkpoint to start from: a trained autoencoder at least")
    resume: bool = option(
        True, "go on where out/state.safetensors ends; rollouts and residuals are gathered anew"
    )
    device: str = option("cpu", "of model and data")
    graphs: bool = option(True, "on CUDA, record steps as CUDA graphs: three times as fast")
    seed: int = option(0, "of weights, random draws and world ids")
    steps: int = option(10_000, "the run ends after so many steps")
    minutes: float = option(1e9, "or after so many minutes, whichever comes first")
    worlds: int = option(2048, "walks kept on the device, one a world")
    first_world: int = option(0, f"their first world id; ids from {HELD_OUT} up are held out")
    frames: int = option(192, "frames of a walk")
    refresh_every: int = option(0, "steps between new worlds; 0: never")
    refresh_worlds: int = option(64, "walks that are replaced at a time")
    batch: int = option(48, "clips of a flow-matching step")
    matrix_lr: float = option(0.02, "learning rate of Muon, on the transformer's matrices")
    lr: float = option(1e-3, "learning rate of AdamW, on everything else")
    critic_lr: float = option(2e-4, "learning rate of AdamW on the discriminator")
    warmup: int = option(50, "steps of rising learning rate")
    decay: float = option(0.4, "last share of the run, in which it falls to zero")
    average_decay: float = option(0.999, "of the moving average of weights that is saved")
    refined: int = option(64, "targets of a step that are decoded and refined")
    adversarial_weight: float = option(0.05, "weight of the discriminator's loss on rollouts")
    flow_every: int = option(4, "rollout steps between flow-matching steps")
    log_every: int = option(50, "steps between log lines")
    save_every: int = option(1000, "steps between checkpoints, beside the last one; 0: never")
    model: WorldModelConfig = group(WorldModelConfig, "ignored where initial names a checkpoint")
    clips: ClipConfig = group(ClipConfig, "how clips are drawn")
    rollouts: RolloutConfig = group(RolloutConfig, "how rollouts are made")


@settings
class VAETrainerConfig(TrainerConfig):
    """A training run of the autoencoder (``mgenv fit vae``), before everything else."""

    objective: str = option("vae", "vae")
    out: str = option("runs/fit_vae", "folder of checkpoint, training state and TensorBoard")
    initial: str = option("", "checkpoint to start from")
    batch: int = option(256, "frames of a step")
    HIDDEN: ClassVar = (
        "matrix_lr", "critic_lr", "refined", "adversarial_weight", "flow_every", "clips",
        "rollouts",
    )  # fmt: skip


def check(config: TrainerConfig) -> None:
    """Check a configuration before any work is done.

    Raises:
        InvalidOptionError: an option is out of range, or walks are too short for the objective.
    """
    if config.objective not in OBJECTIVES:
        raise InvalidOptionError(
            f"objective: expected one of {', '.join(OBJECTIVES)}, got {config.objective!r}"
        )
    for name in ("steps", "worlds", "batch", "flow_every", "log_every"):
        check_integer(name, getattr(config, name), low=1)
    for name, least in (("generated", 1), ("observed", 1), ("slots", 1), ("wander_age", 2)):
        check_integer(f"rollouts.{name}", getattr(config.rollouts, name), low=least)
    if config.first_world < 0 or config.first_world + config.worlds > HELD_OUT:
        raise InvalidOptionError(
            f"first_world, worlds: expected ids from 0 to {HELD_OUT - 1}, as later ids are held "
            f"out; got {config.first_world} + {config.worlds}"
        )
    clip = config.clips.targets + config.clips.history + 2
    longest = 2 * config.rollouts.max_age + 1
    needed = {"flow": clip, "rollout": max(clip, longest)}.get(config.objective, 1)
    check_integer("frames", config.frames, low=needed)
