"""``mgenv fit vae|world key=value …``: train a world model."""

from __future__ import annotations

import logging

from rich.console import Console
from rich.logging import RichHandler

from mgenv.cli.config import config_text, load_config
from mgenv.errors import InvalidOptionError, UnknownNameError
from mgenv.output import prepare_folder
from mgenv.training.trainer import Trainer, TrainerConfig

STAGES = {"vae": ("vae",), "world": ("flow", "rollout")}
"""Models to fit, with their objectives."""


def main(argv: list[str]) -> int:
    """Train one stage and say where the checkpoint lies.

    Args:
        argv: the stage, then overrides of ``mgenv/configs/fit_<stage>.yaml``.
    """
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: mgenv fit vae|world [key=value …]\n\nmgenv fit world --help")
        return 0 if argv else 2
    stage, overrides = argv[0], argv[1:]
    if stage not in STAGES:
        raise UnknownNameError("stage", stage, STAGES)
    if "-h" in overrides or "--help" in overrides:
        print(f"usage: mgenv fit {stage} [key=value …]\n\n{config_text(f'fit_{stage}')}", end="")
        return 0
    config = load_config(f"fit_{stage}", overrides, TrainerConfig)
    if config.objective not in STAGES[stage]:
        raise InvalidOptionError(
            f"objective: expected {' or '.join(STAGES[stage])}, got {config.objective!r}"
        )
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
