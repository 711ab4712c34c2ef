"""``mgenv fit vae|world key=value …``: train a world model."""

from __future__ import annotations

import logging

from rich.console import Console
from rich.logging import RichHandler

from mgenv.cli.config import load_config, print_help
from mgenv.errors import InvalidOptionError, UnknownNameError
from mgenv.output import prepare_folder
from mgenv.training.config import TrainerConfig, VAETrainerConfig
from mgenv.training.trainer import Trainer

STAGES: dict[str, type[TrainerConfig]] = {"vae": VAETrainerConfig, "world": TrainerConfig}
"""Models to fit, in this order."""

EXAMPLES = """For example, from nothing to a world model:
  mgenv fit vae device=cuda minutes=3
  mgenv fit world initial=runs/fit_vae/model.safetensors device=cuda
  mgenv fit world objective=rollout initial=runs/fit_world/model.safetensors out=runs/fit_rollout"""


def main(argv: list[str]) -> int:
    """Train one stage and say where the checkpoint lies.

    Args:
        argv: the stage, then options of :class:`mgenv.training.config.TrainerConfig` as
            ``key=value``.
    """
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: mgenv fit vae|world [key=value …]\n\nmgenv fit world --help")
        return 0 if argv else 2
    stage, overrides = argv[0], argv[1:]
    if stage not in STAGES:
        raise UnknownNameError("stage", stage, STAGES)
    if "-h" in overrides or "--help" in overrides:
        return print_help(f"fit {stage}", STAGES[stage], EXAMPLES)
    config = load_config(STAGES[stage], overrides)
    if (config.objective == "vae") != (stage == "vae"):
        expected = "vae" if stage == "vae" else "flow or rollout"
        raise InvalidOptionError(f"objective: expected {expected}, got {config.objective!r}")
    prepare_folder(config.out)
    console = Console()
    logging.basicConfig(
        level=logging.INFO,
        format="%(message)s",
        handlers=[RichHandler(console=console, show_path=False, omit_repeated_times=False)],
    )
    path = Trainer(config).fit()
    console.print(f"checkpoint: {path}", highlight=False, soft_wrap=True)
    return 0
