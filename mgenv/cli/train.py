"""``mgenv train key=value …``: PPO in a world."""

from __future__ import annotations

from rich.console import Console

from mgenv.agents.train import TrainConfig, train_policy
from mgenv.cli.config import config_text, load_config
from mgenv.cli.console import describe, progress_bar


def main(argv: list[str]) -> int:
    """Train a policy and say where it lies.

    Args:
        argv: overrides of ``mgenv/configs/train.yaml``.
    """
    if "-h" in argv or "--help" in argv:
        print(f"usage: mgenv train [key=value …]\n\n{config_text('train')}", end="")
        return 0
    config = load_config("train", argv, TrainConfig)
    console = Console()
    with progress_bar(console) as bar:
        task = bar.add_task("training", total=config.total_steps, note="")

        def report(steps: int, success: float, returns: float) -> None:
            bar.update(task, completed=steps, note=describe(success, returns))

        _, file = train_policy(config, report)
    console.print(f"policy: {file}", highlight=False, soft_wrap=True)
    console.print(f"curves: tensorboard --logdir {file.parent / 'tensorboard'}", soft_wrap=True)
    console.print(f"judge:  mgenv evaluate {file}", soft_wrap=True)
    return 0
